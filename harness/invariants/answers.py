"""Every request of a caller is answered in time, and what lowers risk does not wait behind what raises it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Final

from harness.history.history import History
from harness.history.query import OperationRecord, fault_windows, lifetimes, operations
from harness.invariants.base import none_of
from harness.invariants.exchange_record import ExchangeRecord, longest_outside_ns, margin_ns, merged, read_exchange
from harness.invariants.findings import Moment, at, counted, finding
from harness.invariants.timestamps import explain_old, grown_old
from harness.units import human, ms, seconds
from harness.verdict import Finding, InvariantResult

_FORBIDDEN: Final = 403
_WALLED_NS: Final = seconds(60)


@dataclass(frozen=True, slots=True, kw_only=True)
class AllAnswered:
    """Each operation ends well or in a typed error, no later than `grace` after its deadline.

    An operation's `deadline_ns` is how long its caller would wait. Not judged: one whose host died or stood still, or
    whose run ended, before it was due. And no request grows old while it waits for its turn: a refusal for that says
    nothing to the caller, who asked in time (timestamps.py).
    Observed: offending operations, else such requests. Checked: operations judged.
    """

    id: str
    name: str
    statement: str
    operations: tuple[str, ...]
    grace_ns: int
    real_grace_ns: int
    exchange: str = "binance"
    needs_end: bool = True

    def judge(self, history: History) -> InvariantResult:
        """Judge each operation by its end, or by how long it had time for one."""
        grace = margin_ns(history, self.grace_ns, self.real_grace_ns)
        checked = 0
        offences: list[_Unanswered] = []
        for record in _operations(history, self.operations):
            due_ns = record.start_ns + int(record.value["deadline_ns"]) + grace
            if record.end_ns is None and _gone_ns(history, record) <= due_ns:
                continue
            if _froze(history, record):
                continue
            checked += 1
            if what := _what_is_wrong(record, due_ns):
                offences.append(_Unanswered(record, due_ns, what))
        old = [] if offences else grown_old(history, self.exchange)
        return none_of(
            self,
            offences or old,
            checked=checked,
            unit="requests" if old else "operations",
            explain=lambda: explain_old(history, old, self.exchange) if old else self._explain(history, offences),
        )

    def _explain(self, history: History, offences: Sequence["_Unanswered"]) -> Finding:
        first = offences[0]
        sentence = (
            f"{counted(len(offences), 'operation')} without a typed answer by the deadline (limit 0): "
            f"{_label(first.record)} {first.what}"
        )
        return finding(
            history,
            sentence,
            offences,
            label=lambda one: at(_label(one.record), one.record.start_ns),
            moments=_Unanswered.moments,
            badness=lambda one: (one.record.end_ns or history.end_ns) - one.due_ns,
        )


@dataclass(frozen=True, slots=True)
class _Unanswered:
    record: OperationRecord
    due_ns: int
    what: str

    def moments(self) -> Iterator[Moment]:
        yield from _moments(self.record, self.what)
        yield Moment(self.due_ns, "harness", "an answer was due", _label(self.record))


@dataclass(frozen=True, slots=True, kw_only=True)
class RiskFirst:
    """A cancel, and an order that only reduces, takes at most `limit` plus `margin` whenever it could be done.

    It could not while the IP was told to wait or was banned, while the exchange sat on an answer, and while a fault of
    `excused` held: one that makes every request slow or futile, so that no priority could help. A firewall's 403 shuts
    the IP out without saying for how long, so it counts until another answer is given, for a minute at most. An order
    that reduces needs an order's slot, so it (not a cancel) could not during a wait for orders either. Between such
    times each stretch counts by itself: who is refused again after a wait has done what he could. A cancel is done when
    the exchange carries it out: how long the client then takes to learn of it lowers no risk.
    Observed: offences. Checked: operations.
    """

    id: str
    name: str
    statement: str
    limit_ns: int
    margin_ns: int
    real_margin_ns: int
    excused: tuple[str, ...]
    exchange: str = "binance"
    needs_end: bool = False

    def judge(self, history: History) -> InvariantResult:
        """Judge each by the longest stretch in which it could have been done."""
        limit = self.limit_ns + margin_ns(history, self.margin_ns, self.real_margin_ns)
        record = read_exchange(history, self.exchange)
        faults = [
            (one.start_ns, None if one.end_ns is None else one.end_ns + self.margin_ns)
            for one in fault_windows(history)
            if any(fnmatchcase(one.name, pattern) for pattern in self.excused)
        ]
        bans = [(ban.time_ns, ban.until_ns) for ban in record.bans]
        told = {scope: [(wait.start_ns, wait.end_ns) for wait in record.waits(scope)] for scope in ("ip", "orders")}
        late_answers = [(one.time_ns, one.answered_ns) for one in record.requests if one.after_ns > 0]
        shut = [*faults, *bans, *told["ip"], *_walled(record), *late_answers]
        barred = merged(shut, history.end_ns)
        no_slot = merged([*shut, *told["orders"]], history.end_ns)
        cancelled = _cancelled(record)
        checked = 0
        late: list[_Late] = []
        for one in _operations(history, ("cancel", "execute")):
            if one.name == "execute" and not one.value.get("reduce_only"):
                continue
            end_ns = _gone_ns(history, one) if one.end_ns is None else one.end_ns
            if _froze(history, one):
                continue
            if one.name == "cancel":
                end_ns = min(
                    [end_ns, *(at for at in cancelled.get(one.value.get("client_id"), ()) if at > one.start_ns)]
                )
            waited_ns = longest_outside_ns(barred if one.name == "cancel" else no_slot, one.start_ns, end_ns)
            if one.end_ns is None and waited_ns <= limit:
                continue
            checked += 1
            if waited_ns > limit:
                late.append(_Late(one, waited_ns))
        return none_of(
            self,
            late,
            checked=checked,
            unit="operations",
            reason="" if checked else "nothing was cancelled or reduced",
            explain=lambda: self._explain(history, late),
        )

    def _explain(self, history: History, late: Sequence["_Late"]) -> Finding:
        worst = max(late, key=lambda one: one.waited_ns)
        sentence = (
            f"{counted(len(late), 'risk-lowering operation')} took more than {human(self.limit_ns)}: "
            f"{worst.record.name} {_label(worst.record)} took {human(worst.waited_ns)} although nothing barred it"
        )
        return finding(
            history,
            sentence,
            late,
            label=lambda one: at(_label(one.record), one.record.start_ns),
            moments=lambda one: _moments(one.record, f"took {human(one.waited_ns)}"),
            badness=lambda one: one.waited_ns,
        )


@dataclass(frozen=True, slots=True)
class _Late:
    record: OperationRecord
    waited_ns: int


def _cancelled(record: ExchangeRecord) -> dict[str | None, list[int]]:
    """Return when the exchange carried out a cancel, by client order id."""
    done: dict[str | None, list[int]] = {}
    for request in record.requests:
        if request.method == "DELETE" and request.executed and request.client_id:
            done.setdefault(request.client_id, []).append(request.time_ns)
    return done


def _walled(record: ExchangeRecord) -> Iterator[tuple[int, int]]:
    """Yield the times from a 403 until anything else was answered."""
    since_ns: int | None = None
    for request in record.requests:
        if request.status == _FORBIDDEN:
            since_ns = request.time_ns if since_ns is None else since_ns
        elif request.status and since_ns is not None:
            yield since_ns, min(request.answered_ns, since_ns + _WALLED_NS)
            since_ns = None
    if since_ns is not None:
        yield since_ns, since_ns + _WALLED_NS


def _operations(history: History, names: Sequence[str]) -> list[OperationRecord]:
    """Return the operations of these names in the order of their invocation."""
    return sorted((one for name in names for one in operations(history, name)), key=lambda one: one.start_at)


def _what_is_wrong(record: OperationRecord, due_ns: int) -> str:
    """Return what makes its answer none, or an empty string."""
    if record.end_ns is None:
        return "never ended"
    if record.outcome == "info":
        return f"ended in an error without a reason: {record.error}"
    if record.outcome == "fail" and not (record.error or "").strip():
        return "failed without saying why"
    if record.end_ns > due_ns:
        return f"ended {human(record.end_ns - due_ns)} late"
    return ""


def _gone_ns(history: History, record: OperationRecord) -> int:
    """Return when its host ended, or the run did."""
    ends = [
        life.end_ns
        for life in lifetimes(history)
        if (life.name, life.incarnation) == (record.actor, record.incarnation) and life.end_ns is not None
    ]
    return min(ends, default=history.end_ns)


def _froze(history: History, record: OperationRecord) -> bool:
    """Whether its host stood still while it was in flight."""
    end_ns = history.end_ns if record.end_ns is None else record.end_ns
    return any(
        since_ns <= end_ns and (until_ns is None or record.start_ns < until_ns)
        for life in lifetimes(history)
        if (life.name, life.incarnation) == (record.actor, record.incarnation)
        for since_ns, until_ns in life.frozen
    )


def _label(record: OperationRecord) -> str:
    return str(record.value.get("key", f"{record.name} {record.op}"))


def _moments(record: OperationRecord, what: str) -> Iterator[Moment]:
    yield Moment(record.start_ns, record.actor, f"{record.name} began", _label(record), offending=record.end_ns is None)
    if record.end_ns is not None:
        text = f"{record.name} {record.outcome}: {what}"
        yield Moment(record.end_ns, record.actor, text, _label(record), offending=True)


def all_answered(
    *operations: str,
    grace_ns: int = ms(100),
    real_grace_ns: int = seconds(1),
    id: str = "RL4",  # noqa: A002 - the word of PATCHES.md
) -> AllAnswered:
    """Declare that these operations (by default all of a trader's) end in time, well or in a typed error."""
    return AllAnswered(
        id=id,
        name="all-answered",
        statement="every request ends in success or a typed error before its deadline",
        operations=operations or ("read", "execute", "place", "cancel"),
        grace_ns=grace_ns,
        real_grace_ns=real_grace_ns,
    )


def risk_first(
    limit_ns: int = seconds(1),
    *,
    excused: tuple[str, ...],
    margin_ns: int = ms(100),
    real_margin_ns: int = seconds(1),
    id: str = "RL7",  # noqa: A002
) -> RiskFirst:
    """Declare how long what lowers risk may take; `excused` are patterns of faults that no priority could help."""
    return RiskFirst(
        id=id,
        name="risk-first",
        statement=f"a cancel or reduce-only order waits at most {human(limit_ns)} unless the IP is banned",
        limit_ns=limit_ns,
        margin_ns=margin_ns,
        real_margin_ns=real_margin_ns,
        excused=excused,
    )
