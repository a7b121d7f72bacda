"""`[tool.harness]` of the nearest pyproject.toml. Flags win over `HARNESS_*`, those over this, this over defaults."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from harness.errors import UsageError, unknown_name
from harness.policy import KEYS, GatePolicy, parse_policy
from harness.registry import DEFAULT_PACKAGES

DEFAULT_OUT: Final = "reports/out"
_KEYS: Final = ("scenarios", "targets", "out", "gate")


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """What a project says about itself: packages of scenarios, targets by port, the out folder, the gate's policy.

    A relative out folder is meant from the folder of the pyproject.toml, wherever below it the command is run.
    """

    scenarios: tuple[str, ...] = DEFAULT_PACKAGES
    targets: Mapping[str, str] = field(default_factory=dict)
    out: Path = Path(DEFAULT_OUT)
    gate: GatePolicy = field(default_factory=GatePolicy)
    where: str = field(default="tool.harness.gate", compare=False)
    """How to name the gate's table in an error."""


def load_config(start: Path) -> Config:
    """Read the nearest pyproject.toml at or above `start`. Raises `UsageError` for bad TOML, keys or types."""
    for folder in (start, *start.parents):
        path = folder / "pyproject.toml"
        if path.is_file():
            config = _read(path)
            return config if folder == start else replace(config, out=folder / config.out)
    return Config()


def _read(path: Path) -> Config:
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: not valid TOML: {error}") from error
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}") from error
    tools = document.get("tool", {})
    own = tools.get("harness", {}) if isinstance(tools, dict) else {}  # the `tool` of others is not ours to judge
    table = _table(own, f"{path}: [tool.harness]", _KEYS)
    where = f"{path}: tool.harness.gate"
    gate = parse_policy(_table(table.get("gate", {}), f"{path}: [tool.harness.gate]", KEYS), where)
    scenarios = _strings(table.get("scenarios", list(DEFAULT_PACKAGES)), f"{path}: tool.harness.scenarios")
    targets = table.get("targets", {})
    if not isinstance(targets, dict) or not all(isinstance(one, str) for one in targets.values()):
        raise UsageError(f"{path}: [tool.harness.targets] maps a port to 'package.module:factory'")
    out = table.get("out", DEFAULT_OUT)
    if not isinstance(out, str) or not out:
        raise UsageError(f"{path}: tool.harness.out is not the name of a folder")
    return Config(scenarios=scenarios, targets=targets, out=Path(out), gate=gate, where=where)


def _table(value: object, where: str, known: tuple[str, ...]) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise UsageError(f"{where} is not a table")
    for key in value:
        if key not in known:
            raise unknown_name(f"key in {where}", key, known)
    return value


def _strings(value: object, where: str) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        raise UsageError(f"{where} is not a list of strings")
    return tuple(value)
