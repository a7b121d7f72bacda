"""The order in which a message bus delivers.

*Delivery order = ack order* is read as happens-before: if the ack of A came before publishing B began, by
the same producer (a host, over all its incarnations) and under the same type, then no group may be given B
before A. Publishes that overlapped are free, since their acks could have been seen in either order. Only
first deliveries count (a second one is another invariant's business), and only events which the group got
at all (a missing one, too). Before and after are positions in the history, not times: in the sim world an
ack and the next publish often share an instant.
"""

from dataclasses import dataclass

from harness.history.history import History
from harness.invariants.base import none_of
from harness.invariants.findings import at, counted, finding
from harness.invariants.flow import DEFAULT_FLOW, Delivery, Flow, FlowRecord, Publish, read_flow
from harness.invariants.timeline import delivery_moment, publish_moments
from harness.verdict import Finding, InvariantResult


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderPerKey:
    """Per type and producer, no group is given B before A when A was acked before publishing B began.

    Observed: the number of events which overtook another, once per group. Checked: first deliveries that
    have a predecessor of the same producer, type and group.
    """

    id: str
    name: str
    statement: str
    flow: Flow = DEFAULT_FLOW
    needs_end: bool = False

    def judge(self, history: History) -> InvariantResult:
        """Judge in linear time: from the last delivery backwards, with the earliest ack seen so far."""
        flow = read_flow(history, self.flow)
        lanes: dict[tuple[str, str, str], list[tuple[Delivery, Publish]]] = {}
        for group, first in flow.first.items():
            for delivery in first.values():
                publish = flow.publishes.get(delivery.key)
                if publish is not None:
                    lane = (group, publish.producer, publish.attempts[0].type)
                    lanes.setdefault(lane, []).append((delivery, publish))
        overtakings = [pair for lane in lanes.values() for pair in _overtakings(lane)]
        overtakings.sort(key=lambda pair: pair.early.at)
        return none_of(
            self,
            overtakings,
            checked=sum(len(lane) - 1 for lane in lanes.values()),
            unit="events",
            explain=lambda: self._explain(history, flow, overtakings),
        )

    def _explain(self, history: History, flow: FlowRecord, pairs: list["_Overtaking"]) -> Finding:
        example = pairs[0]
        sentence = (
            f"{counted(len(pairs), 'event')} overtook another that had been acked before (limit 0): "
            f"{example.early.group} was given {example.early.key} before {example.late.key}"
        )
        return finding(
            history,
            sentence,
            pairs,
            label=lambda pair: at(f"{pair.early.key} before {pair.late.key}", pair.early.time_ns),
            moments=lambda pair: (
                *publish_moments(flow, flow.publishes[pair.late.key], deliveries=False),
                *publish_moments(flow, flow.publishes[pair.early.key], deliveries=False),
                delivery_moment(pair.early, offending=True),
                delivery_moment(pair.late, offending=True),
            ),
            badness=lambda pair: pair.late.time_ns - pair.early.time_ns,
        )


@dataclass(frozen=True, slots=True)
class _Overtaking:
    """`early` was delivered first, although `late` was acked before `early` was published."""

    early: Delivery
    late: Delivery


def _overtakings(lane: list[tuple[Delivery, Publish]]) -> list[_Overtaking]:
    """Return the offending deliveries of one lane, which comes in the order of delivery."""
    found: list[_Overtaking] = []
    first_acked: tuple[int, Delivery] | None = None
    for delivery, publish in reversed(lane):
        if first_acked is not None and first_acked[0] < publish.start_at:
            found.append(_Overtaking(delivery, first_acked[1]))
        if publish.ack_at is not None and (first_acked is None or publish.ack_at < first_acked[0]):
            first_acked = (publish.ack_at, delivery)
    return found
