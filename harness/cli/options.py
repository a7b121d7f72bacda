"""Options that several commands share, and the checks of what they are given."""

import math
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

from harness.errors import UsageError, unknown_name

if TYPE_CHECKING:
    from harness.load.spec import Crew
    from harness.worlds import Options

F = TypeVar("F", bound=Callable[..., Any])


class WholeNumber(click.IntRange):
    """A range of integers whose error says what a person understands."""

    name = "whole number"


def scenario_names(ctx: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:
    """Return what a shell may complete the name of a scenario to; nothing where they cannot be had."""
    del ctx, parameter
    from harness.cli.config import load_config
    from harness.errors import HarnessError
    from harness.registry import discover

    try:
        return [name for name in discover(load_config(Path.cwd()).scenarios) if name.startswith(incomplete)]
    except HarnessError:
        return []


FORMATS: Final = ("html", "json", "junit", "md")


def _formats(ctx: click.Context, parameter: click.Parameter, value: str) -> tuple[str, ...]:
    del ctx, parameter
    chosen = tuple(dict.fromkeys(part.strip() for part in value.split(",") if part.strip()))
    for name in chosen:
        if name not in FORMATS:
            raise unknown_name("report format", name, FORMATS)
    return chosen


def _finite(ctx: click.Context, parameter: click.Parameter, value: float | None) -> float | None:
    del ctx
    if value is not None and not math.isfinite(value):
        raise UsageError(f"{parameter.opts[0]} {value}: not a number of seconds")
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
        report_option,
    ):
        function = option(function)
    return function


def report_option(function: F) -> F:
    """Add `--report`."""
    return click.option(
        "--report",
        "formats",
        default=",".join(FORMATS),
        show_default=True,
        envvar="HARNESS_REPORT",
        callback=_formats,
        help="Which reports to write.",
    )(function)


def baseline_option(function: F) -> F:
    """Add `--baseline`."""
    return click.option(
        "--baseline",
        type=click.Path(path_type=Path),
        metavar="RUN",
        envvar="HARNESS_BASELINE",
        help="Compare with this run folder; a regression alone gives exit code 8.",
    )(function)


def limit_options(function: F) -> F:
    """Add the options that say how far a campaign goes."""
    for option in (
        click.option(
            "--redis",
            metavar="SERVER",
            envvar="HARNESS_REDIS",
            help="Real world: a redis-server to run (path or name), or redis://... of one that runs.",
        ),
        click.option(
            "--redis-flush",
            is_flag=True,
            envvar="HARNESS_REDIS_FLUSH",
            help="With --redis URL: empty its database (FLUSHDB) before each run.",
        ),
        click.option(
            "--toxiproxy",
            metavar="URL",
            envvar="HARNESS_TOXIPROXY",
            help="Real world: a toxiproxy-server to use instead of the embedded one.",
        ),
        click.option(
            "--locust-workers",
            type=WholeNumber(0, 64),
            metavar="N",
            default=0,
            show_default=True,
            envvar="HARNESS_LOCUST_WORKERS",
            help="Real world: Locust processes beside their master that make the load; 0: one process does all.",
        ),
        click.option(
            "--locust-expect-workers",
            type=WholeNumber(0, 1_000),
            metavar="M",
            default=0,
            envvar="HARNESS_LOCUST_EXPECT_WORKERS",
            help="Real world: wait for so many more, started by you, also on other machines.",
        ),
        click.option(
            "--locust-bind",
            metavar="ADDRESS:PORT",
            envvar="HARNESS_LOCUST_BIND",
            help="With --locust-expect-workers: where those reach Locust's master and our proxies.",
        ),
        click.option(
            "--locust-master",
            metavar="HOST:PORT",
            envvar="HARNESS_LOCUST_MASTER",
            help="Real world: a Locust master of yours, which our workers join instead of one of our own.",
        ),
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
            "--run-timeout",
            type=click.FloatRange(min=0, min_open=True),
            metavar="SECONDS",
            envvar="HARNESS_RUN_TIMEOUT",
            callback=_finite,
            help="End a run that takes longer; it counts as lost, neither pass nor fail.",
        ),
        click.option(
            "--executor",
            metavar="URL",
            envvar="HARNESS_EXECUTOR",
            help="Do sim runs on a Dask cluster: dask://host:port of its scheduler (extra `dask`).",
        ),
        click.option(
            "--jobs",
            type=WholeNumber(min=1, max=256),
            metavar="N",
            default=lambda: min(os.cpu_count() or 1, 8),
            show_default="one a core, at most 8",
            envvar="HARNESS_JOBS",
            help="Sim runs at once, with real ones beside them; 1: one run after another.",
        ),
    ):
        function = option(function)
    return function


