"""Finding code by name: `package.module:attribute`, or a flawed variant's `port:name`."""

import importlib
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from harness.errors import UsageError, unknown_name
from harness.scenario import Scenario


def resolve(path: str) -> Callable[..., Any]:
    """Import `package.module:attribute`. Raises `UsageError`, in one line, for whatever is wrong with it."""
    module_name, colon, attribute = path.partition(":")
    if not colon or not module_name or not attribute:
        raise UsageError(f"target {path!r} is not of the form package.module:factory")
    if "" not in sys.path and str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))  # a team's own target is found from where the command is run
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        raise UsageError(f"target {path!r}: no module named {error.name!r}") from error
    except Exception as error:
        raise UsageError(f"target {path!r}: importing {module_name} raised {type(error).__name__}: {error}") from error
    if not hasattr(module, attribute):
        names = [name for name, value in vars(module).items() if callable(value) and not name.startswith("_")]
        raise unknown_name(f"attribute of {module_name}", attribute, names)
    factory: Callable[..., Any] = getattr(module, attribute)
    if not callable(factory):
        raise UsageError(f"target {path!r} is not callable")
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
