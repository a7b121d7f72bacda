"""Targets as commands take them: found, fit for their ports, and for the world that they are to run in."""

from collections.abc import Mapping

from harness.cli.config import Config
from harness.ports import check_factories, discover_ports
from harness.scenario import Scenario
from harness.targets import check_world, resolve, split_command, with_commands


def checked(scenario: Scenario, targets: Mapping[str, str], config: Config, world: str) -> dict[str, str]:
    """Return the targets by port, commands with what drives them. Raises `UsageError` for one that cannot be used.

    Of those that are not the scenario's own it is also seen whether the port could call them.
    """
    theirs = {port: path for port, path in targets.items() if path != scenario.ports[port]}
    ports = discover_ports(config.scenarios) if theirs else {}
    named = with_commands(targets, ports)
    check_world(named, world)
    factories = {port: (path, resolve(path)) for port, path in named.items()}
    check_factories(ports, {port: (targets[port], factories[port][1]) for port in theirs})
    return named


def driven(config: Config) -> dict[str, str]:
    """Return the project's targets, commands with what drives them."""
    commands = any(split_command(path)[1] is not None for path in config.targets.values())
    return with_commands(config.targets, discover_ports(config.scenarios) if commands else {})
