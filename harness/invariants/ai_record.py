"""What an AI engine's figures must be, computed from what its host gave it and got from it, not from its answers.

The host feeds one thing after the other, so the engine goes through a line of states: after each operation that the
host invoked there is one. What a dashboard is told must be a state between the last operation that had ended when the
question was asked and the last that had begun when the answer was there. An operation without an end (the host was
killed, say) may or may not have happened; the host gives it again, and from then on it has.

Outcomes count once: the first one given to a prediction. The window of a source is the newest predictions of its
present version that have an outcome, by the order in which they were made.
"""

from bisect import insort
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from harness.history.history import History
from harness.history.query import OperationRecord, operations
from harness.invariants.ai_states import (
    ENSEMBLE,
    META,
    SIZING,
    SLOTS,
    SOURCES,
    EngineRecord,
    Expected,
    Fabricated,
    Owed,
)

_FED: Final = frozenset({"start", "train", "predict", "resolve", "disturb", "restore", "swap"})
_SILENT: Final = frozenset({"raise", "hang", "nan"})
"""Disturbances under which a model cannot have predicted anything."""


def read_engines(history: History, window: int, stuck_after: int) -> dict[str, EngineRecord]:
    """Return the record of every host that fed an engine, by its name."""
    return history.once(("ai", window, stuck_after), lambda: _read(history, window, stuck_after))


def _read(history: History, window: int, stuck_after: int) -> dict[str, EngineRecord]:
    fed: dict[str, list[OperationRecord]] = {}
    for record in operations(history):
        if record.name in _FED:
            fed.setdefault(record.actor, []).append(record)
    engines = {}
    for actor, records in fed.items():
        if any(record.name == "predict" for record in records):
            engines[actor] = _Reader(window, stuck_after, strict=history.header.world == "sim").read(actor, records)
    return engines


@dataclass(slots=True)
class _Made:
    source: str
    version: str
    order: int
    direction: int
    size: int


@dataclass(slots=True)
class _Tally:
    """The record of one source in one version."""

    window: int
    counted: list[tuple[int, bool, int]] = field(default_factory=list)
    hits: int = 0
    reward: int = 0
    as_of: tuple[int, int | None] | None = None

    def count(self, made: _Made, return_ppm: int, span: tuple[int, int | None]) -> None:
        if len(self.counted) == self.window and made.order < self.counted[0][0]:
            return
        insort(self.counted, (made.order, made.direction * return_ppm > 0, made.size * made.direction * return_ppm))
        del self.counted[: -self.window]
        self.hits = sum(hit for _, hit, _ in self.counted)
        self.reward = sum(reward for _, _, reward in self.counted)
        self.as_of = span


