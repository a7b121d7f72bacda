"""What a history says of an executor of signals: each life's steps in their order, and which signals were live.

A host records, from outside of the executor:

- operation `offer` {key, id, symbol, side, confidence, ttl_ns, exit, flaw}: the call that offers a signal. `flaw` says
  why it must be refused, if it must; `id` is then not to be relied on. It fails with a typed error if it was refused.
- operation `execution` {key}: the executor's call that executes the signal of that id, from its first step.
- observation `disposed` {id, reason, detail}: the executor announced how a signal ended.
- observation `stats` {queued, counts}: its own figures after every step; `counts` of what was offered, by its end.
- observation `trading` {allowed}: from here on `may_trade` says so. Observation `closing`: it is asked to close.

The order is that of positions in the history, as many of these share an instant. A *life* is one incarnation of a host:
an executor has its queue in memory, so each life is counted by itself, and what was live when it was killed is gone.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal, TypeAlias

from harness.history.events import Fields, Observation
from harness.history.history import History
from harness.history.query import Lifetime, OperationOutcome, OperationRecord, Window, lifetimes, operations
from harness.invariants.findings import Moment
from harness.units import human

Kind: TypeAlias = Literal["offering", "offered", "began", "ended", "disposed", "stats", "trading", "closing"]
Slot: TypeAlias = tuple[str, str]
"""Symbol and side."""

_OBSERVED: Final[Mapping[str, Kind]] = {
    "disposed": "disposed",
    "stats": "stats",
    "trading": "trading",
    "closing": "closing",
}
_CLEAN: Final = frozenset({"stopped", "finished"})


@dataclass(frozen=True, slots=True)
class Offered:
    """One offer of a signal. `error` is that of a call that raised."""

    name: str
    slot: Slot
    confidence: float
    exit: bool
    flaw: str
    actor: str
    start_ns: int
    start_at: int
    stale_ns: int
    outcome: OperationOutcome
    error: str | None

    @property
    def refused(self) -> bool:
        """Whether it was refused in a typed error."""
        return self.outcome == "fail"

    def moment(self, *, offending: bool = False) -> Moment:
        """Return its row in a timeline."""
        kind = "exit" if self.exit else "entry"
        what = f"offered: {kind} {' '.join(self.slot)}, confidence {self.confidence:g}, "
        what += f"ttl {human(self.stale_ns - self.start_ns)}" + (f", {self.flaw}" if self.flaw else "")
        return Moment(self.start_ns, self.actor, what, self.name, offending)


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a life. `subject`: the id of the signal, if it is about one; `value`: of an observation."""

    at: int
    time_ns: int
    kind: Kind
    subject: str = ""
    offered: Offered | None = None
    value: Fields = field(default_factory=dict)

    @property
    def reason(self) -> str:
        """Of `disposed`."""
        return str(self.value.get("reason"))


@dataclass(frozen=True, slots=True)
class Life:
    """One incarnation of one host with an executor. `clean`: it closed the executor and ended by itself."""

    actor: str
    incarnation: int
    start_ns: int
    end_ns: int
    clean: bool
    steps: tuple[Step, ...]
    offers: Mapping[str, Offered]
    """By id: those that are no malformed ones, and of malformed ones those that were accepted."""

    def halted(self) -> Sequence[Window]:
        """Return the times in which trading was not allowed."""
        windows: list[Window] = []
        for step in self.steps:
            if step.kind != "trading":
                continue
            if not step.value.get("allowed"):
                if not windows or windows[-1][1] is not None:
                    windows.append((step.time_ns, None))
            elif windows and windows[-1][1] is None:
                windows[-1] = (windows[-1][0], step.time_ns)
        return windows


