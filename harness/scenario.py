"""What a scenario is: a frozen declaration, no I/O. `harness/runner.py` carries it out.

A scenario comes in *profiles*, sizes of the same thing: `full` is the scenario as the plan means it, `short` fits in
a CI minute of real time. What varies from run to run (when a fault begins, how long it lasts, which mode it takes) is
written as a *draw* and resolved from the tape into a *plan* before anything starts, so the plan of a run is known,
stored in the first line of its history, and the same for the same seed.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from harness.errors import UsageError, unknown_name
from harness.experiment import Exploring, Pinned
from harness.faults.base import Fault
from harness.invariants.base import Invariant
from harness.invariants.needs import Need
from harness.tape import Stream, Tape
from harness.toxics.exchange.match import Follow
from harness.units import human
from harness.world.base import HostSpec

Priority: TypeAlias = Literal["P0", "P1", "P2"]


@dataclass(frozen=True, slots=True)
class Between:
    """A duration or instant drawn evenly from `[low_ns, high_ns]`, in whole milliseconds above `low_ns`."""

    low_ns: int
    high_ns: int

    def __post_init__(self) -> None:
        if not 0 <= self.low_ns <= self.high_ns:
            raise ValueError(f"between({self.low_ns}, {self.high_ns}): the bounds must be ordered and not negative")

    def resolve(self, stream: Stream) -> int:
        """Draw a value in nanoseconds."""
        step = 1_000_000
        return self.low_ns + step * stream.below((self.high_ns - self.low_ns) // step + 1)


Span: TypeAlias = int | Between
"""Nanoseconds, fixed or drawn."""


def between(low_ns: int, high_ns: int) -> Between:
    """Return a duration or instant to be drawn from that range."""
    return Between(low_ns, high_ns)


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One entry of a schedule: from `start`, for `duration`, one of these faults holds, in one of its modes."""

    start: Span
    duration: Span
    faults: tuple[Fault, ...]

    @property
    def choices(self) -> tuple[tuple[Fault, str], ...]:
        """Every fault with each of its modes, in order."""
        return tuple((fault, mode) for fault in self.faults for mode in fault.modes)


def during(start: Span, duration: Span, *faults: Fault) -> Step:
    """Return the step "from `start` on, for `duration`, this fault holds"; of several, each run takes one."""
    if not faults:
        raise ValueError("a step of a schedule without a fault")
    return Step(start=start, duration=duration, faults=faults)


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedFault:
    """One fault of one run, with nothing left to draw."""

    number: int
    start_ns: int
    end_ns: int
    mode: str
    fault: Fault

    def as_fields(self) -> dict[str, Any]:
        """Return what the history's first line says of it."""
        return {
            "fault": self.number,
            "name": self.fault.name,
            "mode": self.mode,
            "on": self.fault.on,
            "start_ns": self.start_ns,
            "end_ns": self.end_ns,
        }

    def __str__(self) -> str:
        span = f"{human(self.start_ns)} to {human(self.end_ns)}"
        return f"{self.fault.name} ({self.mode}) on {self.fault.on} from {span}"


@dataclass(frozen=True, slots=True, kw_only=True)
class DependencySpec:
    """One dependency: its name in the scenario, its kind (`redis`) and that kind's options.

    `follow` has the network follow every conversation with it from the first byte, so that toxics which match requests
    can be added in the midst of one. It costs time on every segment, so it is off unless a scenario needs it.
    """

    name: str
    kind: str
    options: Mapping[str, Any] = field(default_factory=dict)
    follow: Follow | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FlawedVariant:
    """A target with one known defect, and the invariants that were written to catch it (any one of them counts)."""

    port: str
    name: str
    factory: str
    caught_by: tuple[str, ...]

    @property
    def label(self) -> str:
        """`port:name`, as reports show it."""
        return f"{self.port}:{self.name}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """One size of a scenario. `settle_ns` is how long the workload goes on after the last fault is healed.

    `options` are further options of dependencies, by name, that hold in this size only.
    """

    hosts: tuple[HostSpec, ...]
    schedule: tuple[Step, ...]
    settle_ns: int
    needs: tuple[Need, ...]
    options: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    span_ns: int = 0
    """For so long at least the workload goes on before it settles, even if the schedule is over sooner."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """A named scenario. `ports` gives the factory of the reference behind each port it uses.

    `explore` says what `harness explore` may draw; without it, all that applies to the hosts and dependencies.
    `pinned` is there if this is one experiment with another scenario rather than a scenario of its own.
    """

    name: str
    title: str
    patch: int
    priority: Priority
    ports: Mapping[str, str]
    dependencies: tuple[DependencySpec, ...]
    profiles: Mapping[str, Profile]
    invariants: tuple[Invariant, ...]
    flawed: tuple[FlawedVariant, ...] = ()
    explore: Exploring = field(default_factory=Exploring)
    pinned: Pinned | None = None

    def __post_init__(self) -> None:
        if not self.invariants:
            raise ValueError(f"scenario {self.name}: it has no invariants, so it could not fail")
        for name, profile in self.profiles.items():
            if not profile.needs:
                raise ValueError(f"scenario {self.name}, profile {name}: it has no needs, so it could pass idle")
        known = {invariant.id for invariant in self.invariants}
        for variant in self.flawed:
            if missing := set(variant.caught_by) - known:
                raise ValueError(f"scenario {self.name}: {variant.label} names {sorted(missing)}, not among {known}")

    def profile(self, name: str) -> Profile:
        """Return that profile, or raise a `UsageError` naming the nearest one."""
        if name not in self.profiles:
            raise unknown_name(f"profile of {self.name}", name, self.profiles)
        return self.profiles[name]


def plan(profile: Profile, tape: Tape, left_out: Collection[str] = ()) -> tuple[PlannedFault, ...]:
    """Resolve every draw of the schedule. Pure: the same tape gives the same plan.

    `left_out` names faults with their modes (`redis.outage/crash`) that cannot be done where the run takes place.
    Raises `UsageError` if a step has no other.
    """
    return tuple(_planned(number, step, tape, left_out) for number, step in enumerate(profile.schedule))


def _planned(number: int, step: Step, tape: Tape, left_out: Collection[str]) -> PlannedFault:
    start_ns = _resolve(step.start, tape, f"plan/{number}/start")
    choices = [(fault, mode) for fault, mode in step.choices if f"{fault.name}/{mode}" not in left_out]
    if not choices:
        names = ", ".join(f"{fault.name} ({mode})" for fault, mode in step.choices)
        raise UsageError(f"none of these faults can be done to a server that is not ours: {names}")
    fault, mode = choices[_choose(len(choices), tape, number)]
    return PlannedFault(
        number=number,
        start_ns=start_ns,
        end_ns=start_ns + _resolve(step.duration, tape, f"plan/{number}/duration"),
        mode=mode,
        fault=fault,
    )


def _choose(count: int, tape: Tape, number: int) -> int:
    """Rotate through the choices over successive seeds, so that a handful of seeds has seen them all.

    Steps with the same choices are at different ones: what takes the place of a fault is rarely the same fault.
    """
    return tape.stream(f"plan/{number}/mode").given((tape.seed + 5 * number) % count, count)


def _resolve(span: Span, tape: Tape, label: str) -> int:
    return span if isinstance(span, int) else span.resolve(tape.stream(label))
