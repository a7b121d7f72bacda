"""What many seeds came to, in words: the same sentence in every format."""

from typing import Final

from harness.intervals import CONFIDENCE
from harness.measures import Spread, measure_of
from harness.tally import Tally
from reports.text import figure, plural

CHOSEN_MAX: Final = 8


def sentence_of(tally: Tally) -> str:
    """Return how many runs passed, how sure that is, and what else became of runs."""
    parts = [_rate(tally)]
    parts += [
        f"{count:,} {what}"
        for count, what in (
            (tally.inconclusive, "could not be judged"),
            (tally.errors, "ended in a harness error"),
            (tally.crashed, "lost: crashed"),
            (tally.timed_out, "lost: timed out"),
        )
        if count
    ]
    text = "; ".join(parts)
    return text if tally.lowest_failing is None else f"{text}; lowest failing seed {tally.lowest_failing}"


def _rate(tally: Tally) -> str:
    if tally.rate is None:
        return f"none of {plural(tally.runs, 'run')} was judged"
    interval = f"{_percent(tally.low)} to {_percent(tally.high)}"
    judged = plural(tally.judged, "judged run")
    return f"{tally.passed:,} of {judged} passed, {_percent(tally.rate)} ({CONFIDENCE * 100:.0f} % interval {interval})"


def _percent(share: float) -> str:
    return f"{share * 100:.4g} %"


def chosen_spreads(tally: Tally) -> tuple[Spread, ...]:
    """Return the figures that say how well a target does; not counts that are zero in every seed."""
    told = (spread for spread in tally.spreads if measure_of(spread.name) and (spread.least, spread.greatest) != (0, 0))
    return tuple(told)


def spread_text(spread: Spread) -> str:
    """Return the figure over its seeds in one line."""
    parts = [("median", spread.median), ("p90", spread.p90), ("p99", spread.p99), ("greatest", spread.greatest)]
    told = ", ".join(f"{name} {figure(value)}" for name, value in parts if value is not None)
    return f"{told} ({plural(spread.samples, 'seed')})"