class Recount:
    """The live signals of one life: accepted, and neither begun nor announced as ended. Apply steps in their order."""

    def __init__(self) -> None:
        self.live: dict[str, Offered] = {}
        self.gone: set[str] = set()

    def apply(self, step: Step) -> None:
        """Take one step into account. A signal may end before the call that offered it has returned."""
        if step.kind == "offered":
            assert step.offered is not None
            if step.offered.outcome == "ok" and step.subject not in self.gone:
                self.live[step.subject] = step.offered
        elif step.kind == "began" or (step.kind == "disposed" and step.reason != "rejected"):
            self.gone.add(step.subject)
            self.live.pop(step.subject, None)


def read_lives(history: History) -> tuple[Life, ...]:
    """Return the lives in which signals were offered, in the order of their starts."""
    return history.once("signals", lambda: tuple(_lives(history)))


def _lives(history: History) -> Iterator[Life]:
    steps: dict[tuple[str, int], list[Step]] = {}
    offers: dict[tuple[str, int], dict[str, Offered]] = {}
    for record in operations(history, "offer"):
        who = (record.actor, record.incarnation)
        offered = _offered(record)
        mine, known = steps.setdefault(who, []), offers.setdefault(who, {})
        mine.append(Step(record.start_at, record.start_ns, "offering", offered.name, offered))
        if record.end_at is not None and record.end_ns is not None:
            mine.append(Step(record.end_at, record.end_ns, "offered", offered.name, offered))
        if not offered.flaw or offered.outcome == "ok":
            known.setdefault(offered.name, offered)
    for record in operations(history, "execution"):
        name = str(record.value["key"])
        mine = steps.setdefault((record.actor, record.incarnation), [])
        mine.append(Step(record.start_at, record.start_ns, "began", name))
        if record.end_at is not None and record.end_ns is not None:
            mine.append(Step(record.end_at, record.end_ns, "ended", name))
    for at, event in enumerate(history.events):
        if type(event) is Observation and event.name in _OBSERVED and (event.actor, event.incarnation) in steps:
            name = str(event.value.get("id", ""))
            step = Step(at, event.time_ns, _OBSERVED[event.name], name, value=event.value)
            steps[event.actor, event.incarnation].append(step)
    ends = {(life.name, life.incarnation): life for life in lifetimes(history)}
    for who, mine in steps.items():
        if who in offers:
            yield _life(history, who, mine, offers[who], ends.get(who))


def _life(
    history: History, who: tuple[str, int], steps: list[Step], offers: dict[str, Offered], life: Lifetime | None
) -> Life:
    steps.sort(key=lambda step: step.at)
    ended = life is not None and life.end_ns is not None
    return Life(
        actor=who[0],
        incarnation=who[1],
        start_ns=steps[0].time_ns if life is None else life.start_ns,
        end_ns=life.end_ns if life is not None and life.end_ns is not None else history.end_ns,
        clean=ended and life is not None and life.ending in _CLEAN and any(step.kind == "closing" for step in steps),
        steps=tuple(steps),
        offers=offers,
    )


def _offered(record: OperationRecord) -> Offered:
    value = record.value
    return Offered(
        name=str(value["id"] if not value["flaw"] or record.outcome == "ok" else value["key"]),
        slot=(value["symbol"], value["side"]),
        confidence=float(value["confidence"]),
        exit=bool(value["exit"]),
        flaw=str(value["flaw"]),
        actor=record.actor,
        start_ns=record.start_ns,
        start_at=record.start_at,
        stale_ns=record.start_ns + int(value["ttl_ns"]),
        outcome=record.outcome,
        error=record.error,
    )


def disposal_moment(life: Life, step: Step, *, offending: bool = True) -> Moment:
    """Return the row of an announced end."""
    detail = f": {step.value['detail']}" if step.value.get("detail") else ""
    return Moment(step.time_ns, life.actor, f"{step.reason}{detail}", step.subject, offending)


def execution_moment(life: Life, step: Step, *, offending: bool = True) -> Moment:
    """Return the row of the beginning of an execution."""
    return Moment(step.time_ns, life.actor, "execution began", step.subject, offending)
