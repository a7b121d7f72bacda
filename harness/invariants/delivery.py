"""What a message bus owes: nothing acked is lost, order is kept, nothing is made up, nothing comes twice.

*Delivery order = ack order* is read as happens-before: if the ack of A came before publishing B began, by
the same producer (a host, over all its incarnations) and under the same type, then no group may be given B
before A. Publishes that overlapped are free, since their acks could have been seen in either order. Only
first deliveries count (a second one is another invariant's business), and only events which the group got
at all (a missing one, too). Before and after are positions in the history, not times: in the sim world an
ack and the next publish often share an instant.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

from harness.history.history import History
from harness.invariants.base import none_of
from harness.invariants.findings import Moment, at, finding
from harness.invariants.flow import Delivery, Flow, FlowRecord, Publish, read_flow
from harness.units import human
from harness.verdict import Finding, InvariantResult, Outcome

DEFAULT_FLOW: Final = Flow()


@dataclass(frozen=True, slots=True, kw_only=True)
class NoAckedLoss:
    """Every acked event reaches every group that declared its type, unless it was announced as given up.

    It does not matter when a group was declared: groups belong to the scenario, not to a moment of it.
    Observed: the number of lost events. Checked: pairs of an acked event and a group.
    """

    id: str
    name: str
    statement: str
    flow: Flow = DEFAULT_FLOW
    needs_end: bool = True

    def judge(self, history: History) -> InvariantResult:
        """Judge; an event that is missing from a history cut short may only be late, so that is inconclusive."""
        flow = read_flow(history, self.flow)
        checked = 0
        lost: list[Publish] = []
        for publish in flow.publishes.values():
            if publish.ack_at is None or flow.given_up(publish):
                continue
            checked += len(flow.owed_to(publish))
            if missing_groups(flow, publish):
                lost.append(publish)
        reason = "" if checked or flow.groups_of else "no consumer group was declared"
        judged = none_of(
            self,
            lost,
            checked=checked,
            unit="events",
            reason=reason,
            explain=lambda: self._explain(history, flow, lost),
        )
        if lost and history.truncated:
            reason = f"the history was cut short while {len(lost)} acked events were still undelivered"
            return replace(judged, verdict=Outcome.INCONCLUSIVE, reason=reason, finding=None)
        return judged

    def _explain(self, history: History, flow: FlowRecord, lost: list[Publish]) -> Finding:
        groups = sorted({group for publish in lost for group in missing_groups(flow, publish)})
        sentence = (
            f"{len(lost)} acked events never reached {', '.join(groups)} (limit 0), and were not announced as given up"
        )
        return finding(
            history,
            sentence,
            lost,
            label=lambda publish: at(publish.key, publish.start_ns),
            moments=lambda publish: publish_moments(flow, publish, offending="ack"),
            badness=lambda publish: len(missing_groups(flow, publish)),
        )


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
            f"{len(pairs)} events overtook one that was acked before they were published (limit 0): "
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


@dataclass(frozen=True, slots=True, kw_only=True)
class NoPhantoms:
    """Every delivery is of an event that was offered before, with the same type and the same payload digest.

    Offered, not acked: an event whose publisher died or gave up waiting may well arrive.
    Observed: the number of deliveries of something else.
    """

    id: str
    name: str
    statement: str
    flow: Flow = DEFAULT_FLOW
    needs_end: bool = False

    def judge(self, history: History) -> InvariantResult:
        """Judge each delivery by the attempts to publish its key."""
        flow = read_flow(history, self.flow)
        phantoms = [delivery for delivery in flow.deliveries if _what_is_wrong(flow, delivery)]
        return none_of(
            self,
            phantoms,
            checked=len(flow.deliveries),
            unit="deliveries",
            explain=lambda: self._explain(history, flow, phantoms),
        )

    def _explain(self, history: History, flow: FlowRecord, phantoms: list[Delivery]) -> Finding:
        example = phantoms[0]
        sentence = (
            f"{len(phantoms)} deliveries were of nothing that had been published (limit 0): "
            f"{example.key} {_what_is_wrong(flow, example)}"
        )
        return finding(
            history,
            sentence,
            phantoms,
            label=lambda phantom: at(f"{phantom.key} to {phantom.group}", phantom.time_ns),
            moments=lambda phantom: (
                *_publish_moments_of(flow, phantom.key),
                delivery_moment(phantom, offending=True, note=_what_is_wrong(flow, phantom)),
            ),
            badness=lambda phantom: -phantom.time_ns,
        )


def _what_is_wrong(flow: FlowRecord, delivery: Delivery) -> str:
    """Return what makes a delivery a phantom, or an empty string."""
    publish = flow.publishes.get(delivery.key)
    if publish is None:
        return "was never offered"
    if delivery.time_ns < publish.start_ns:
        return "came before it was offered"
    if delivery.type not in publish.types:
        return f"came as type {delivery.type!r}"
    if not any(attempt.digest == delivery.digest for attempt in publish.attempts):
        return "came with another payload"
    return ""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveredOnce:
    """A group is given each event once.

    A key that was tried several times, since its publisher died in between, may come as often as it was
    tried, but each time under another bus id: those are different events to the bus.
    Observed: the number of deliveries too many.
    """

    id: str
    name: str
    statement: str
    flow: Flow = DEFAULT_FLOW
    needs_end: bool = False

    def judge(self, history: History) -> InvariantResult:
        """Judge every delivery by those of the same group and key before it."""
        flow = read_flow(history, self.flow)
        seen: dict[tuple[str, str], tuple[str, ...]] = {}
        repeated: list[Delivery] = []
        for delivery in flow.deliveries:
            pair = (delivery.group, delivery.key)
            ids = seen.get(pair, ())
            if ids and (delivery.id in ids or len(ids) >= _allowed(flow, delivery.key)):
                repeated.append(delivery)
            else:
                seen[pair] = (*ids, delivery.id)
        return none_of(
            self,
            repeated,
            checked=len(flow.deliveries),
            unit="deliveries",
            explain=lambda: self._explain(history, flow, repeated),
        )

    def _explain(self, history: History, flow: FlowRecord, repeated: list[Delivery]) -> Finding:
        example = repeated[0]
        sentence = (
            f"{len(repeated)} deliveries were repetitions (limit 0): "
            f"{example.group} was given {example.key} again after {_gap(flow, example)}"
        )
        return finding(
            history,
            sentence,
            repeated,
            label=lambda again: at(f"{again.key} to {again.group}", again.time_ns),
            moments=lambda again: (
                *_publish_moments_of(flow, again.key),
                delivery_moment(flow.first[again.group][again.key]),
                delivery_moment(again, offending=True),
            ),
            badness=lambda again: again.time_ns - flow.first[again.group][again.key].time_ns,
        )


def _allowed(flow: FlowRecord, key: str) -> int:
    publish = flow.publishes.get(key)
    return 1 if publish is None else len(publish.attempts)


def _gap(flow: FlowRecord, again: Delivery) -> str:
    return human(again.time_ns - flow.first[again.group][again.key].time_ns)


def missing_groups(flow: FlowRecord, publish: Publish) -> list[str]:
    """Return the groups that declared the event's type and never got it."""
    return [group for group in flow.owed_to(publish) if publish.key not in flow.first.get(group, ())]


