"""From an experiment to a scenario that does exactly that, and to one that a person can keep in a file."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any

from harness.errors import UsageError
from harness.experiment import Experiment, Pinned
from harness.explore.menu import Item, menu_of
from harness.faults.base import Evidence, Fault, Stage
from harness.history.history import History
from harness.history.query import FaultWindow, operations
from harness.scenario import Profile, Scenario, during
from harness.tape import Stream
from harness.toxics.exchange.match import Follow
from harness.units import ms
from harness.verdict import NeedResult
from harness.world.base import HostSpec


@dataclass(frozen=True, slots=True)
class _InMode:
    """A fault with one mode left."""

    fault: Fault
    modes: tuple[str, ...]

    @property
    def name(self) -> str:
        return self.fault.name

    @property
    def on(self) -> str:
        return self.fault.on

    def hold(self, stage: Stage, mode: str, stream: Stream) -> Any:
        return self.fault.hold(stage, mode, stream)

    def evidence(self, history: History, window: FaultWindow) -> Evidence:
        return self.fault.evidence(history, window)


@dataclass(frozen=True, slots=True)
class _Worked:
    """The need of an experiment: anything at all was done. What a scenario needs belongs to its own schedule."""

    def check(self, history: History) -> NeedResult:
        count = len(operations(history)) or sum(1 for _ in history.events) - 1
        return NeedResult(text="at least 1 operation", met=count > 0, observed=count)


def applied(
    scenario: Scenario, experiment: Experiment, *, name: str | None = None, invariants: Collection[str] | None = None
) -> Scenario:
    """Return the scenario with the experiment in the place of its schedule; judged by all or some of its invariants.

    Raises `UsageError` if the experiment names a fault, a host or a parameter that the scenario does not have.
    """
    menu = menu_of(scenario, experiment.profile)
    base = scenario.profile(experiment.profile)
    items = [menu.item(held.entry) for held in experiment.faults]
    followed = {item.follows for item in items}
    profile = Profile(
        hosts=tuple(_followed(host, followed) for host in _worked(base.hosts, experiment)),
        schedule=tuple(
            during(ms(held.start_ms), ms(held.length_ms), _InMode(item.fault, (item.mode,)))
            for held, item in zip(experiment.faults, items, strict=True)
        ),
        settle_ns=base.settle_ns,
        needs=(_Worked(),),
        options=base.options,
        span_ns=ms(experiment.span_ms),
    )
    return replace(
        scenario,
        name=name or scenario.name,
        profiles={"full": profile, "short": profile, experiment.profile: profile},
        dependencies=tuple(
            replace(one, follow=_speaks(one.kind)) if one.name in followed and one.follow is None else one
            for one in scenario.dependencies
        ),
        invariants=tuple(one for one in scenario.invariants if invariants is None or one.id in invariants),
        flawed=(),
        pinned=Pinned(scenario.name, experiment),
    )


def pinned(
    scenario: Scenario, experiment: Experiment, *, name: str, target: Mapping[str, str], invariants: Collection[str]
) -> Scenario:
    """Return a scenario that is this experiment, against these targets: what explore writes into a file."""
    if unknown := set(target) - set(scenario.ports):
        raise UsageError(f"{name}: {scenario.name} has no port {', '.join(sorted(unknown))}")
    chosen = applied(scenario, experiment, name=name, invariants=invariants)
    return replace(chosen, ports={**scenario.ports, **target}, title=f"{scenario.title}: a failure that explore found")


def _worked(hosts: tuple[HostSpec, ...], experiment: Experiment) -> tuple[HostSpec, ...]:
    """Return the hosts with the experiment's workload."""
    changes: dict[str, dict[str, Any]] = {}
    for host, parameter, value in experiment.workload:
        changes.setdefault(host, {})[parameter] = value
    known = {host.name: host for host in hosts}
    for name, values in changes.items():
        if name not in known or set(values) - set(known[name].params):
            raise UsageError(
                f"the experiment changes {', '.join(values)} of {name!r}, which the scenario does not have"
            )
    return tuple(replace(host, params={**host.params, **changes.get(host.name, {})}) for host in hosts)


def _followed(host: HostSpec, followed: Collection[str | None]) -> HostSpec:
    return replace(host, follow="http") if host.name in followed and host.follow is None else host


def _speaks(kind: str) -> Follow:
    return "redis" if kind == "redis" else "http"


def described(item: Item) -> str:
    """Return a fault as a sentence has it: `redis.outage (hang) on redis`."""
    return f"{item.fault.name} ({item.mode}) on {item.fault.on}"
