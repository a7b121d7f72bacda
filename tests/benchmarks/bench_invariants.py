"""How long it takes to store, load and judge a history of 100,000 events: seven invariants and their shared index.

The budget is 1 s of CPU for judging, so that it stays a small part of a run and a stored history is judged at once.
"""

import time

import pytest

from harness.history.events import (
    SCHEMA,
    Event,
    FaultBegan,
    FaultHealed,
    HostChanged,
    Invoke,
    Observation,
    Ok,
    RunEnded,
    RunStarted,
)
from harness.history.history import History
from harness.history.store import Store, load
from harness.invariants.base import Invariant, judge_all
from harness.invariants.bounds import bounded, capacity
from harness.invariants.delivery import delivered_once, no_acked_loss, no_phantoms, order_per_key
from harness.invariants.recovery import recovers_within
from harness.units import MILLISECOND, ms, seconds
from harness.verdict import Outcome

EVENTS = 100_000
INVARIANTS: tuple[Invariant, ...] = (
    no_acked_loss(),
    order_per_key(),
    no_phantoms(),
    delivered_once(),
    bounded("publish", ms(250)),
    recovers_within(seconds(5), after="redis.outage"),
    capacity(10_000),
)

pytestmark = pytest.mark.benchmark


def _recorded(*, broken: bool) -> list[Event]:
    """A run of 25,000 publishes to two groups, 20 flapping outages; `broken`: every tenth is lost, others overtake."""
    types, groups = ("orders", "fills", "signals", "positions"), ("risk", "dashboard")
    events: list[Event] = [RunStarted(0, "harness", 1, SCHEMA, "0", "s", "full", "sim", 7, {}, [])]
    events.append(Observation(0, "consumer", 1, "groups", {"groups": list(groups), "types": list(types)}))
    events += [HostChanged(0, host, 1, "started") for host in ("publisher", "consumer")]
    for fault in range(20):
        start_ns = seconds(20) + fault * seconds(1)
        events.append(FaultBegan(start_ns, "harness", 1, fault, "redis.outage", "flapping", "redis"))
        events.append(FaultHealed(start_ns + ms(500), "harness", 1, fault))
    publishes = (EVENTS - len(events)) // 4
    for number in range(publishes):
        time_ns = number * 4 * MILLISECOND
        value = {"key": f"publisher-{number:06d}", "type": types[number % 4], "digest": f"{number:016x}"}
        events.append(Invoke(time_ns, "publisher", 1, number, "publish", value))
        events.append(Ok(time_ns + MILLISECOND, "publisher", 1, number, {"id": f"{number}-0"}))
        if broken and number % 10 == 0:
            continue
        late_ns = ms(500) if broken and number % 3 == 0 else 2 * MILLISECOND
        for group in groups:
            delivered = {"group": group, "id": f"{number}-0", **value}
            events.append(Observation(time_ns + late_ns, "consumer", 1, "deliver", delivered))
        if number % 60 == 0:
            stats = {"mode": "direct", "buffered": 0, "dropped": 0}
            events.append(Observation(time_ns, "publisher", 1, "stats", stats))
    events.append(RunEnded(publishes * 4 * MILLISECOND + seconds(2), "harness", 1, None, len(events)))
    return events


@pytest.mark.parametrize("broken", [False, True])
def test_judging_takes_less_than_a_second(broken, tmp_path):
    """CPU seconds, the best of five, each on a fresh history without its index."""
    recorded = _recorded(broken=broken)
    judging, storing, loading = [], [], []
    for _ in range(5):
        began = time.process_time()
        with Store(tmp_path / "run.jsonl") as store:
            for event in recorded:
                store.record(event)
        storing.append(time.process_time() - began)
        began = time.process_time()
        load(tmp_path / "run.jsonl")
        loading.append(time.process_time() - began)
        history = History.of(recorded)
        began = time.process_time()
        results = judge_all(history, INVARIANTS)
        judging.append(time.process_time() - began)
    found = {one.id for one in results if one.verdict is Outcome.VIOLATED}
    assert found == ({"EB1", "EB2", "EB6"} if broken else set())
    figures = f"store {min(storing):.2f} s, load {min(loading):.2f} s, judge {min(judging):.2f} s"
    print(f"\n{len(recorded):,} events{', broken' if broken else ''}: {figures}")
    assert min(judging) < 1