def publish_moments(
    flow: FlowRecord, publish: Publish, *, offending: str = "", deliveries: bool = True
) -> Iterator[Moment]:
    """Yield the rows of one event: offered, acked, given to each group. `offending` = "ack" marks its ack."""
    yield Moment(publish.start_ns, publish.producer, f"publish {publish.attempts[0].type}", publish.key)
    if publish.ack_ns is not None:
        ids = ", ".join(publish.ids)
        yield Moment(publish.ack_ns, publish.producer, f"acked as {ids}", publish.key, offending=offending == "ack")
    if deliveries:
        for first in flow.first.values():
            if publish.key in first:
                yield delivery_moment(first[publish.key])


def _publish_moments_of(flow: FlowRecord, key: str) -> Iterator[Moment]:
    if key in flow.publishes:
        yield from publish_moments(flow, flow.publishes[key], deliveries=False)


def delivery_moment(delivery: Delivery, *, offending: bool = False, note: str = "") -> Moment:
    """Return the row of one delivery."""
    text = f"delivered to {delivery.group} as {delivery.id}" + (f": {note}" if note else "")
    return Moment(delivery.time_ns, delivery.consumer, text, delivery.key, offending=offending)


def no_acked_loss(
    id: str = "EB1",  # noqa: A002 - the word of PATCHES.md
    *,
    name: str = "no-acked-loss",
    statement: str = "every acked event is delivered to every consumer group, unless counted as overflow",
    flow: Flow = DEFAULT_FLOW,
) -> NoAckedLoss:
    """Declare that nothing acked is lost."""
    return NoAckedLoss(id=id, name=name, statement=statement, flow=flow)


def order_per_key(
    id: str = "EB2",  # noqa: A002
    *,
    name: str = "order",
    statement: str = "per event type and producer, delivery order = ack order",
    flow: Flow = DEFAULT_FLOW,
) -> OrderPerKey:
    """Declare that order is kept per type and producer."""
    return OrderPerKey(id=id, name=name, statement=statement, flow=flow)


def no_phantoms(
    id: str = "EB3",  # noqa: A002
    *,
    name: str = "no-phantom",
    statement: str = "nothing delivered that was never published; payloads byte-equal",
    flow: Flow = DEFAULT_FLOW,
) -> NoPhantoms:
    """Declare that only what was offered is delivered."""
    return NoPhantoms(id=id, name=name, statement=statement, flow=flow)


def delivered_once(
    id: str = "EB4",  # noqa: A002
    *,
    name: str = "once",
    statement: str = "a consumer handler sees an event id once",
    flow: Flow = DEFAULT_FLOW,
) -> DeliveredOnce:
    """Declare that nothing is delivered twice."""
    return DeliveredOnce(id=id, name=name, statement=statement, flow=flow)
