"""EB1 to EB6 once more, as slow and as plainly as can be: loops over loops of raw events, no index, no sharing."""

from harness.history.events import FaultHealed, Invoke, Observation, Ok
from harness.units import ms, seconds


def violated(history):
    """Return the ids among EB1..EB6 that this history violates, for one outage and hosts that live."""
    checks = {"EB1": _lost, "EB2": _overtaken, "EB3": _phantoms, "EB4": _repeated, "EB5": _slow, "EB6": _unrecovered}
    return {name for name, check in checks.items() if check(history.events)}


def _seen(events, name):
    return [(at, one) for at, one in enumerate(events) if isinstance(one, Observation) and one.name == name]


def _publishes(events):
    """(invoke position, invoke, ok position, ok) of each publish."""
    for at, one in enumerate(events):
        if isinstance(one, Invoke) and one.name == "publish":
            oks = [
                (n, ok)
                for n, ok in enumerate(events)
                if isinstance(ok, Ok) and (ok.actor, ok.op) == (one.actor, one.op)
            ]
            yield at, one, *(oks[0] if oks else (None, None))


def _owed(events):
    """(invoke, ok, group, first delivery or None) of everything owed."""
    announced = {one for _, seen in _seen(events, "overflow") for one in seen.value["ids"]}
    for _, invoke, _, ok in _publishes(events):
        if ok is None or ok.value["id"] in announced:
            continue
        for group in ("risk", "books"):
            yield invoke, ok, group, _first(events, group, invoke.value["key"])


def _first(events, group, key):
    for at, one in _seen(events, "deliver"):
        if one.value["group"] == group and one.value["key"] == key:
            return at, one
    return None


def _lost(events):
    return any(first is None for *_, first in _owed(events))


def _overtaken(events):
    publishes = list(_publishes(events))
    for _, a, a_ok_at, a_ok in publishes:
        for b_at, b, _, _ in publishes:
            same = a.actor == b.actor and a.value["type"] == b.value["type"]
            if a_ok is None or not same or not a_ok_at < b_at:
                continue
            for group in ("risk", "books"):
                first_a, first_b = _first(events, group, a.value["key"]), _first(events, group, b.value["key"])
                if first_a and first_b and first_b[0] < first_a[0]:
                    return True
    return False


def _phantoms(events):
    return any(
        not any(
            all(invoke.value[name] == seen.value[name] for name in ("key", "type", "digest"))
            and invoke.time_ns <= seen.time_ns
            for _, invoke, _, _ in _publishes(events)
        )
        for _, seen in _seen(events, "deliver")
    )


def _repeated(events):
    given = [(one.value["group"], one.value["key"]) for _, one in _seen(events, "deliver")]
    return any(given.count(one) > 1 for one in given)


def _slow(events):
    """With fewer than a thousand operations, p99.9 is the slowest."""
    end_ns = events[-1].time_ns
    return any((ok.time_ns if ok else end_ns) - invoke.time_ns > ms(250) for _, invoke, _, ok in _publishes(events))


def _unrecovered(events):
    due_ns = next(one.time_ns for one in events if isinstance(one, FaultHealed)) + seconds(5)
    for invoke, ok, _, first in _owed(events):
        by_ns = None
        if ok.time_ns <= due_ns - seconds(1):
            by_ns = due_ns
        elif invoke.time_ns > due_ns and ok.time_ns + seconds(1) <= events[-1].time_ns:
            by_ns = ok.time_ns + seconds(1)
        if by_ns is not None and (first is None or first[1].time_ns > by_ns):
            return True
    return False
