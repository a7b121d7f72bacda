"""Recovery: how soon after a fault is healed the backlog is gone and new events flow as if nothing had been.

For each healed fault of the given name, with T its healing and L the limit:

1. *Backlog.* Every event acked until 1 s before T + L has reached every group by T + L. (The second of
grace is what a healthy bus may take to deliver.) An event that never arrived counts as not arrived by
then: at this point nobody can tell a stuck backlog from a lost one. 2. *Direct.* Every event whose
publishing began after T + L reaches every group within 1 s of its ack, until    the run ends or the next
interruption.

Events announced as given up are owed no delivery. Observed: seconds from T until the last event acked
before T was delivered; 0 if none was waiting, `never` if one never came.

*Interruptions* are other faults, and the times in which a producer or a consumer was dead or frozen. If
one holds anywhere in T..T + L, recovery could not proceed undisturbed, and T moves to the end of that
interruption - again and again, until L is undisturbed: of a flapping server the last healing counts. So
several healings can share one T; they are judged once. If no undisturbed L follows, nothing is owed. A
producer that finished in good order is no interruption: what it left behind is its fault.

A recovery has been *seen* if L passed undisturbed, and something was published directly after it and had
its second to arrive. If no recovery was seen, and none was violated, the answer is inconclusive.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from harness.history.history import History
from harness.history.query import FaultWindow, Window, fault_windows, lifetimes
from harness.invariants.base import result
from harness.invariants.findings import Moment, at, counted, finding
from harness.invariants.flow import DEFAULT_FLOW, Flow, FlowRecord, Publish, read_flow
from harness.invariants.timeline import publish_moments
from harness.units import SECOND, as_seconds, human
from harness.verdict import Finding, InvariantResult, Outcome

NEVER: Final = "never"


@dataclass(frozen=True, slots=True, kw_only=True)
class RecoversWithin:
    """After each healed fault that `after` matches: backlog delivered, direct publishing resumed, within `limit_ns`.

    `after` is the name of a fault, or a pattern: `network.*`, or `*` for any fault.
    `prompt_ns` is how long a healthy bus may take from ack to delivery; `real_prompt_ns` for real, where a machine with
    other work stands still for a second now and then. Checked: recoveries seen.
    """

    id: str
    name: str
    statement: str
    limit_ns: int
    after: str
    prompt_ns: int = SECOND
    real_prompt_ns: int = 3 * SECOND
    flow: Flow = DEFAULT_FLOW
    needs_end: bool = True

    def __post_init__(self) -> None:
        if not 0 < self.prompt_ns < self.limit_ns:
            raise ValueError(f"0 < {self.prompt_ns} ns of grace < {self.limit_ns} ns of limit does not hold")

    def judge(self, history: History) -> InvariantResult:
        """Judge each recovery by itself; the slowest one is what is observed."""
        flow = read_flow(history, self.flow)
        prompt_ns = self._allowed_ns(history)
        recoveries = [self._watch(flow, span, prompt_ns) for span in _spans(history, flow, self)]
        late = [one for recovery in recoveries for one in recovery.late]
        seen = sum(recovery.seen for recovery in recoveries)
        known = [recovery.took_ns for recovery in recoveries]
        observed = None if not known else NEVER if None in known else max(as_seconds(ns or 0) for ns in known)
        return result(
            self,
            Outcome.VIOLATED if late else Outcome.HOLDS,
            checked=seen,
            observed=observed,
            limit=as_seconds(self.limit_ns),
            unit="s",
            reason="" if late or seen else self._why_unseen(history, recoveries),
            finding=self._explain(history, flow, late, observed) if late else None,
        )

    def _allowed_ns(self, history: History) -> int:
        """Return how long a delivery may take in the world of this history."""
        return self.prompt_ns if history.header.world == "sim" else self.real_prompt_ns

    def _watch(self, flow: FlowRecord, span: "_Span", prompt_ns: int) -> "_Recovery":
        """Look at one recovery: who was late, how long it took, and whether enough of it could be seen."""
        due_ns = span.healed_ns + self.limit_ns
        late: list[_Late] = []
        took_ns: int | None = 0
        direct = 0
        for publish in flow.publishes.values():
            if publish.ack_ns is None or flow.given_up(publish):
                continue
            groups = flow.owed_to(publish)
            if not groups:
                continue
            arrived_ns = _arrived_ns(flow, publish, groups)
            if publish.ack_ns <= due_ns - self.prompt_ns:
                if arrived_ns is None or arrived_ns > due_ns:
                    late.append(_Late(publish, span.window, due_ns, arrived_ns, direct=False))
                if publish.ack_ns < span.healed_ns and took_ns is not None:
                    waited = None if arrived_ns is None else arrived_ns - span.healed_ns
                    took_ns = None if waited is None else max(took_ns, waited)
            elif publish.start_ns > due_ns and publish.ack_ns + self.prompt_ns <= span.until_ns:
                direct += 1
                by_ns = publish.ack_ns + prompt_ns
                if arrived_ns is None or arrived_ns > by_ns:
                    late.append(_Late(publish, span.window, by_ns, arrived_ns, direct=True))
        return _Recovery(tuple(late), took_ns, seen=direct > 0)

    def _why_unseen(self, history: History, recoveries: Sequence["_Recovery"]) -> str:
        healed = [window for window in fault_windows(history, self.after) if window.end_ns is not None]
        if not healed:
            return f"no {_noun(self.after)} was healed"
        if not recoveries:
            return f"no {_noun(self.after)} was followed by {human(self.limit_ns)} undisturbed"
        return f"nothing was published later than {human(self.limit_ns)} after the healing"

    def _explain(
        self, history: History, flow: FlowRecord, late: Sequence["_Late"], observed: float | str | None
    ) -> Finding:
        limit, healed = human(self.limit_ns), _called(self.after)
        backlog = [one for one in late if not one.direct]
        parts = []
        if backlog:
            took = f"{observed:.3f} s" if isinstance(observed, float) else observed
            parts.append(
                f"{counted(len(backlog), 'acked event')} not yet in every group {limit} after {healed} healed "
                f"(what was acked before took {took}, limit {limit})"
            )
        if len(backlog) < len(late):
            parts.append(
                f"{counted(len(late) - len(backlog), 'event')} published more than {limit} after {healed} healed, "
                f"and not in every group within {human(self._allowed_ns(history))} of the ack"
            )
        ordered = sorted(late, key=lambda one: one.by_ns)
        return finding(
            history,
            "; ".join(parts),
            ordered,
            label=lambda one: at(one.publish.key, one.publish.start_ns),
            moments=lambda one: one.moments(flow),
            badness=lambda one: (history.end_ns if one.arrived_ns is None else one.arrived_ns) - one.by_ns,
        )


@dataclass(frozen=True, slots=True)
class _Span:
    """One recovery: `healed_ns` is T, and until `until_ns` nothing disturbs it."""

    window: FaultWindow
    healed_ns: int
    until_ns: int


@dataclass(frozen=True, slots=True)
class _Recovery:
    late: tuple["_Late", ...]
    took_ns: int | None
    seen: bool


@dataclass(frozen=True, slots=True)
class _Late:
    """An event that had not reached every group when it was due (`by_ns`)."""

    publish: Publish
    window: FaultWindow
    by_ns: int
    arrived_ns: int | None
    direct: bool

    def moments(self, flow: FlowRecord) -> Iterator[Moment]:
        healed_ns = self.window.end_ns
        yield from publish_moments(flow, self.publish, offending="ack" if self.arrived_ns is None else "")
        if healed_ns is not None:
            fault = f"fault {self.window.number}"
            yield Moment(healed_ns, self.window.on, f"fault healed: {self.window.name} ({self.window.mode})", fault)
        missing = "not everywhere yet" if self.arrived_ns is not None else "missing for good"
        yield Moment(self.by_ns, "harness", f"due in every group: {missing}", self.publish.key, offending=True)


def _arrived_ns(flow: FlowRecord, publish: Publish, groups: Sequence[str]) -> int | None:
    """Return when the last of the groups was given the event; None if one never was."""
    latest_ns = 0
    for group in groups:
        delivery = flow.first.get(group, {}).get(publish.key)
        if delivery is None:
            return None
        latest_ns = max(latest_ns, delivery.time_ns)
    return latest_ns


def _spans(history: History, flow: FlowRecord, wanted: RecoversWithin) -> Iterator[_Span]:
    """Yield the undisturbed recoveries, each once."""
    interruptions = _interruptions(history, flow)
    used: set[int] = set()
    for window in fault_windows(history, wanted.after):
        if window.end_ns is None:
            continue
        healed_ns = _undisturbed_from(window.end_ns, wanted.limit_ns, interruptions)
        if healed_ns is None or healed_ns in used:
            continue
        used.add(healed_ns)
        later = (start_ns for start_ns, _ in interruptions if start_ns >= healed_ns + wanted.limit_ns)
        until_ns = min(later, default=history.end_ns)
        if healed_ns + wanted.limit_ns <= min(until_ns, history.end_ns):
            yield _Span(window, healed_ns, until_ns)


def _undisturbed_from(time_ns: int, length_ns: int, interruptions: Sequence[Window]) -> int | None:
    """Return the earliest end of an interruption, from `time_ns` on, that none follows for `length_ns`."""
    for start_ns, end_ns in interruptions:
        if start_ns >= time_ns + length_ns:
            break
        if end_ns is None:
            return None
        time_ns = max(time_ns, end_ns)
    return time_ns


def _interruptions(history: History, flow: FlowRecord) -> list[Window]:
    """Return every fault, and every death and freeze of those who take part in the flow, by their beginning."""
    producers = {publish.producer for publish in flow.publishes.values()}
    consumers = {delivery.consumer for delivery in flow.deliveries}
    found: list[Window] = [(window.start_ns, window.end_ns) for window in fault_windows(history)]
    lives = lifetimes(history)
    started = {(life.name, life.incarnation): life.start_ns for life in lives}
    for life in lives:
        takes_part = life.name in consumers or life.name in producers
        orderly = life.ending is None or (life.ending in {"finished", "stopped"} and life.name not in consumers)
        if takes_part:
            found += life.frozen
        if takes_part and life.end_ns is not None and not orderly:
            found.append((life.end_ns, started.get((life.name, life.incarnation + 1))))
    return sorted(found, key=lambda window: window[0])


def recovers_within(
    limit_ns: int,
    *,
    after: str,
    id: str = "EB6",  # noqa: A002 - the word of PATCHES.md
    name: str = "recovers",
    statement: str = "",
    flow: Flow = DEFAULT_FLOW,
) -> RecoversWithin:
    """Declare how soon after a fault of that name recovery is owed. Raises ValueError unless it exceeds 1 s."""
    statement = statement or (
        f"backlog empty and direct publishing resumed <= {human(limit_ns)} after {_called(after)} is healed"
    )
    return RecoversWithin(id=id, name=name, statement=statement, limit_ns=limit_ns, after=after, flow=flow)


def _noun(pattern: str) -> str:
    return "fault" if pattern == "*" else pattern


def _called(pattern: str) -> str:
    return "any fault" if pattern == "*" else pattern
