"""AI1 to AI3: an AI engine's figures are its own results, no constants, and absent where there is nothing to tell."""

import json
import math
import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import combinations
from typing import Any, Final

from harness.history.history import History
from harness.invariants.ai_record import (
    ENSEMBLE,
    SIZING,
    SLOTS,
    EngineRecord,
    Expected,
    Fabricated,
    Told,
    answers,
    read_engines,
    told,
)
from harness.invariants.base import none_of
from harness.invariants.findings import Moment, at, counted, finding
from harness.verdict import Finding, InvariantResult

_CLOSE: Final = 1e-9
_CODE: Final = re.compile(r"[a-z][a-z0-9_]{1,39}")
_SERVES: Final = 200
_HAS_NOTHING: Final = 503
_SAME_MIN: Final = 8
"""Answers that must agree before a figure is called constant, and comparisons before two engines are called equal."""
_SHOWN_CHARS_MAX: Final = 80


@dataclass(frozen=True, slots=True)
class Wrong:
    """A figure that is not what it must be, and why."""

    told: Told
    what: str

    @property
    def label(self) -> str:
        """Which figure of which engine."""
        return f"{self.told.source} of {self.told.engine}"

    def moments(self) -> Iterator[Moment]:
        """Yield the rows of a timeline."""
        question = self.told.question
        assert question.end_ns is not None
        yield Moment(question.start_ns, question.actor, f"asked {self.told.engine} for {question.value['path']}", "")
        yield Moment(question.end_ns, self.told.engine, self.what, self.label, offending=True)


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
        for one in _figures(history, engines):
            if one.value is None:
                continue
            checked += 1
            candidates = engines[one.engine].candidates(one.source, one.question)
            if not any(_is(one, candidate) for candidate in candidates):
                wrong.append(Wrong(one, f"told {_said(one)}; recomputed: {_owed(one, candidates)}"))
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
        for one in _figures(history, engines):
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
                    wrong.append(Wrong(seen[-1][0], f"told {_said(seen[-1][0])} every time, while the record moved"))
        for (source, first), (other, second) in combinations(sorted(series), 2):
            if source == other:
                compared = _pairs(series[(source, first)], series[(source, second)])
                if len(compared) >= _SAME_MIN:
                    checked += 1
                    if all(one.value == two.value for one, two in compared):
                        text = f"told {_said(compared[-1][0])}, as {second} does, though their records differ"
                        wrong.append(Wrong(compared[-1][0], text))
        return none_of(
            self, wrong, checked=checked, unit="figures", explain=lambda: explain(history, wrong, "constant")
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class AbsentIsAbsent:
    """What is not there is told as null with a reason, the rest goes on, and no answer tells more than codes.

    A model that was taken away, fails, hangs, or is stuck has no figure. One that predicts has. Without any model the
    answer is 503; with one it is 200. No prediction is made up for a model that cannot have made one, and none is
    missing of a model that nothing was done to (sim world: there nothing else can be the cause). No text of an
    exception that a model raised is in any answer. Observed: offences. Checked: figures that had to be null, or there.
    """

    id: str
    name: str
    statement: str
    window: int
    stuck_after: int
    needs_end: bool = False

    def judge(self, history: History) -> InvariantResult:
        """Judge figures where all states between the question and the answer agree on what is owed."""
        engines = read_engines(history, self.window, self.stuck_after)
        canaries = [canary for engine in engines.values() for canary in engine.canaries]
        checked, nulls = 0, 0
        wrong: list[Wrong] = []
        for one in _figures(history, engines):
            candidates = engines[one.engine].candidates(one.source, one.question)
            owed = {candidate.owed for candidate in candidates}
            checked += len(owed) == 1 and owed != {"either"}
            nulls += owed == {"nothing"} and all(candidate.samples for candidate in candidates)
            what = _absence_wrong(one, owed)
            wrong += [Wrong(one, what)] if what else []
        for question in answers(history):
            figures = list(told(question))
            what = _answer_wrong(question.result or {}, figures, engines, canaries)
            wrong += [Wrong(figures[0], what)] if what else []
        made_up = [one for engine in engines.values() for one in engine.fabricated]
        return none_of(
            self,
            [*wrong, *made_up],
            checked=checked if nulls else 0,
            unit="offences",
            reason="" if nulls else "no model was ever away",
            explain=lambda: explain(history, wrong, "dishonest") if wrong else _explain_made_up(history, made_up),
        )


def _figures(history: History, engines: dict[str, EngineRecord]) -> Iterator[Told]:
    for question in answers(history):
        if question.value["engine"] in engines:
            yield from told(question)


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


def _said(one: Told) -> str:
    figure = one.figure or {}
    said = f"{str(one.value)[:_SHOWN_CHARS_MAX]} of {figure.get('samples', 'no')} samples"
    return f"{said}, confidence {figure.get('confidence')}" if one.source == ENSEMBLE else said


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


def _absence_wrong(one: Told, owed: Collection[str]) -> str:
    """Return what is wrong about a figure being there or not, or an empty string."""
    figure = one.figure
    if figure is None:
        return "has no such figure, and says nothing of it"
    if one.value is None:
        return _null_wrong(figure, owed)
    if owed == {"nothing"}:
        return f"told {_said(one)} though there is nothing to tell"
    if figure.get("status") not in ("ok", "stale"):
        return f"has a value, but its status is {str(figure.get('status'))[:_SHOWN_CHARS_MAX]!r}"
    return ""


def _null_wrong(figure: Mapping[str, Any], owed: Collection[str]) -> str:
    reason = figure.get("reason")
    if not isinstance(reason, str) or not _CODE.fullmatch(reason):
        return f"null without a reason (a short code), but {str(reason)[:_SHOWN_CHARS_MAX]!r}"
    if figure.get("status") != "unavailable":
        return f"null, but its status is {str(figure.get('status'))[:_SHOWN_CHARS_MAX]!r}"
    return f"null ({reason}) though it predicts" if owed == {"value"} else ""


def _answer_wrong(
    result: dict[str, Any], figures: Sequence[Told], engines: dict[str, EngineRecord], canaries: Iterable[str]
) -> str:
    """Return what is wrong about an answer as a whole, or an empty string."""
    text = json.dumps(result["body"])
    for canary in canaries:
        if canary in text:
            return f"the answer holds the text of an exception ({canary})"
    if "Traceback" in text:
        return "the answer holds a traceback"
    if result["status"] not in (_SERVES, _HAS_NOTHING):
        return f"the answer is {result['status']}"
    models = [one for one in figures if one.source in SLOTS] or list(figures)
    if not models or models[0].engine not in engines:
        return ""
    any_value = any(one.value is not None for one in models)
    if any_value != (result["status"] == _SERVES):
        return f"the answer is {result['status']} though {'a' if any_value else 'no'} model has a figure"
    return ""


def explain(history: History, wrong: Sequence[Wrong], kind: str) -> Finding:
    """Explain figures that are wrong."""
    first = wrong[0]
    sentence = f"{counted(len(wrong), f'{kind} figure')} (limit 0): {first.label} {first.what}"
    return finding(
        history,
        sentence,
        wrong,
        label=lambda one: at(one.label, one.told.question.start_ns),
        moments=Wrong.moments,
        badness=lambda one: -one.told.question.start_ns,
    )


def _explain_made_up(history: History, made_up: Sequence[Fabricated]) -> Finding:
    first = made_up[0]
    return finding(
        history,
        f"{counted(len(made_up), 'prediction')} cannot be as said (limit 0): {first.slot} {first.what}",
        made_up,
        label=lambda one: at(f"{one.slot} of {one.record.actor}", one.record.start_ns),
        moments=lambda one: [Moment(one.record.start_ns, one.record.actor, one.what, one.slot, offending=True)],
        badness=lambda one: -one.record.start_ns,
    )


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


def absent_is_absent(*, window: int, stuck_after: int, id: str = "AI3") -> AbsentIsAbsent:  # noqa: A002
    """Declare that a model that is away has no figure, and that the others are unaffected."""
    return AbsentIsAbsent(
        id=id,
        name="absent-is-absent",
        statement="with a model away its figure is null with a reason, the others are unaffected, nothing leaks",
        window=window,
        stuck_after=stuck_after,
    )
