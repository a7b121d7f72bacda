"""A scenario to take apart: small, declared by hand, and independent of the ones that the project ships."""

from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from harness.faults.base import Evidence, Stage
from harness.history.events import SCHEMA, Event, FaultBegan, FaultHealed, Invoke, Observation, Ok, RunEnded, RunStarted
from harness.history.history import History
from harness.history.query import FaultWindow, observations, operations
from harness.invariants.base import Invariant, result
from harness.invariants.needs import at_least
from harness.runner import Order
from harness.scenario import DependencySpec, FlawedVariant, Profile, Scenario, during, plan
from harness.tape import Stream, Tape
from harness.units import seconds
from harness.verdict import InvariantResult, Outcome
from harness.world.base import Host, HostSpec


@dataclass(frozen=True, slots=True)
class Outage:
    """A fault that bit if a link observation inside its window says so."""

    on: str = "redis"
    modes: Sequence[str] = ("refuse", "hang", "crash")
    name: str = "redis.outage"

    def hold(self, stage: Stage, mode: str, stream: Stream) -> AbstractAsyncContextManager[None]:
        """Nothing is carried out here."""
        return nullcontext()

    def evidence(self, history: History, window: FaultWindow) -> Evidence:
        """Count refusals."""
        hits = [seen for seen in observations(history, "link") if window.holds_at(seen.time_ns)]
        return Evidence(bit=bool(hits), counts={"refused": len(hits)})


@dataclass(frozen=True, slots=True)
class EveryPublishAnswered:
    """An invariant about the hand-made histories: each publish is acked."""

    id: str = "EB1"
    name: str = "answered"
    statement: str = "every publish is answered"
    needs_end: bool = True

    def judge(self, history: History) -> InvariantResult:
        """Look for a publish without an answer."""
        records = operations(history, "publish")
        lost = [one for one in records if one.outcome != "ok"]
        verdict = Outcome.VIOLATED if lost else Outcome.HOLDS
        return result(self, verdict, checked=len(records), observed=len(lost), limit=0)


async def idle(host: Host) -> None:
    """A program that waits to be told to stop."""
    await host.stopping()


def declare(**changes: Any) -> Scenario:
    """Return the scenario: one outage from 2 s to 5 s, three publishes needed; `changes` replace its parts."""
    profile = Profile(
        hosts=(HostSpec(name="publisher", program=idle),),
        schedule=(during(seconds(2), seconds(3), Outage()),),
        settle_ns=seconds(1),
        needs=(at_least(3, "publish"),),
    )
    invariants: tuple[Invariant, ...] = (EveryPublishAnswered(),)
    scenario = Scenario(
        name="redis-outage",
        title="Redis is gone for a moment",
        patch=1,
        priority="P0",
        ports={"event_bus": "json:dumps"},
        dependencies=(DependencySpec(name="redis", kind="redis"),),
        profiles={"full": profile, "short": profile},
        invariants=invariants,
        flawed=(FlawedVariant(port="event_bus", name="planned", factory="json:loads", caught_by=("EB1",)),),
    )
    return replace(scenario, **changes)


def history_of(
    scenario: Scenario,
    *,
    publishes: int = 5,
    lost: int = 0,
    bites: bool = True,
    healed: bool = True,
    ended: bool = True,
    extra: Sequence[Event] = (),
    header: dict[str, Any] | None = None,
) -> History:
    """Return what a run of `declare()` with seed 1 could have recorded; the arguments say what went otherwise."""
    planned = plan(scenario.profile("full"), Tape(1))
    fields = {"scenario": scenario.name, "plan": [one.as_fields() for one in planned], **(header or {})}
    events: list[Event] = [_header(**fields)]
    for number in range(publishes):
        events.append(Invoke(seconds(1 + number / 10), "publisher", 1, number, "publish", {"key": str(number)}))
        if number >= lost:
            events.append(Ok(seconds(1 + number / 10), "publisher", 1, number, {}))
    for one in planned:
        events.append(FaultBegan(one.start_ns, "harness", 1, one.number, one.fault.name, one.mode, one.fault.on))
        if bites:
            link = {"to": one.fault.on, "outcome": "refused"}
            events.append(Observation(one.start_ns + 1, "publisher", 1, "link", link))
        if healed:
            events.append(FaultHealed(one.end_ns, "harness", 1, one.number))
    events += extra
    if ended:
        events.append(RunEnded(seconds(10), "harness", 1, None, len(events)))
    return History.of(events)


def _header(
    scenario: str,
    plan: list[dict[str, Any]],
    profile: str = "full",
    seed: int = 1,
    targets: dict[str, str] | None = None,
    world: str = "sim",
    left_out: Sequence[str] = (),
) -> RunStarted:
    return RunStarted(0, "harness", 1, SCHEMA, "0", scenario, profile, world, seed, targets or {}, plan, list(left_out))


@pytest.fixture(scope="session")
def make_scenario() -> Callable[..., Scenario]:
    """The scenario, with changes."""
    return declare


@pytest.fixture(scope="session")
def make_history() -> Callable[..., History]:
    """A history of the scenario, with changes."""
    return history_of


@pytest.fixture(scope="session")
def outage() -> type[Outage]:
    """The fault of the scenario."""
    return Outage


@pytest.fixture(scope="session")
def answered() -> type[EveryPublishAnswered]:
    """The invariant of the scenario."""
    return EveryPublishAnswered


@pytest.fixture
def order(make_scenario: Callable[..., Scenario], tmp_path: Path) -> Order:
    """An order for seed 1 in the sim world."""
    return Order(
        scenario=make_scenario(),
        profile="full",
        world="sim",
        seed=1,
        targets={"event_bus": "json:dumps"},
        folder=tmp_path,
    )
