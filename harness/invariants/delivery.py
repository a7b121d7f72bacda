"""What a message bus owes: nothing acked is lost, order is kept, nothing is made up, nothing comes twice."""

from dataclasses import dataclass, replace

from harness.history.history import History
from harness.invariants.base import none_of
from harness.invariants.findings import at, counted, finding
from harness.invariants.flow import DEFAULT_FLOW, Delivery, Flow, FlowRecord, Publish, read_flow
from harness.invariants.ordering import OrderPerKey
from harness.invariants.timeline import delivery_moment, offer_moments, publish_moments
from harness.units import human
from harness.verdict import Finding, InvariantResult, Outcome


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
            groups = flow.owed_to(publish)
            checked += len(groups)
            for group in groups:
                if publish.key not in flow.first.get(group, ()):
                    lost.append(publish)
                    break
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
            f"{counted(len(lost), 'acked event')} never reached {', '.join(groups)} (limit 0), "
            "and nothing announced that"
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
            f"{counted(len(phantoms), 'delivery')} of nothing that had been published (limit 0): "
            f"{example.key} {_what_is_wrong(flow, example)}"
        )
        return finding(
            history,
            sentence,
            phantoms,
            label=lambda phantom: at(f"{phantom.key} to {phantom.group}", phantom.time_ns),
            moments=lambda phantom: (
                *offer_moments(flow, phantom.key),
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
    first = publish.attempts[0]
    if first.digest == delivery.digest and first.type == delivery.type:  # nearly always, and told at once
        return ""
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
            f"{counted(len(repeated), 'repeated delivery')} (limit 0): "
            f"{example.group} was given {example.key} again after {_gap(flow, example)}"
        )
        return finding(
            history,
            sentence,
            repeated,
            label=lambda again: at(f"{again.key} to {again.group}", again.time_ns),
            moments=lambda again: (
                *offer_moments(flow, again.key),
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
