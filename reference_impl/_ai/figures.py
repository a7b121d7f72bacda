"""What is reported, and in which words. Pure: the state and the time come in, plain JSON data comes out.

A figure that is not known is null with a `reason`, a short code; never 0.0, never a constant. A figure that is known
says of how many predictions it is (`samples` of at most `window`), and when the newest of their outcomes came
(`as_of`, `age_s`). Older than the limit, it is `stale`, and says so. Nothing here can hold an exception's text.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal, TypeAlias

from reference_impl._ai.decisions import ENSEMBLE, META, SIZING, STRATEGIES, arm_values, strategy_of
from reference_impl._ai.rolling import Key, Record, Rolling
from reference_impl._ai.walk_forward import Evaluation

Status: TypeAlias = Literal["ok", "degraded", "stale", "unavailable"]
Figure: TypeAlias = dict[str, Any]


@dataclass(frozen=True, slots=True)
class SlotView:
    """One model as it is reported: whose record, why it is unavailable (None: it is not), how it was evaluated."""

    name: str
    key: Key | None
    reason: str | None
    evaluation: Evaluation | None = None


@dataclass(frozen=True, slots=True)
class View:
    """Everything that reports are made of, at one moment."""

    slots: Sequence[SlotView]
    rolling: Rolling
    now_ms: int
    stale_after_ms: int


@dataclass(frozen=True, slots=True)
class Report:
    """An answer: 200, or 503 when there is nothing to tell; and its body."""

    http_status: int
    body: Figure


def ml_metrics(view: View) -> Report:
    """Return the accuracy of each model and the confidence of their ensemble."""
    models = {slot.name: _model(view, slot) for slot in view.slots}
    states = [figure["status"] for figure in models.values()]
    return _report(view, _overall(states), {"models": {**models, "ensemble": _ensemble(view)}})


def ensemble(view: View) -> Report:
    """Return the ensemble's own record, and who is in it."""
    figure = _ensemble(view)
    members = {slot.name: slot.reason is None for slot in view.slots}
    return _report(view, figure["status"], {"ensemble": {**figure, "members": members}})


def meta_strategy(view: View) -> Report:
    """Return the record of the strategies that were chosen, of each by itself, and which one is chosen now."""
    records = {name: view.rolling.record(key) for name, key in STRATEGIES.items()}
    figure = _figure(view, META, None)
    if figure["reason"] is None:
        figure["chosen"] = strategy_of(records)
    figure["strategies"] = {
        name: {"accuracy": record.accuracy, "samples": record.samples} for name, record in records.items()
    }
    return _report(view, figure["status"], {"meta_strategy": figure})


def rl_sizing(view: View) -> Report:
    """Return what the chosen sizes have earned, what was learnt of each, and the size that is chosen now."""
    record = view.rolling.record(SIZING)
    figure = _figure(view, SIZING, None)
    known = figure["reason"] is None and record.samples > 0
    figure["mean_reward_ppm"] = record.reward / 100 / record.samples if known else None
    figure["size_percent"] = record.newest.size if known and record.newest else None
    figure["arms"] = [
        {"confidence_class": arm, "size_percent": size, "value_ppm": value, "tried": tried}
        for (arm, size), (value, tried) in sorted(arm_values(record).items())
    ]
    return _report(view, figure["status"], {"rl_sizing": figure})


def iso(time_ms: int) -> str:
    """Return Unix milliseconds as ISO 8601 in UTC."""
    moment = datetime.fromtimestamp(time_ms / 1000, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _model(view: View, slot: SlotView) -> Figure:
    figure = _figure(view, slot.key, slot.reason)
    known = slot.evaluation
    figure["walk_forward"] = known and {"accuracy": known.accuracy, "samples": known.samples, "folds": known.folds}
    return figure


def _ensemble(view: View) -> Figure:
    members = [slot for slot in view.slots if slot.reason is None]
    figure = _figure(view, ENSEMBLE, None if members else "no_members")
    newest = view.rolling.record(ENSEMBLE).newest
    figure["confidence"] = newest.confidence if newest and figure["reason"] is None else None
    return figure


def _figure(view: View, key: Key | None, reason: str | None) -> Figure:
    """Return what all figures have in common: the hit rate of a record, of how much, from when."""
    record = Record(view.rolling.window) if key is None else view.rolling.record(key)
    if reason is None and not record.samples:
        reason = "no_outcomes"
    as_of_ms = record.as_of_ms
    age_ms = None if as_of_ms is None else max(0, view.now_ms - as_of_ms)
    stale = age_ms is not None and age_ms > view.stale_after_ms
    status: Status = "unavailable" if reason is not None else "stale" if stale else "ok"
    return {
        "status": status,
        "reason": reason,
        "version": None if key is None else key[1],
        "accuracy": record.accuracy if reason is None else None,
        "samples": record.samples,
        "window": record.window,
        "as_of": None if as_of_ms is None else iso(as_of_ms),
        "age_s": None if age_ms is None else age_ms / 1000,
        "stale": stale,
    }


def _overall(states: Sequence[Status]) -> Status:
    left = [state for state in states if state != "unavailable"]
    if not left:
        return "unavailable"
    if "ok" not in left:
        return "stale"
    return "ok" if set(states) == {"ok"} else "degraded"


def _report(view: View, status: Status, body: Mapping[str, Any]) -> Report:
    http_status = 503 if status == "unavailable" else 200
    return Report(http_status, {"status": status, **body, "timestamp": iso(view.now_ms)})
