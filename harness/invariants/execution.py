"""What an execution owes: never too much, never another figure than the exchange's, never without saying why.

Each invariant judges intents (intents.py): what the exchange saw on the intent's lane against what was asked for and
what was reported. Amounts are compared exactly.
"""

from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from harness.history.history import History
from harness.invariants.exchange_record import Fill
from harness.invariants.findings import counted
from harness.invariants.intent_findings import Offence, judged
from harness.invariants.intents import Intent, Report, read_intents
from harness.verdict import InvariantResult

_MALFORMED: Final = (-1111, -1013, -4003, -4005, -4013, -4023, -4164)
_GRADES: Final = ("filled", "partial", "rejected", "abandoned")


@dataclass(frozen=True, slots=True, kw_only=True)
class NoOverfill:
    """Over all attempts of an intent, no more is filled than was asked for. Checked: intents with an order."""

    id: str
    name: str
    statement: str
    exchange: str = "binance"
    needs_end: bool = True

    def judge(self, history: History) -> InvariantResult:
        """Add up each intent's fills."""
        intents = read_intents(history, self.exchange)
        offences = [
            Offence(
                one,
                f"filled {one.filled()} of {one.quantity} in {counted(len(one.attempts), 'order')}",
                one.fills[-1].time_ns,
                float(one.filled() / one.quantity),
            )
            for one in intents
            if one.filled() > one.quantity
        ]
        ordered = sum(bool(one.attempts or one.fills) for one in intents)
        return judged(self, history, offences, checked=ordered, what="filled too much")


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreed:
    """What is reported as filled is what the exchange filled: when it is reported, and at the end of the run.

    A report of `unknown` is none; it is owed a better one by the end. An intent that was never reported, because it
    failed or its host died, must have no fills. Checked: intents with a report or a fill.
    """

    id: str
    name: str
    statement: str
    exchange: str = "binance"
    needs_end: bool = True

    def judge(self, history: History) -> InvariantResult:
        """Compare each report with the fills there were by then, and the last one with all of them."""
        intents = read_intents(history, self.exchange)
        offences = [
            Offence(one, what, one.reports[-1].time_ns if one.reports else one.start_ns)
            for one in intents
            if (what := _disagreement(one))
        ]
        known = sum(bool(one.reports or one.fills) for one in intents)
        return judged(self, history, offences, checked=known, what="reported wrongly")


def _disagreement(intent: Intent) -> str:
    """Return how reports and ledger differ, or an empty string."""
    total = intent.filled()
    if not intent.reports:
        return f"{total} filled, and never reported" if total else ""
    for report in intent.reports:
        filled = intent.filled(report.time_ns)
        if report.status != "unknown" and report.filled != filled:
            return f"{report.source} says filled {report.filled}; the exchange, {filled}"
    last = intent.reports[-1]
    if last.status == "unknown":
        return f"still unknown at the end; the exchange filled {total}"
    return f"last reported as filled {last.filled}; in the end {total}" if last.filled != total else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Accounted:
    """At least `share` is filled, or the report says what is missing and why; its figures add up.

    No reason is an order that the exchange had to refuse for its form (precision, lot size, notional) and not because
    of a fault: the rules are public. Checked: intents with a report, or that ended in an error.
    """

    id: str
    name: str
    statement: str
    share: Decimal = Decimal("0.9")
    exchange: str = "binance"
    needs_end: bool = True

    def judge(self, history: History) -> InvariantResult:
        """Judge the last word on each intent."""
        checked = 0
        offences: list[Offence] = []
        for intent in read_intents(history, self.exchange):
            call = intent.calls[-1]
            if not intent.reports and call.end_ns is None:
                continue
            checked += 1
            if what := self._what_is_wrong(intent):
                when_ns = intent.reports[-1].time_ns if intent.reports else call.end_ns or call.start_ns
                offences.append(Offence(intent, what, when_ns))
        return judged(self, history, offences, checked=checked, what="not accounted for")

    def _what_is_wrong(self, intent: Intent) -> str:
        malformed = [one.code for one in intent.attempts if one.code in _MALFORMED and not one.fault]
        if malformed:
            return f"sent an order that had to be refused: {malformed[0]}"
        if not intent.reports:
            call = intent.calls[-1]
            return "" if call.outcome == "fail" and call.error else f"ended without a typed outcome: {call.error}"
        return self._what_is_missing(intent, intent.reports[-1])

    def _what_is_missing(self, intent: Intent, report: Report) -> str:
        if report.missing != intent.quantity - report.filled:
            return f"{report}, but {intent.quantity} were asked for"
        if report.filled >= self.share * intent.quantity:
            return ""
        if report.status == "filled":
            return f"{report}, called filled"
        if report.status not in _GRADES or not report.reason:
            return f"{report}, without a reason"
        return ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Slippage:
    """No fill is worse than the intent's decision price by more than its limit. Checked: fills with such a limit."""

    id: str
    name: str
    statement: str
    exchange: str = "binance"
    needs_end: bool = False

    def judge(self, history: History) -> InvariantResult:
        """Compare each fill's price with the worst one allowed."""
        checked = 0
        offences: list[Offence] = []
        for intent in read_intents(history, self.exchange):
            if intent.decision_price is None:
                continue
            checked += len(intent.fills)
            slips = [(_slip_bps(fill, intent.decision_price), fill) for fill in intent.fills]
            beyond = [(bps, fill) for bps, fill in slips if bps > intent.limit_bps]
            if beyond:
                bps, fill = max(beyond, key=lambda one: one[0])
                what = (
                    f"filled at {fill.price}, {bps:.1f} bps beyond {intent.decision_price} (limit {intent.limit_bps})"
                )
                offences.append(Offence(intent, what, fill.time_ns, float(bps)))
        return judged(self, history, offences, checked=checked, what="filled beyond the limit")


def _slip_bps(fill: Fill, price: Decimal) -> Decimal:
    """Return by how much a fill is worse than a price, in basis points."""
    worse = fill.price - price if fill.side == "BUY" else price - fill.price
    return worse / price * 10_000


def no_overfill(*, id: str = "EX1") -> NoOverfill:  # noqa: A002 - the word of PATCHES.md
    """Declare that no intent is filled beyond what was asked for."""
    return NoOverfill(id=id, name="no-overfill", statement="filled at the exchange <= requested, over all attempts")


def agreed(*, id: str = "EX2") -> Agreed:  # noqa: A002
    """Declare that reports are what the ledger says."""
    return Agreed(id=id, name="agreed", statement="what is reported is what the exchange's ledger says")


def accounted(*, id: str = "EX4") -> Accounted:  # noqa: A002
    """Declare that what is missing is named."""
    return Accounted(id=id, name="filled", statement=">= 90 % filled, or a typed outcome: what is missing, and why")


def slippage(*, id: str = "EX5") -> Slippage:  # noqa: A002
    """Declare that fills stay within the slippage."""
    return Slippage(id=id, name="slippage", statement="no fill is worse than the decision price by more than the limit")
