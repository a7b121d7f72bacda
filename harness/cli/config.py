"""`[tool.harness]` of the nearest pyproject.toml. Flags win over `HARNESS_*`, those over this, this over defaults."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from harness.errors import UsageError, unknown_name
from harness.registry import DEFAULT_PACKAGES

_KEYS: Final = ("scenarios", "targets", "out", "gate")
_GATE_KEYS: Final = ("scenarios", "sim_seeds", "real_seeds", "hunt_seeds", "worlds")


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """What a project says about itself: packages of scenarios, targets by port, the out folder, the gate's policy."""

    scenarios: tuple[str, ...] = DEFAULT_PACKAGES
    targets: Mapping[str, str] = field(default_factory=dict)
    out: Path = Path("reports/out")
    gate: Mapping[str, Any] = field(default_factory=dict)


def load_config(start: Path) -> Config:
    """Read the nearest pyproject.toml at or above `start`. Raises `UsageError` for bad TOML, keys or types."""
    for folder in (start, *start.parents):
        path = folder / "pyproject.toml"
        if path.is_file():
            return _read(path)
    return Config()


def _read(path: Path) -> Config:
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: not valid TOML: {error}") from error
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}") from error
    table = _table(document.get("tool", {}).get("harness", {}), f"{path}: [tool.harness]", _KEYS)
    gate = _table(table.get("gate", {}), f"{path}: [tool.harness.gate]", _GATE_KEYS)
    scenarios = _strings(table.get("scenarios", list(DEFAULT_PACKAGES)), f"{path}: tool.harness.scenarios")
    targets = table.get("targets", {})
    if not isinstance(targets, dict) or not all(isinstance(one, str) for one in targets.values()):
        raise UsageError(f"{path}: [tool.harness.targets] maps a port to 'package.module:factory'")
    out = table.get("out", str(Config.out if isinstance(Config.out, Path) else "reports/out"))
    if not isinstance(out, str):
        raise UsageError(f"{path}: tool.harness.out is not a string")
    for key in ("sim_seeds", "real_seeds", "hunt_seeds"):
        if key in gate and (not isinstance(gate[key], int) or isinstance(gate[key], bool) or gate[key] < 1):
            raise UsageError(f"{path}: tool.harness.gate.{key} is not a positive whole number")
    for key in ("scenarios", "worlds"):
        if key in gate:
            _strings(gate[key], f"{path}: tool.harness.gate.{key}")
    return Config(scenarios=scenarios, targets=targets, out=Path(out), gate=gate)


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
