"""AI3: what is not there is told as null with a reason, what is there goes on, and nothing leaks."""

import json
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from harness.history.history import History
from harness.invariants.ai_answers import SHOWN_CHARS_MAX, Told, Wrong, answers, explain, figures_of, said, told
from harness.invariants.ai_record import read_engines
from harness.invariants.ai_states import SLOTS, EngineRecord, Fabricated
from harness.invariants.base import none_of
from harness.invariants.findings import Moment, at, counted, finding
from harness.verdict import Finding, InvariantResult

_CODE: Final = re.compile(r"[a-z][a-z0-9_]{1,39}")
_SERVES: Final = 200
_HAS_NOTHING: Final = 503


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
        for one in figures_of(history, engines):
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


def _absence_wrong(one: Told, owed: Collection[str]) -> str:
    """Return what is wrong about a figure being there or not, or an empty string."""
    figure = one.figure
    if figure is None:
        return "has no such figure, and says nothing of it"
    if one.value is None:
        return _null_wrong(figure, owed)
    if owed == {"nothing"}:
        return f"told {said(one)} though there is nothing to tell"
    if figure.get("status") not in ("ok", "stale"):
        return f"has a value, but its status is {str(figure.get('status'))[:SHOWN_CHARS_MAX]!r}"
    return ""


def _null_wrong(figure: Mapping[str, Any], owed: Collection[str]) -> str:
    reason = figure.get("reason")
    if not isinstance(reason, str) or not _CODE.fullmatch(reason):
        return f"null without a reason (a short code), but {str(reason)[:SHOWN_CHARS_MAX]!r}"
    if figure.get("status") != "unavailable":
        return f"null, but its status is {str(figure.get('status'))[:SHOWN_CHARS_MAX]!r}"
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


def absent_is_absent(*, window: int, stuck_after: int, id: str = "AI3") -> AbsentIsAbsent:  # noqa: A002
    """Declare that a model that is away has no figure, and that the others are unaffected."""
    return AbsentIsAbsent(
        id=id,
        name="absent-is-absent",
        statement="with a model away its figure is null with a reason, the others are unaffected, nothing leaks",
        window=window,
        stuck_after=stuck_after,
    )