def world_options(flags: Mapping[str, Any], *, real_runs: int) -> "Options":
    """Return what the flags choose of the real world, after trying it. `real_runs` is how many runs there will be.

    Raises `UsageError` if there is no such program, nobody answers there, or the database is not ours to use.
    """
    from harness.worlds import Options

    server = flags["redis"]
    chosen = Options(
        redis=server if server is None or "://" in server else _program(server),
        redis_flush=flags["redis_flush"],
        toxiproxy=flags["toxiproxy"],
        crew=_crew(flags),
    )
    if chosen.redis_flush and chosen.redis_url is None:
        raise UsageError("--redis-flush: it goes with --redis redis://...")
    if real_runs:
        import asyncio

        asyncio.run(_try(chosen, real_runs))
    return chosen


def _crew(flags: Mapping[str, Any]) -> "Crew":
    """Return which processes make loads. Raises `UsageError` for an address that is none, or not this machine's."""
    from harness.load.place import local_address, parse_bind, parse_master
    from harness.load.spec import Crew

    workers, elsewhere = flags["locust_workers"], flags["locust_expect_workers"]
    bind, master = flags["locust_bind"], flags["locust_master"]
    if master is not None:
        if bind is not None:
            raise UsageError("--locust-bind is for a master of ours, and --locust-master names one of yours")
        place = parse_master(master)
        address = local_address(place) if elsewhere else "127.0.0.1"
        return Crew(workers=max(1, workers), elsewhere=elsewhere, bind_host=address, master=place)
    if (elsewhere > 0) is not (bind is not None):
        raise UsageError(
            "--locust-expect-workers M and --locust-bind ADDRESS:PORT go together, unless there is a --locust-master"
        )
    if bind is None:
        return Crew(workers=workers)
    host, port = parse_bind(bind)
    return Crew(workers=workers, elsewhere=elsewhere, bind_host=host, bind_port=port)


def _program(name: str) -> str:
    import shutil

    found = shutil.which(name)
    if found is None:
        raise UsageError(f"--redis {name!r}: no such program; give a path, a name found on PATH, or redis://host:port")
    return found


async def _try(chosen: "Options", real_runs: int) -> None:
    if chosen.crew.master is not None:
        from harness.load.place import check_master

        check_master(chosen.crew.master)
    elif chosen.crew.elsewhere:
        from harness.load.place import check_bind, join_command

        check_bind(chosen.crew)
        click.echo(f"harness: for each run with a load, start: {join_command(chosen.crew)}", err=True)
    if chosen.toxiproxy is not None:
        from harness.world.real.foreign_proxy import check_place, parse_place

        await check_place(parse_place(chosen.toxiproxy))
    if chosen.redis_url is not None:
        from harness.dependencies.redis.foreign import check, shown

        await check(chosen.redis_url, flush=chosen.redis_flush)
        if real_runs > 1 and not chosen.redis_flush:
            raise UsageError(
                f"--redis {shown(chosen.redis_url)}: each of {real_runs} runs needs an empty database; let them empty "
                "it: --redis-flush"
            )
