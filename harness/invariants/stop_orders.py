"""ES1: no order reaches the exchange after a trip is acked.

An order is what the exchange has on record, where a run has an exchange; else what the harness, playing the exchange,
observed as `reached`. It is judged if the stop is known to have held all the while: acked before it, and still the same
trip at the next time that something is known. So an order around the moment of arming is nobody's offence.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from harness.history.history import History
from harness.history.query import observations
from harness.invariants.base import none_of
from harness.invariants.exchange_record import margin_ns, read_exchange
from harness.invariants.findings import Moment, at, counted, finding
from harness.invariants.stop_record import STOPPED, Known, stop_record
from harness.units import human, ms
from harness.verdict import Finding, InvariantResult


@dataclass(frozen=True, slots=True)
class _Order:
    time_ns: int
    actor: str
    key: str


@dataclass(frozen=True, slots=True)
class _Offence:
    order: _Order
    ack: Known

    @property
    def late_ns(self) -> int:
        return self.order.time_ns - self.ack.time_ns


@dataclass(frozen=True, slots=True, kw_only=True)
class NoOrderAfterTrip:
    """ES1. `real_limit_ns` holds in the real world, where an order and an ack may pass each other on the wire.

    Checked: the acked stops that held for longer than the limit.
    """

    id: str
    name: str
    statement: str
    limit_ns: int
    real_limit_ns: int
    needs_end: bool = False

    def judge(self, history: History) -> InvariantResult:
        """Look for an order within each stretch in which one trip's stop is known to hold."""
        limit_ns = margin_ns(history, self.limit_ns, self.real_limit_ns)
        orders = list(_orders(history))
        times = [order.time_ns for order in orders]
        offences: list[_Offence] = []
        checked = 0
        for ack, last in _held(stop_record(history).known):
            if last.time_ns - ack.time_ns <= limit_ns:
                continue
            checked += 1
            late = orders[bisect_right(times, ack.time_ns + limit_ns) : bisect_left(times, last.time_ns)]
            offences += [_Offence(one, ack) for one in late]
        return none_of(
            self,
            offences,
            checked=checked,
            unit="orders",
            explain=lambda: self._explain(history, offences, limit_ns),
        )

    @staticmethod
    def _explain(history: History, offences: Sequence[_Offence], limit_ns: int) -> Finding:
        worst = max(offence.late_ns for offence in offences)
        return finding(
            history,
            f"{counted(len(offences), 'order')} reached the exchange up to {human(worst)} after a trip was acked "
            f"(limit {human(limit_ns)})",
            offences,
            label=lambda one: at(one.order.key, one.order.time_ns),
            moments=_moments,
            badness=lambda one: one.late_ns,
        )


def no_order_after_trip(
    *,
    id: str = "ES1",  # noqa: A002 - the word of PATCHES.md
    limit_ns: int = ms(50),
    real_limit_ns: int = ms(250),
) -> NoOrderAfterTrip:
    """Declare ES1."""
    statement = (
        f"no order reaches the exchange later than {human(limit_ns)} ({human(real_limit_ns)} in the real world) "
        "after a trip is acked"
    )
    return NoOrderAfterTrip(
        id=id, name="no-order-after-trip", statement=statement, limit_ns=limit_ns, real_limit_ns=real_limit_ns
    )


def _held(known: Sequence[Known]) -> Iterator[tuple[Known, Known]]:
    """Yield for each trip its ack and the last time that it is known to have held without a break.

    What an operation returned without naming the trip belongs to the trip that is seen next: it may have been armed,
    and tripped again, since it was seen last.
    """
    trip = ""
    ack: Known | None = None
    last: Known | None = None
    unnamed: Known | None = None
    for one in known:
        if one.state not in STOPPED or (one.trip and one.trip != trip):
            if ack is not None and last is not None:
                yield ack, last
            trip, ack, last = one.trip, None, None
        if one.state not in STOPPED:
            trip, unnamed = "", None
        elif one.trip:
            ack = ack or unnamed or (one if one.acked else None)
            last, unnamed = one, None
        elif one.acked:
            unnamed = unnamed or one
    if ack is not None and last is not None:
        yield ack, last


def _orders(history: History) -> Iterator[_Order]:
    placed = [request for request in read_exchange(history).requests if request.is_order]
    for request in placed:
        yield _Order(request.time_ns, "binance", request.client_id or str(request.order_id))
    if not placed:
        for seen in observations(history, "reached"):
            yield _Order(seen.time_ns, seen.actor, str(seen.value["key"]))


def _moments(offence: _Offence) -> Iterator[Moment]:
    yield offence.ack.moment()
    order = offence.order
    text = f"an order arrived {human(offence.late_ns)} after that"
    yield Moment(order.time_ns, order.actor, text, order.key, offending=True)
