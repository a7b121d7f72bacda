"""The marker `chaos`: a scenario in a process of its own, and in words what it came to.

A process of its own, as `harness run` is: with its own hash seed a sim run is the same here and in the replay that a
failure names, and neither pytest's loop nor its plugins can be in the way.
"""

import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, NoReturn

import msgspec
import pytest

from harness.errors import UsageError, unknown_name

_ARGUMENTS: Final = ("seeds", "seed", "target", "world", "profile", "shrink_s")
_ROWS_MAX: Final = 25
_SHRINK_S: Final = 60.0
"""What a failure's shrinking may take: of a test that has failed already."""
_SHRINKS: Final = 15
_SEEDS: Final = 20


@dataclass(slots=True)
class ChaosRuns:
    """The runs of a test's scenarios, as `report.json` has them, filled in before the test's body."""

    runs: list[dict[str, Any]] = field(default_factory=list)

    def metric(self, name: str) -> list[float]:
        """Return a figure of every run that has it, such as `publish_p99_ms`."""
        found = [run["metrics"].get(name) for run in self.runs]
        return [one for one in found if one is not None]


_KEY: Final = pytest.StashKey[ChaosRuns]()


def runs_of(node: pytest.Item) -> ChaosRuns:
    """Return where the runs of a test are noted."""
    return node.stash.setdefault(_KEY, ChaosRuns())


def put_under(item: pytest.Item, mark: pytest.Mark) -> None:
    """Run the scenario of one marker; fail the test, in words, unless every run passes."""
    try:
        words = _command(mark)
    except UsageError as error:
        _mistaken(str(error))
    done = _harness(words, item.config.rootpath, None)
    try:
        report = msgspec.json.decode(done.stdout)
    except msgspec.DecodeError:
        said = done.stderr.strip().splitlines() or [f"it ended with exit code {done.returncode} and said nothing"]
        _mistaken(said[-1].removeprefix("harness: "))
    runs_of(item).runs += report["runs"]
    if report["verdict"] != "PASS":
        worst = _worst(report["runs"])
        shrunk = _shrunk(worst, item.config.rootpath, mark.kwargs.get("shrink_s", _SHRINK_S)) if worst else ""
        pytest.fail(explain(report["runs"], shrunk), pytrace=False)


def _mistaken(text: str) -> NoReturn:
    """Fail the test without the errors that led here: the text says it all."""
    try:
        pytest.fail(f"@pytest.mark.chaos: {text}", pytrace=False)
    except BaseException as failure:
        raise failure from None


def _harness(words: Sequence[str], folder: Path, timeout_s: float | None) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(  # noqa: S603 - our own program
        [sys.executable, "-m", "harness.cli.main", *words],
        cwd=folder,
        env=_environment(),
        capture_output=True,
        text=True,
        check=False,
        timeout=timeout_s,
    )


def _shrunk(run: Mapping[str, Any], folder: Path, limit_s: float) -> str:
    """Return the simplest run that fails in the same way, as `harness shrink` tells it; empty if there is none."""
    if run["verdict"] != "FAIL" or run["world"] != "sim" or not run["history"] or limit_s <= 0:
        return ""
    try:
        done = _harness(["shrink", run["history"], "--shrinks", str(_SHRINKS)], folder, limit_s)
    except subprocess.TimeoutExpired:
        return ""
    return done.stdout if done.stdout.startswith("VIOLATED") else ""


def _command(mark: pytest.Mark) -> list[str]:
    if len(mark.args) != 1 or not isinstance(mark.args[0], str):
        raise UsageError('name one scenario, as in chaos("redis-outage")')
    for name in mark.kwargs:
        if name not in _ARGUMENTS:
            raise unknown_name("argument", name, _ARGUMENTS)
    given = mark.kwargs
    words = ["run", mark.args[0], "--json", "--report", "html,json"]
    words += ["--world", given.get("world", "sim"), "--seed", str(given.get("seed", 1))]
    words += ["--seeds", str(given.get("seeds", _SEEDS if given.get("world", "sim") == "sim" else 1))]
    words += ["--profile", given["profile"]] if given.get("profile") else []
    words += ["--jobs", "1"] if "PYTEST_XDIST_WORKER" in os.environ else []
    for wish in _wishes(given.get("target")):
        words += ["--target", wish]
    return words


def _wishes(target: str | Sequence[str] | Mapping[str, str | Callable[..., Any]] | None) -> list[str]:
    if target is None:
        return []
    if isinstance(target, str):
        return [target]
    if isinstance(target, Mapping):
        return [f"{port}={factory if isinstance(factory, str) else _path(factory)}" for port, factory in target.items()]
    return list(target)


def _path(factory: Callable[..., Any]) -> str:
    """Return by which name another process finds it."""
    name = getattr(factory, "__qualname__", "")
    if not name or "<" in name:  # made by a call, or a lambda
        raise UsageError(f"{factory!r} is not a function of a module, so that another process could not find it")
    module: str = factory.__module__
    return f"{module}:{name}"


def _environment() -> dict[str, str]:
    """Let it import what this process can: pytest adds folders to `sys.path`, the test's own among them."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}


def explain(runs: Sequence[Mapping[str, Any]], shrunk: str = "") -> str:
    """Return in words what went wrong: the worst run whole (or `shrunk`), and of the others which they are."""
    bad = [run for run in runs if run["verdict"] != "PASS"]
    worst = _worst(runs)
    if worst is None:
        return "no run was made"
    head = f"{worst['scenario']} [{worst['world']}]: {worst['verdict']} with seed {worst['seed']}"
    if len(runs) > 1:
        head += f"; of {len(runs)} seeds {len(bad)} did not pass: {', '.join(str(run['seed']) for run in bad[:10])}"
    lines = [head, *(f"  {text}" for text in (*worst["errors"], *worst["doubts"]))]
    for one in worst["invariants"]:
        if one["finding"] is not None:
            lines += _finding(one, rows=not shrunk)
    lines.append(f"  replay: {worst['replay']}")
    if worst["history"]:
        lines.append(f"  report: {_report(worst['history'])}")
    if shrunk:
        lines += ["", "The simplest run that fails in the same way:", *(f"  {line}" for line in shrunk.splitlines())]
    elif worst["history"] and worst["verdict"] == "FAIL" and worst["world"] == "sim":
        lines.append(f"  smaller: harness shrink {_shown(Path(worst['history']))}")
    return "\n".join(line.rstrip() for line in lines)


def _worst(runs: Sequence[Mapping[str, Any]]) -> Mapping[str, Any] | None:
    order = ("ERROR", "FAIL", "INCONCLUSIVE")
    bad = [run for run in runs if run["verdict"] in order]
    return min(bad, key=lambda run: order.index(run["verdict"]), default=None)


def _finding(invariant: Mapping[str, Any], *, rows: bool) -> list[str]:
    finding = invariant["finding"]
    lines = [f"  {invariant['id']} {invariant['name']}: {finding['sentence']}"]
    for row in finding["rows"][: _ROWS_MAX if rows else 0]:
        mark = ">" if row["offending"] else " "
        lines.append(f"    {mark}{row['time_s']:10.3f} s  {row['actor']}  {row['event']}  {row['id']}".rstrip())
    return lines


def _report(history: str) -> str:
    return _shown(Path(history).parents[1] / "report.html")


def _shown(path: Path) -> str:
    here = Path.cwd()
    return str(path.relative_to(here) if path.is_relative_to(here) else path)
