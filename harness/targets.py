"""Finding code by name: `package.module:attribute`, a flawed variant's `port:name`, or a program's `cmd:command line`.

A program is driven over the network by a factory of ours that stands in for it (`Port.command`). `with_commands` puts
that factory in front of it, `scenarios.commands.event_bus:make cmd:node bus.js`, so that the name is whole: histories
and replays need nothing else.
"""

import shlex
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from harness.errors import UsageError, unknown_name
from harness.importing import import_named
from harness.scenario import Scenario

if TYPE_CHECKING:
    from harness.ports import Port

_COMMAND: Final = "cmd:"


def split_command(path: str) -> tuple[str, list[str] | None]:
    """Return the factory's name, and the words of the command line behind it, if there is one.

    Raises `UsageError` for a command line that is empty, or whose quotes do not match.
    """
    factory, sign, line = path.partition(_COMMAND)
    if not sign or (factory and not factory.endswith(" ")):
        return path, None
    try:
        words = shlex.split(line)
    except ValueError as error:
        raise UsageError(f"target {path!r}: {str(error).lower()} in the command line") from None
    if not words:
        raise UsageError(f"target {path!r}: no command line after cmd:")
    return factory.strip(), words


def with_commands(targets: Mapping[str, str], ports: Mapping[str, "Port"]) -> dict[str, str]:
    """Return the targets with a factory in front of each bare command. Raises `UsageError` where a port has none."""
    named = dict(targets)
    for name, path in targets.items():
        factory, words = split_command(path)
        if words is None or factory:
            continue
        shim = ports[name].command if name in ports else None
        if shim is None:
            able = ", ".join(sorted(port.name for port in ports.values() if port.command))
            raise UsageError(f"target {path!r}: the port {name} cannot be driven over the network; these can: {able}")
        named[name] = f"{shim} {path}"
    return named


def check_world(targets: Mapping[str, str], world: str) -> None:
    """Raise `UsageError` for a command that is to run in the sim world, which has no processes."""
    for path in targets.values():
        if world == "sim" and split_command(path)[1] is not None:
            shown = path[path.index(_COMMAND) :]
            raise UsageError(f"target {shown!r} is a command, and those run in the real world only: --world real")


def resolve(path: str) -> Callable[..., Any]:
    """Import `package.module:attribute`. Raises `UsageError`, in one line, for whatever is wrong with it."""
    factory, words = split_command(path)
    if words is None:
        return _imported(path)
    if not factory:
        raise UsageError(f"target {path!r} is a command, without the factory that drives it")
    return partial(_imported(factory), command=words)


def _imported(path: str) -> Callable[..., Any]:
    module_name, colon, attribute = path.partition(":")
    if not colon or not module_name or not attribute:
        raise UsageError(f"target {path!r} is not of the form package.module:factory")
    found: Any = import_named(module_name, f"target {path!r}")
    place = module_name
    for part in attribute.split("."):
        if not hasattr(found, part):
            names = [
                name
                for name, value in getattr(found, "__dict__", {}).items()
                if callable(value) and not name.startswith("_")
            ]
            raise unknown_name(f"attribute of {place}", part, names)
        found, place = getattr(found, part), f"{place}.{part}"
    if not callable(found):
        raise UsageError(f"target {path!r} is not callable")
    factory: Callable[..., Any] = found
    return factory


def choose(scenario: Scenario, wanted: Sequence[str]) -> dict[str, str]:
    """Return the factory behind each port, given wishes like `PORT=module:factory` or `PORT:variant`."""
    chosen = dict(scenario.ports)
    for wish in wanted:
        port, factory = _split(scenario, wish)
        if port not in scenario.ports:
            raise unknown_name(f"port of {scenario.name}", port, scenario.ports)
        chosen[port] = factory
    return chosen


def share(scenarios: Sequence[Scenario], wanted: Sequence[str]) -> dict[str, list[str]]:
    """Return the wishes for each scenario's ports, by its name, without the scenarios that none of them concerns.

    A wish whose port none of them has is given to all, so that `choose` names it.
    """
    known = {port for scenario in scenarios for port in scenario.ports}
    shares = {
        scenario.name: [wish for wish in wanted if _port(wish) in scenario.ports or _port(wish) not in known]
        for scenario in scenarios
    }
    return {name: share for name, share in shares.items() if share or not wanted}


def for_ports(scenario: Scenario, targets: Mapping[str, str]) -> list[str]:
    """Return a project's own targets as wishes, those for the ports of this scenario."""
    return [f"{port}={factory}" for port, factory in targets.items() if port in scenario.ports]


def check_ports(scenarios: Iterable[Scenario], targets: Mapping[str, str]) -> None:
    """Raise `UsageError` for a target whose port no scenario has: it would be left out without a word."""
    known = {port for scenario in scenarios for port in scenario.ports}
    for port in targets:
        if port not in known:
            raise unknown_name("port in [tool.harness.targets]", port, known)


def _port(wish: str) -> str:
    return wish.partition("=" if "=" in wish else ":")[0]


def _split(scenario: Scenario, wish: str) -> tuple[str, str]:
    port, equals, factory = wish.partition("=")
    if equals:
        return port, factory
    variants: Mapping[str, str] = {variant.label: variant.factory for variant in scenario.flawed}
    if wish in variants:
        return wish.partition(":")[0], variants[wish]
    if ":" in wish:
        raise unknown_name(f"flawed variant of {scenario.name}", wish, variants)
    raise UsageError(f"target {wish!r} is not of the form PORT=package.module:factory")
