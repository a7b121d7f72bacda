"""Options that several commands share, and the checks of what they are given."""

import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TypeVar

import click

from harness.errors import UsageError, unknown_name

F = TypeVar("F", bound=Callable[..., Any])


class WholeNumber(click.IntRange):
    """A range of integers whose error says what a person understands."""

    name = "whole number"


FORMATS: Final = ("html", "json", "junit", "md")


def _formats(ctx: click.Context, parameter: click.Parameter, value: str) -> tuple[str, ...]:
    del ctx, parameter
    chosen = tuple(dict.fromkeys(part.strip() for part in value.split(",") if part.strip()))
    for name in chosen:
        if name not in FORMATS:
            raise unknown_name("report format", name, FORMATS)
    return chosen


def _finite(ctx: click.Context, parameter: click.Parameter, value: float | None) -> float | None:
    del ctx, parameter
    if value is not None and not math.isfinite(value):
        raise UsageError(f"--time-budget {value}: not a number of seconds")
    return value


def output_options(function: F) -> F:
    """Add the options that say what is shown and written."""
    for option in (
        click.option("-v", "--verbose", is_flag=True, help="Show every run, not only every scenario."),
        click.option("-q", "--quiet", is_flag=True, help="Show the verdict only."),
        click.option("--no-color", is_flag=True, help="No colours (NO_COLOR does the same)."),
        click.option("--plain", is_flag=True, envvar="HARNESS_PLAIN", help="Plain lines: no live table, no colours."),
        click.option("--json", "as_json", is_flag=True, help="Print the report as JSON on stdout."),
        click.option("--out", type=click.Path(path_type=Path), envvar="HARNESS_OUT", help="Folder of run folders."),
        click.option(
            "--report",
            "formats",
            default=",".join(FORMATS),
            show_default=True,
            envvar="HARNESS_REPORT",
            callback=_formats,
            help="Which reports to write.",
        ),
    ):
        function = option(function)
    return function


def limit_options(function: F) -> F:
    """Add the options that say how far a campaign goes."""
    for option in (
        click.option("--redis", envvar="HARNESS_REDIS", help="Real world: path or name of a redis-server to run."),
        click.option("--fail-fast", is_flag=True, help="Start nothing new after the first run that did not pass."),
        click.option(
            "--time-budget",
            type=click.FloatRange(min=0, min_open=True),
            metavar="SECONDS",
            envvar="HARNESS_TIME_BUDGET",
            callback=_finite,
            help="Start nothing new after this long.",
        ),
        click.option(
            "--jobs",
            type=WholeNumber(min=1, max=256),
            metavar="N",
            default=lambda: min(os.cpu_count() or 1, 8),
            show_default="one a core, at most 8",
            envvar="HARNESS_JOBS",
            help="Worker processes for sim runs.",
        ),
    ):
        function = option(function)
    return function


def check_redis(value: str | None) -> str | None:
    """Return the server to run as a path, or raise a `UsageError` when there is none by that name."""
    import shutil

    if value is None:
        return None
    found = shutil.which(value)
    if found is None:
        raise UsageError(f"--redis {value!r}: no such program; give a path, or a name found on PATH")
    return found
