"""How an offence against what was promised for an intent is explained."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from harness.history.history import History
from harness.invariants.base import Invariant, none_of
from harness.invariants.exchange_record import Request
from harness.invariants.findings import Moment, at, counted, finding
from harness.invariants.intents import Intent
from harness.verdict import Finding, InvariantResult


@dataclass(frozen=True, slots=True)
class Offence:
    """One intent and what is wrong with it; `at_ns` is when, `excess` how badly."""

    intent: Intent
    what: str
    at_ns: int
    excess: float = 0.0


def judged(
    invariant: Invariant, history: History, offences: Sequence[Offence], *, checked: int, what: str, reason: str = ""
) -> InvariantResult:
    """Return the result of an invariant over intents."""
    reason = reason or ("" if checked else "nothing was to be executed")
    return none_of(
        invariant,
        offences,
        checked=checked,
        unit="intents",
        reason=reason,
        explain=lambda: _explain(history, offences, what),
    )


def _explain(history: History, offences: Sequence[Offence], what: str) -> Finding:
    worst = max(offences, key=lambda one: one.excess)
    return finding(
        history,
        f"{counted(len(offences), 'intent')} {what} (limit 0): {worst.intent.key} {worst.what}",
        sorted(offences, key=lambda one: one.intent.start_ns),
        label=lambda one: at(one.intent.key, one.at_ns),
        moments=_moments,
        badness=lambda one: one.excess,
    )


def _moments(offence: Offence) -> Iterator[Moment]:
    intent = offence.intent
    wanted = f"{intent.side} {intent.quantity} {intent.symbol} wanted"
    yield Moment(intent.start_ns, intent.calls[0].actor, wanted, intent.key)
    for request in intent.attempts[-3:]:
        yield Moment(request.time_ns, "binance", _sent(request), intent.key)
    for fill in intent.fills[-2:]:
        yield Moment(fill.time_ns, "binance", f"filled {fill.quantity} at {fill.price}", intent.key)
    for report in intent.reports[-1:]:
        yield Moment(report.time_ns, intent.calls[-1].actor, str(report), intent.key)
    yield Moment(offence.at_ns, "harness", offence.what, intent.key, offending=True)


def _sent(request: Request) -> str:
    effect = ", took effect" if request.executed else ""
    return f"{request} as {request.client_id}{effect}"
