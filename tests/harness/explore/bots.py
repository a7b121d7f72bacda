"""A scenario to explore that runs nothing: its menu is real, what an experiment comes to is up to the test."""

from dataclasses import replace
from typing import Any

from harness.experiment import Exploring
from harness.explore.draw import Larder
from harness.explore.menu import menu_of
from harness.invariants.base import result
from harness.invariants.needs import at_least
from harness.scenario import DependencySpec, Profile, Scenario
from harness.units import seconds
from harness.verdict import Outcome
from harness.world.base import Host, HostSpec

SPAN_MS = 8_000


class Always:
    """An invariant that always holds."""

    id = "X1"
    name = "always"
    statement = "it holds"
    needs_end = False

    def judge(self, history: Any) -> Any:
        """Hold."""
        return result(self, Outcome.HOLDS, checked=1)


async def idle(host: Host) -> None:
    """Wait to be told to stop."""
    await host.stopping()


def declare(**wishes: Any) -> Scenario:
    """Return a scenario with a bot, a service and Redis, explored as `wishes` say."""
    hosts = (
        HostSpec(name="bot", program=idle, params={"gap_ns": 10, "size": 1}),
        HostSpec(name="risk", program=idle, serves="http", follow="http"),
    )
    profile = Profile(hosts=hosts, schedule=(), settle_ns=seconds(1), needs=(at_least(1, "publish"),))
    explore = replace(Exploring(span_ns=seconds(8)), **wishes)
    return Scenario(
        name="bots",
        title="Bots",
        patch=1,
        priority="P0",
        ports={},
        dependencies=(DependencySpec(name="redis", kind="redis"),),
        profiles={"short": profile},
        invariants=(Always(),),
        explore=explore,
    )


def stock(scenario: Scenario) -> Larder:
    """Return all that the menu has, as if every link were in use and there were one operation."""
    menu = menu_of(scenario, "short")
    kinds: dict[str, list[str]] = {}
    for entry in [*menu.items, *menu.inside("bot", ["publish"])]:
        kinds.setdefault(menu.item(entry).kind, []).append(entry)
    return Larder(menu, tuple(tuple(kind) for kind in kinds.values()), scenario.explore, SPAN_MS)


SCENARIO = declare()
