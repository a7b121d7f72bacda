"""AI1 and AI2: an AI engine's figures are its own results, and no constants."""

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import combinations
from typing import Any, Final

from harness.history.history import History
from harness.invariants.ai_answers import Told, Wrong, explain, figures_of, said
from harness.invariants.ai_record import read_engines
from harness.invariants.ai_states import ENSEMBLE, SIZING, SLOTS, Expected
from harness.invariants.base import none_of
from harness.verdict import InvariantResult

_CLOSE: Final = 1e-9
_SAME_MIN: Final = 8
"""Answers that must agree before a figure is called constant, and comparisons before two engines are called equal."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Causal:
    """Every figure that is told is that of the engine's own predictions against what came, recomputed.

    Observed: figures that are none of the states the engine can have been in. Checked: figures with a value.
    """

    id: str
    name: str
    statement: str
    window: int
    stuck_after: int
    needs_end: bool = False

    def judge(self, history: History) -> InvariantResult:
        """Compare each figure with the states between the question and the answer."""
        engines = read_engines(history, self.window, self.stuck_after)
        checked = 0
        wrong: list[Wrong] = []
        for one in figures_of(history, engines):
            if one.value is None:
                continue
            checked += 1
            candidates = engines[one.engine].candidates(one.source, one.question)
            if not any(_is(one, candidate) for candidate in candidates):
                wrong.append(Wrong(one, f"told {said(one)}; recomputed: {_owed(one, candidates)}"))
        return none_of(self, wrong, checked=checked, unit="figures", explain=lambda: explain(history, wrong, "wrong"))


@dataclass(frozen=True, slots=True, kw_only=True)
class NotConstant:
    """A figure moves when what it is of has moved, and two engines with different records tell different figures.

    Judged where at least eight answers can be compared. Observed: figures that did not move, or pairs that never
    differed. Checked: figures, and pairs, that had to.
    """

    id: str
    name: str
    statement: str
    window: int
    stuck_after: int
    needs_end: bool = False

    def judge(self, history: History) -> InvariantResult:
        """Compare what was told over time, and what engines told of the same source."""
        engines = read_engines(history, self.window, self.stuck_after)
        series: dict[tuple[str, str], list[tuple[Told, Fraction]]] = defaultdict(list)
        for one in figures_of(history, engines):
            candidates = engines[one.engine].candidates(one.source, one.question)
            owed = _value(one.source, candidates[-1]) if candidates else None
            if one.value is not None and owed is not None and one.source in (*SLOTS, ENSEMBLE):
                series[(one.source, one.engine)].append((one, owed))
        checked = 0
        wrong: list[Wrong] = []
        for seen in series.values():
            if len({owed for _, owed in seen}) >= _SAME_MIN:
                checked += 1
                if len({repr(one.value) for one, _ in seen}) == 1:
                    wrong.append(Wrong(seen[-1][0], f"told {said(seen[-1][0])} every time, while the record moved"))
        for (source, first), (other, second) in combinations(sorted(series), 2):
            if source == other:
                compared = _pairs(series[(source, first)], series[(source, second)])
                if len(compared) >= _SAME_MIN:
                    checked += 1
                    if all(one.value == two.value for one, two in compared):
                        text = f"told {said(compared[-1][0])}, as {second} does, though their records differ"
                        wrong.append(Wrong(compared[-1][0], text))
        return none_of(
            self, wrong, checked=checked, unit="figures", explain=lambda: explain(history, wrong, "constant")
        )


def _is(one: Told, candidate: Expected) -> bool:
    """Whether that state's figure is what was told."""
    owed = _value(one.source, candidate)
    if owed is None or not _close(one.value, owed):
        return False
    figure = one.figure or {}
    if figure.get("samples") != candidate.samples:
        return False
    if one.source != ENSEMBLE or candidate.confidence is None:
        return True
    return _close(figure.get("confidence"), candidate.confidence)


def _value(source: str, candidate: Expected) -> Fraction | None:
    return candidate.mean_reward if source == SIZING else candidate.accuracy


def _close(value: Any, owed: float | Fraction) -> bool:
    """Whether a value that came as JSON is that number."""
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return number and math.isclose(value, owed, rel_tol=_CLOSE, abs_tol=_CLOSE)


def _owed(one: Told, candidates: Sequence[Expected]) -> str:
    shown = []
    for candidate in candidates[:3]:
        value = _value(one.source, candidate)
        confidence = f", confidence {candidate.confidence}" if one.source == ENSEMBLE else ""
        shown.append("none" if value is None else f"{float(value):.6g} of {candidate.samples}{confidence}")
    return " or ".join(shown) or "none"


def _pairs(first: Sequence[tuple[Told, Fraction]], second: Sequence[tuple[Told, Fraction]]) -> list[tuple[Told, Told]]:
    """Return answers of two engines, the n-th of the one with the n-th of the other, where their records differ."""
    return [(one, two) for (one, owed), (two, other) in zip(first, second, strict=False) if owed != other]


def causal(*, window: int, stuck_after: int, id: str = "AI1") -> Causal:  # noqa: A002 - the word of PATCHES.md
    """Declare that figures follow outcomes exactly."""
    return Causal(
        id=id,
        name="causal",
        statement="feeding outcomes moves each figure exactly as an independent recomputation says",
        window=window,
        stuck_after=stuck_after,
    )


def not_constant(*, window: int, stuck_after: int, id: str = "AI2") -> NotConstant:  # noqa: A002
    """Declare that figures are not constants."""
    return NotConstant(
        id=id,
        name="not-constant",
        statement="figures move with their records, and two engines with different data report different figures",
        window=window,
        stuck_after=stuck_after,
    )
