"""Invariants: pure functions of a history, and how their answers are kept honest.

An invariant says Holds, Violated or Inconclusive. `judge_all` sees to it that no answer is better than
what it rests on: a checker that crashes is an ERROR, one that looked at nothing is INCONCLUSIVE, and one
that needs the end of the run does not hold in a history that was cut short.
"""

from collections.abc import Callable, Iterable, Sized
from dataclasses import replace
from types import TracebackType
from typing import Protocol

from harness.history.history import History
from harness.verdict import Finding, InvariantResult, Outcome


class Invariant(Protocol):
    """What must be true of every run. Implementations are frozen dataclasses; judging changes nothing."""

    @property
    def id(self) -> str:
        """Its id in code, reports and issues: EB1."""

    @property
    def name(self) -> str:
        """Its short name: no-acked-loss."""

    @property
    def statement(self) -> str:
        """What it demands, in one sentence."""

    @property
    def needs_end(self) -> bool:
        """True if a history that was cut short cannot show that it holds."""

    def judge(self, history: History) -> InvariantResult:
        """Judge one history; the same history always gives the same result."""


def result(
    invariant: Invariant,
    verdict: Outcome,
    *,
    checked: int,
    observed: float | str | None = None,
    limit: float | str | None = None,
    unit: str = "",
    reason: str = "",
    finding: Finding | None = None,
) -> InvariantResult:
    """Return a result in the invariant's name."""
    return InvariantResult(
        id=invariant.id,
        name=invariant.name,
        statement=invariant.statement,
        verdict=verdict,
        checked=checked,
        observed=observed,
        limit=limit,
        unit=unit,
        reason=reason,
        finding=finding,
    )


def none_of(
    invariant: Invariant,
    offences: Sized,
    *,
    checked: int,
    unit: str,
    reason: str = "",
    explain: Callable[[], Finding],
) -> InvariantResult:
    """Return the result of an invariant that allows no offence at all: Holds without, Violated with any."""
    count = len(offences)
    return result(
        invariant,
        Outcome.VIOLATED if count else Outcome.HOLDS,
        checked=checked,
        observed=count,
        limit=0,
        unit=unit,
        reason="" if count else reason,
        finding=explain() if count else None,
    )


def judge_all(history: History, invariants: Iterable[Invariant]) -> tuple[InvariantResult, ...]:
    """Judge a history by each invariant in turn; never raises on account of a checker."""
    return tuple(_judge(history, invariant) for invariant in invariants)


def _judge(history: History, invariant: Invariant) -> InvariantResult:
    try:
        judged = invariant.judge(history)
    except Exception as error:  # noqa: BLE001 - a broken checker is an answer of its own, and never "holds"
        reason = f"the checker raised {_describe(error)}"
        return result(invariant, Outcome.ERROR, checked=0, reason=reason)
    if judged.verdict is not Outcome.HOLDS:
        return judged
    if judged.checked == 0:
        reason = judged.reason or "nothing in the history could be checked"
        return replace(judged, verdict=Outcome.INCONCLUSIVE, reason=reason)
    if history.truncated and invariant.needs_end:
        reason = "the history was cut short; what is missing of it could have broken this"
        return replace(judged, verdict=Outcome.INCONCLUSIVE, reason=reason)
    return judged


def _describe(error: BaseException) -> str:
    """Return type, text and place. The place is a module and a line, so that it is the same on every machine."""
    place = _innermost(error.__traceback__)
    text = " ".join(str(error).split())[:300]
    return f"{type(error).__name__}{': ' if text else ''}{text} (at {place})"


def _innermost(trace: TracebackType | None) -> str:
    place = "an unknown place"
    while trace is not None:
        module = trace.tb_frame.f_globals.get("__name__", "?")
        place = f"{module}:{trace.tb_lineno} in {trace.tb_frame.f_code.co_name}"
        trace = trace.tb_next
    return place
