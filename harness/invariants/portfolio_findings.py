"""How an offence of a portfolio is explained."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction

from harness.history.history import History
from harness.invariants.base import Invariant, none_of
from harness.invariants.findings import Moment, at, counted, finding
from harness.invariants.portfolio_record import Step
from harness.verdict import Finding, InvariantResult


@dataclass(frozen=True, slots=True)
class Offence:
    """A step after which a book said what it must not; `before` is the one compared with, `excess` how bad it is."""

    step: Step
    what: str
    before: Step | None = None
    excess: float = 0.0


def judged(
    invariant: Invariant,
    history: History,
    offences: Sequence[Offence],
    *,
    checked: int,
    what: str,
    unit: str = "steps",
    reason: str = "",
) -> InvariantResult:
    """Return the result of an invariant over steps."""
    return none_of(
        invariant,
        offences,
        checked=checked,
        unit=unit,
        reason="" if checked else reason,
        explain=lambda: _explain(history, offences, what),
    )


def _explain(history: History, offences: Sequence[Offence], what: str) -> Finding:
    first = offences[0]
    return finding(
        history,
        f"{counted(len(offences), 'step')} after which {what} (limit 0): {first.step.label}: {first.what}",
        offences,
        label=lambda one: at(one.step.label, one.step.time_ns),
        moments=_moments,
        badness=lambda one: one.excess,
    )


def _moments(offence: Offence) -> Iterator[Moment]:
    if offence.before is not None:
        yield offence.before.moment(f"{offence.before.kind}: figures as they were")
    batch = offence.step.entries
    given = f"{offence.step.kind} of {counted(len(batch), 'entry')}" if batch else str(offence.step.kind)
    start_ns = offence.step.record.start_ns
    yield Moment(start_ns, offence.step.record.actor, given, offence.step.label)
    yield offence.step.moment(offence.what, offending=True)


def told(figure: Fraction | str) -> str:
    """Return a figure as a finding shows it: a decimal if it is one, of not too many digits."""
    if isinstance(figure, str):
        return figure[:40]
    places = 0
    while places < 24 and (figure * 10**places).denominator != 1:  # noqa: PLR2004 - as many as fit in a line
        places += 1
    scaled = figure * 10**places
    if scaled.denominator != 1:
        return f"about {float(figure):.12g}"
    digits = str(abs(scaled.numerator)).rjust(places + 1, "0")
    sign = "-" if figure < 0 else ""
    return f"{sign}{digits[:-places]}.{digits[-places:]}" if places else f"{sign}{digits}"


def gap(one: Fraction | str, other: Fraction | str) -> float:
    """Return how far two figures are apart."""
    return float("inf") if isinstance(one, str) or isinstance(other, str) else float(abs(one - other))