class _Reader:
    """Goes through what one engine was given."""

    def __init__(self, window: int, stuck_after: int, *, strict: bool) -> None:
        self._window = window
        self._stuck_after = stuck_after
        self._strict = strict
        self._made: dict[str, _Made] = {}
        self._known: dict[str, int] = {}
        self._tallies: dict[tuple[str, str], _Tally] = {}
        self._number = 0
        self._doubtful: dict[str, int] = {}
        self._doubts: dict[int, int | None] = {}
        self._usual: dict[str, str] = {}
        self._version: dict[str, str] = {}
        self._confidence: dict[str, float | None] = {}
        self._available: dict[str, Owed] = dict.fromkeys(SOURCES, "nothing")
        self._how: dict[str, str] = {}
        self._disturbed_for: dict[str, int] = {}
        self._fabricated: list[Fabricated] = []
        self._canaries: list[str] = []
        self._changes: dict[str, list[tuple[int, Expected]]] = {}

    def read(self, actor: str, records: Sequence[OperationRecord]) -> EngineRecord:
        for number, record in enumerate(records):
            self._number = number
            getattr(self, f"_{record.name}")(record)
            for source in SOURCES:
                changes = self._changes.setdefault(source, [])
                expected = self._expected(source)
                if not changes or changes[-1][1] != expected:
                    changes.append((number, expected))
        ends = sorted((one.end_at, number) for number, one in enumerate(records) if one.end_at is not None)
        upto, highest = [], -1
        for _, number in ends:
            highest = max(highest, number)
            upto.append(highest)
        return EngineRecord(
            actor=actor,
            begun=[record.start_at for record in records],
            ended=[end for end, _ in ends],
            ended_upto=upto,
            doubts=list(self._doubts.items()),
            changes=self._changes,
            fabricated=self._fabricated,
            predicts=sum(record.name == "predict" and record.outcome == "ok" for record in records),
            canaries=self._canaries,
        )

    def _expected(self, source: str) -> Expected:
        version = self._version.get(source)
        tally = self._tallies.get((source, version or ""))
        owed = self._available[source]
        if tally is None or not tally.counted:
            return Expected("nothing", version=version)
        return Expected(
            owed,
            samples=len(tally.counted),
            hits=tally.hits,
            reward=tally.reward,
            confidence=self._confidence.get(source),
            as_of=tally.as_of,
            version=version,
        )

    def _start(self, record: OperationRecord) -> None:
        """A new life: the usual models, and nobody knows yet which of them work."""
        if record.incarnation > 1:
            self._available = dict.fromkeys(SOURCES, "either")
            self._version.update(self._usual)
        self._how.clear()

    def _train(self, _record: OperationRecord) -> None:
        for slot in SLOTS:
            if self._available[slot] == "nothing" and slot not in self._how:
                self._available[slot] = "either"

    def _disturb(self, record: OperationRecord) -> None:
        slot, how = record.value["slot"], record.value["how"]
        self._how[slot] = how
        self._disturbed_for[slot] = 0
        self._canaries.append(record.value["canary"])
        self._available[slot] = "nothing" if how == "remove" and record.outcome == "ok" else "either"
        self._derive()

    def _restore(self, record: OperationRecord) -> None:
        slot = record.value["slot"]
        self._how.pop(slot, None)
        self._available[slot] = "either"
        self._derive()

    def _swap(self, record: OperationRecord) -> None:
        if record.outcome == "ok" and record.result:
            self._version[record.value["slot"]] = record.result["version"]
            self._available[record.value["slot"]] = "either"
            self._derive()

    def _predict(self, record: OperationRecord) -> None:
        if record.outcome != "ok" or not record.result:
            self._confidence = dict.fromkeys(self._confidence)
            self._available = dict.fromkeys(SOURCES, "either")
            for slot, how in self._how.items():
                self._available[slot] = "nothing" if how == "remove" else "either"
            return
        said = set()
        for prediction, source, version, direction, confidence, size in record.result["made"]:
            said.add(source)
            self._usual.setdefault(source, version)
            self._version[source] = version
            self._confidence[source] = confidence
            if prediction not in self._made:
                self._made[prediction] = _Made(source, version, record.value["candle"], direction, size)
        for slot in SLOTS:
            self._judge_slot(record, slot, said=slot in said)
            self._available[slot] = "value" if slot in said else "nothing"
        for source in (ENSEMBLE, META, SIZING):
            self._available[source] = "value" if source in said else "nothing"

    def _judge_slot(self, record: OperationRecord, slot: str, *, said: bool) -> None:
        """Note a prediction that cannot have been one, and (where nothing but us can be the cause) a missing one."""
        how = self._how.get(slot)
        if how is None:
            if not said and self._strict and self._how and self._available[slot] == "value":
                self._fabricated.append(Fabricated(record, slot, f"did not predict while {self._others()}"))
            return
        self._disturbed_for[slot] += 1
        impossible = how == "remove" or how in _SILENT
        stuck = how == "stuck" and self._disturbed_for[slot] > self._stuck_after
        if said and (impossible or stuck):
            self._fabricated.append(Fabricated(record, slot, f"is said to have predicted under {how!r}"))

    def _others(self) -> str:
        return "; ".join(f"{slot} is disturbed ({how})" for slot, how in sorted(self._how.items()))

    def _derive(self) -> None:
        """The ensemble is there if any member is; who knows, as long as it is not known of the members."""
        states = {self._available[slot] for slot in SLOTS}
        if states == {"nothing"}:
            self._available[ENSEMBLE] = "nothing"
        elif "value" not in states:
            self._available[ENSEMBLE] = "either"

    def _resolve(self, record: OperationRecord) -> None:
        span = (record.start_ns, record.end_ns)
        for prediction, return_ppm in record.value["outcomes"].items():
            made = self._made.get(prediction)
            if made is None:
                continue
            key = made.source, made.version
            tally = self._tallies.setdefault(key, _Tally(self._window))
            if prediction not in self._known:
                self._known[prediction] = return_ppm
                tally.count(made, return_ppm, span)
                if record.outcome != "ok":
                    self._doubtful[prediction] = self._number
                    self._doubts[self._number] = None
            elif prediction in self._doubtful and tally.as_of is not None:
                tally.as_of = (tally.as_of[0], record.end_ns)
                if record.outcome == "ok":
                    self._doubts[self._doubtful.pop(prediction)] = record.end_at
