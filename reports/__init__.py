"""Reports: one versioned model, one renderer per format, none made from another.

`harness` finds this package by name and calls `build`, `write` and `print_summary`. Renderers are imported
when they are used: a session that asks for JSON alone does not wait for Jinja2 or rich.
"""

import importlib
import os
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from harness.comparison import Comparison
from harness.errors import unknown_name
from harness.verdict import Session
from reports.model import Report, build

if TYPE_CHECKING:
    from rich.console import Console

__all__ = [
    "FORMATS",
    "Renderer",
    "Report",
    "build",
    "comparison_json",
    "print_comparison",
    "print_summary",
    "read",
    "write",
]


@dataclass(frozen=True, slots=True)
class Renderer:
    """One format: the file it goes to, and the module whose `render(report) -> str` makes the text."""

    file_name: str
    module: str

    def render(self, report: Report) -> str:
        """Return the whole text of the file."""
        text: str = importlib.import_module(self.module).render(report)
        return text


FORMATS: Final[Mapping[str, Renderer]] = MappingProxyType(
    {
        "html": Renderer("report.html", "reports.html"),
        "json": Renderer("report.json", "reports.json_report"),
        "junit": Renderer("junit.xml", "reports.junit"),
        "md": Renderer("summary.md", "reports.markdown"),
    }
)


def write(report: Report, folder: Path, formats: Sequence[str]) -> list[Path]:
    """Write the report into `folder` (made if missing), one file a format; return the paths in the same order.

    Each file appears whole or not at all. Raises `UsageError` for a format that does not exist, before
    writing any.
    """
    for name in formats:
        if name not in FORMATS:
            raise unknown_name("report format", name, FORMATS)
    folder.mkdir(parents=True, exist_ok=True)
    return [_write_whole(folder / FORMATS[name].file_name, FORMATS[name].render(report)) for name in formats]


def read(path: Path) -> Session:
    """Return the session that a run folder, or its `report.json`, holds. Raises `UsageError` if it cannot be read."""
    from reports import stored  # noqa: PLC0415 - only `harness report` reads one back

    return stored.read(path)


def print_summary(
    report: Report, console: "Console", *, plain: bool = False, report_path: Path | str | None = None
) -> None:
    """Print the summary to a terminal; the last lines are verdict, report path and replay command."""
    from reports import terminal  # noqa: PLC0415 - rich is slow to import, and not every session prints

    terminal.print_summary(report, console, plain=plain, report_path=report_path)


def print_comparison(comparison: Comparison, console: "Console", *, plain: bool = False, quiet: bool = False) -> None:
    """Print a comparison of two stored sessions to a terminal."""
    from reports import terminal  # noqa: PLC0415 - as above

    terminal.print_comparison(comparison, console, plain=plain, quiet=quiet)


def comparison_json(comparison: Comparison) -> str:
    """Return a comparison of two stored sessions as JSON text, as `report.json` holds it."""
    from reports import json_comparison  # noqa: PLC0415 - as above

    return json_comparison.render(comparison)


def _write_whole(path: Path, text: str) -> Path:
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8", newline="\n") as file:
            file.write(text)
        Path(temporary).chmod(0o644)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    return path
