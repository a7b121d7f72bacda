"""What dashboards were told of an AI engine: answers taken apart into figures, and how a wrong one is explained."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from harness.history.history import History
from harness.history.query import OperationRecord, operations
from harness.invariants.ai_states import ENSEMBLE, META, SIZING, SLOTS, EngineRecord
from harness.invariants.findings import Moment, at, counted, finding
from harness.verdict import Finding

SHOWN_CHARS_MAX: Final = 80


@dataclass(frozen=True, slots=True)
class Told:
    """One figure of one answer; `figure` is None if the answer has no such figure."""

    question: OperationRecord
    engine: str
    source: str
    figure: Mapping[str, Any] | None
    body: Any
    status: int

    @property
    def value(self) -> Any:
        """The figure's number: the accuracy, or what the sizes have earned."""
        if self.figure is None:
            return None
        return self.figure.get("mean_reward_ppm" if self.source == SIZING else "accuracy")


def answers(history: History) -> list[OperationRecord]:
    """Return the questions that got an answer over HTTP; an emergency stop's `metrics` are another kind."""
    asked = [one for one in operations(history, "metrics") if "engine" in one.value]
    return [one for one in asked if one.outcome == "ok" and one.result is not None]


def told(question: OperationRecord) -> Iterator[Told]:
    """Yield the figures that the answer to a question has, or should have."""
    assert question.result is not None
    body, status = question.result["body"], question.result["status"]
    path = str(question.value["path"]).rpartition("/")[2]
    places: dict[str, tuple[str, ...]] = {
        "ml_metrics": (*SLOTS, ENSEMBLE),
        "ensemble": (ENSEMBLE,),
        "meta-strategy": (META,),
        "rl-sizing": (SIZING,),
    }
    for source in places.get(path, ()):
        holder = body.get("models") if path == "ml_metrics" and isinstance(body, dict) else body
        figure = holder.get(source.replace("-", "_")) if isinstance(holder, dict) else None
        kept = figure if isinstance(figure, dict) else None
        yield Told(question, str(question.value["engine"]), source, kept, body, status)


def figures_of(history: History, engines: dict[str, EngineRecord]) -> Iterator[Told]:
    """Yield every figure that was told of these engines."""
    for question in answers(history):
        if question.value["engine"] in engines:
            yield from told(question)


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


def said(one: Told) -> str:
    """Return a figure as a sentence has it."""
    figure = one.figure or {}
    said = f"{str(one.value)[:SHOWN_CHARS_MAX]} of {figure.get('samples', 'no')} samples"
    return f"{said}, confidence {figure.get('confidence')}" if one.source == ENSEMBLE else said


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
