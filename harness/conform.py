"""Does a target fit its port? Its factory, its shape, and a conversation in the sim world in which nothing is broken.

    from harness.conform import conform

    def test_our_bus_fits():
        assert conform("event_bus", make).problems == ()

`harness conform event_bus=yourpackage.chaos:make` prints the same. Whoever passes here can be put under scenarios; how
well they do there is another question.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from harness.errors import HarnessError, UsageError, unknown_name
from harness.ports import Port, discover_ports, factory_problem
from harness.registry import DEFAULT_PACKAGES
from harness.tape import Tape
from harness.trial import DoesNotWorkError, Trial, describe
from harness.world.base import Host, HostSpec

_HOST: Final = "trial"
_WALL_S_MAX: Final = 30.0
"""A conversation takes less than a second; one that takes this long blocks, or never waits."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Conformance:
    """How a target fits a port: what worked, and what did not, both in words."""

    port: str
    worked: tuple[str, ...]
    problems: tuple[str, ...]


def conform(
    port: str, factory: Callable[..., Any], *, packages: Sequence[str] = DEFAULT_PACKAGES, seed: int = 1
) -> Conformance:
    """Try a target. Raises `UsageError` for a port that these packages do not have."""
    return try_out(chosen_port(discover_ports(packages), port), factory, seed=seed)


def chosen_port(ports: Mapping[str, Port], name: str) -> Port:
    """Return that port, or raise `UsageError` with the nearest."""
    if name not in ports:
        raise unknown_name("port", name, ports)
    return ports[name]


def try_out(port: Port, factory: Callable[..., Any], *, seed: int = 1) -> Conformance:
    """Try a target behind a port. Never raises for what the target does."""
    problem = factory_problem(port, factory)
    if problem is not None:
        return Conformance(port=port.name, worked=(), problems=(f"the factory cannot be called: {problem}",))
    worked: list[str] = [f"the factory takes {', '.join(port.keywords)}"]
    found = _converse(port, factory, worked, seed)
    return Conformance(port=port.name, worked=tuple(worked), problems=tuple(found))


def _converse(port: Port, factory: Callable[..., Any], worked: list[str], seed: int) -> list[str]:
    from harness.dependencies.binance.sim import start_sim as start_binance
    from harness.dependencies.redis.sim import start_sim as start_redis
    from harness.targets import resolve
    from harness.world.sim.disks import disks
    from harness.world.sim.escapes import watchdog
    from harness.world.sim.run import run_sim
    from harness.world.sim.sink import MemorySink
    from harness.world.sim.world import SimWorld

    talk = resolve(port.trial)
    found: list[str] = []

    async def program(host: Host) -> None:
        trial = Trial(host, factory, port.shape)
        try:
            await talk(trial)
            await trial.end()
        except DoesNotWorkError as wrong:
            found.extend(wrong.texts)
        except Exception as error:  # noqa: BLE001 - what it returned could not be used
            found.append(f"what it returned cannot be used: {describe(error)}")
        finally:
            worked.extend(trial.worked)

    async def director(world: SimWorld) -> None:
        for kind in port.dependencies:
            await world.start_dependency(kind, kind, {})
        await world.start_host(HostSpec(name=_HOST, program=program))
        await world.machines.program(_HOST)

    try:
        with disks() as directory, watchdog(_WALL_S_MAX):
            ended = run_sim(
                director,
                tape=Tape(seed),
                sink=MemorySink(),
                directory=directory,
                dependency_kinds={"binance": start_binance, "redis": start_redis},
            )
    except UsageError:
        raise
    except HarnessError as error:
        return [*found, str(error)]
    failures = [text for name, text in ended.failures.items() if name == _HOST]
    if ended.escapes:  # what it did not get done is what follows from them
        return [one.partition(" left the sim world: ")[2] or one for one in ended.escapes]
    return [*found, *failures]
