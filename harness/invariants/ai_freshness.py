"""AI4: every figure says from when it is, truly, and says that it is stale once it is.

The age that an answer gives is compared with the age that the figure has by the harness's own record: from the
operation that gave the engine the newest counted outcome to the answer. The engine's clock is only trusted to run, not
to be right: ages are differences.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from harness.history.history import History
from harness.invariants.ai_answers import Told, Wrong, answers, explain, told
from harness.invariants.ai_record import read_engines
from harness.invariants.ai_states import Expected
from harness.invariants.base import none_of
from harness.units import MILLISECOND, SECOND, human, ms
from harness.verdict import InvariantResult

_ROUNDING_NS: Final = 2 * MILLISECOND


@dataclass(frozen=True, slots=True, kw_only=True)
class Fresh:
    """Figures carry `as_of`, `age_s` and `stale`, and these are true within a margin, of its own in the real world.

    Observed: figures that are not. Checked: figures with a value; none counts unless some figure had to be stale.
    """

    id: str
    name: str
    statement: str
    limit_ns: int
    margin_ns: int
    real_margin_ns: int
    window: int
    stuck_after: int
    needs_end: bool = False

    def judge(self, history: History) -> InvariantResult:
        """Judge every figure that has a value."""
        margin_ns = self.real_margin_ns if history.header.world == "real" else self.margin_ns
        engines = read_engines(history, self.window, self.stuck_after)
        checked, stale = 0, 0
        wrong: list[Wrong] = []
        for question in answers(history):
            engine = engines.get(question.value["engine"])
            for one in () if engine is None else told(question):
                if one.value is None:
                    continue
                assert engine is not None
                span = _ages(one, engine.candidates(one.source, question))
                if span is None:
                    continue
                checked += 1
                stale += span[0] > self.limit_ns + margin_ns
                if what := self._what_is_wrong(one, span, margin_ns):
                    wrong.append(Wrong(one, what))
        return none_of(
            self,
            wrong,
            checked=checked if stale else 0,
            unit="figures",
            reason="" if stale else "no figure was ever old enough to be stale",
            explain=lambda: explain(history, wrong, "undated"),
        )

    def _what_is_wrong(self, one: Told, span: tuple[int, int], margin_ns: int) -> str:
        figure = one.figure or {}
        age = figure.get("age_s")
        as_of, now = _moment(figure.get("as_of")), _moment(one.body.get("timestamp"))
        if not isinstance(age, int | float) or isinstance(age, bool) or as_of is None or now is None:
            return "does not say from when it is"
        if abs((now - as_of) - age) * SECOND > _ROUNDING_NS:
            return f"its age of {age} s is not what lies between its times, {now - as_of:.3f} s"
        return _untrue(figure, age, self.limit_ns, span[0] - margin_ns, span[1] + margin_ns)


def _untrue(figure: Mapping[str, Any], age: float, limit_ns: int, low_ns: int, high_ns: int) -> str:
    """Return what is untrue of an age that lies between these, or an empty string."""
    stale = figure.get("stale")
    if not low_ns <= age * SECOND <= high_ns:
        return f"is {age} s old by its own word, but between {human(max(0, low_ns))} and {human(high_ns)}"
    if low_ns > limit_ns and stale is not True:
        return f"is {age} s old and not called stale (limit {human(limit_ns)})"
    if high_ns < limit_ns and stale is not False:
        return f"is {age} s old and called stale (limit {human(limit_ns)})"
    if (figure.get("status") == "stale") != (stale is True):
        return f"has status {str(figure.get('status'))!r} and stale {stale!r}"
    return ""


def _ages(one: Told, candidates: Sequence[Expected]) -> tuple[int, int] | None:
    """Return the least and the greatest age in nanoseconds that the figure can have had when it was told."""
    question = one.question
    assert question.end_ns is not None
    ages = []
    for candidate in candidates:
        if candidate.as_of is not None:
            since_ns, until_ns = candidate.as_of
            until_ns = question.end_ns if until_ns is None else min(until_ns, question.end_ns)
            ages.append((max(0, question.start_ns - until_ns), question.end_ns - since_ns))
    return (min(low for low, _ in ages), max(high for _, high in ages)) if ages else None


def _moment(text: Any) -> float | None:
    """Return an ISO 8601 time in seconds; None if it is none."""
    try:
        return datetime.fromisoformat(text).timestamp()
    except (TypeError, ValueError):
        return None


def fresh(
    limit_ns: int,
    *,
    window: int,
    stuck_after: int,
    margin_ns: int = ms(5),
    real_margin_ns: int = ms(500),
    id: str = "AI4",  # noqa: A002 - the word of PATCHES.md
) -> Fresh:
    """Declare that figures older than the limit are shown as stale."""
    return Fresh(
        id=id,
        name="fresh",
        statement=f"each figure carries its as-of time; older than {human(limit_ns)} it is shown as stale",
        limit_ns=limit_ns,
        margin_ns=margin_ns,
        real_margin_ns=real_margin_ns,
        window=window,
        stuck_after=stuck_after,
    )
