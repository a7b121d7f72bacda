"""Finding scenarios by name: every module below the configured packages that has a `SCENARIO`."""

import fnmatch
import pkgutil
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

from harness.errors import NothingSelectedError, UsageError, unknown_name
from harness.importing import import_file, import_named
from harness.scenario import Scenario

DEFAULT_PACKAGES = ("scenarios",)


def discover(packages: Sequence[str] = DEFAULT_PACKAGES) -> dict[str, Scenario]:
    """Return every scenario of these packages by name, in the order of patch, then name.

    Raises `UsageError` when a package or one of its modules cannot be imported, or two scenarios share a name.
    """
    found: dict[str, Scenario] = {}
    for package in dict.fromkeys(packages):
        for module_name in _modules(package):
            scenario = getattr(_import(module_name), "SCENARIO", None)
            if scenario is None:
                continue
            if not isinstance(scenario, Scenario):
                raise UsageError(f"{module_name}.SCENARIO is a {type(scenario).__name__}, not a Scenario")
            if scenario.name in found:
                raise UsageError(f"two scenarios are called {scenario.name!r}; one is in {module_name}")
            found[scenario.name] = scenario
    return dict(sorted(found.items(), key=lambda item: (item[1].patch, item[0])))


def select(scenarios: dict[str, Scenario], names: Sequence[str], keyword: str | None) -> list[Scenario]:
    """Return the named scenarios (all when none is named) that also match `keyword` (a substring, or a glob)."""
    for name in names:
        if name not in scenarios:
            raise unknown_name("scenario", name, scenarios)
    if not scenarios:
        raise NothingSelectedError("the configured packages hold no scenario")
    chosen = [scenarios[name] for name in dict.fromkeys(names)] or list(scenarios.values())
    if keyword is not None:
        pattern = keyword if any(sign in keyword for sign in "*?[") else f"*{keyword}*"
        chosen = [scenario for scenario in chosen if fnmatch.fnmatchcase(scenario.name, pattern)]
    if not chosen:
        raise NothingSelectedError(f"no scenario matches -k {keyword!r}; `harness list` shows what there is")
    return chosen


def scenario_in(path: Path) -> Scenario:
    """Return the scenario that a Python file declares. Raises `UsageError` if there is none, or it cannot be run."""
    module = import_file(path, "scenario file")
    scenario = getattr(module, "SCENARIO", None)
    if not isinstance(scenario, Scenario):
        raise UsageError(f"{path}: has no SCENARIO that is a Scenario")
    return scenario


def _modules(package: str) -> list[str]:
    root = _import(package)
    paths = getattr(root, "__path__", None)
    if paths is None:
        return [package]
    return sorted(f"{package}.{module.name}" for module in pkgutil.iter_modules(paths))


def _import(name: str) -> ModuleType:
    return import_named(name, f"scenarios {name!r}")
