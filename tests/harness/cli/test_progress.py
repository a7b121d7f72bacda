"""Progress: one line per finished group in a log, a table that is redrawn on a terminal, nothing when quiet."""

import io
from dataclasses import replace

import pytest
from rich.console import Console

from harness.campaign import Hunt, Single, Twice
from harness.cli.progress import showing
from harness.runner import Order
from harness.verdict import FlawedResult, RunResult, Verdict


def result_of(job, verdict=Verdict.PASS) -> RunResult:
    order = job.order
    return RunResult(
        scenario=order.scenario.name,
        title="",
        patch=1,
        priority="P0",
        world=order.world,
        profile="full",
        seed=order.seed,
        target={},
        verdict=verdict,
    )


def flawed_of(hunt, *, caught=True, seeds=1) -> FlawedResult:
    return FlawedResult(
        variant=hunt.variant.label,
        scenario=hunt.order.scenario.name,
        world="sim",
        expected=("EB1",),
        caught=caught,
        by=("EB1",) if caught else (),
        seeds=seeds,
    )


@pytest.fixture
def order(make_scenario, tmp_path):
    """An order of the scenario."""
    return Order(scenario=make_scenario(), profile="full", world="sim", seed=1, targets={}, folder=tmp_path)


@pytest.fixture
def jobs(order):
    """One seed twice, another once, and two hunts."""
    variant = order.scenario.flawed[0]
    return [
        Twice(order=order),
        Single(order=replace(order, seed=2)),
        Hunt(order=order, variant=variant, seeds=5),
        Hunt(order=order, variant=replace(variant, name="silent"), seeds=5),
    ]


def show(jobs, results, *, terminal=False, **flags) -> str:
    """Tell the progress of these jobs, and return what was shown."""
    flags = {"quiet": False, "plain": False, "verbose": False, **flags}
    file = io.StringIO()
    console = Console(file=file, force_terminal=terminal, width=80, color_system="standard" if terminal else None)
    with showing(console, jobs, **flags) as progress:
        for job, result in zip(jobs, results, strict=True):
            progress.began(job)
            progress.ended(job, result)
    return file.getvalue()


def without_time(text: str) -> list[str]:
    return [line.partition(" (")[0] for line in text.splitlines()]


def test_a_log_has_one_line_for_each_finished_group(jobs):
    """A group is a scenario in a world, its flawed variants one more."""
    shown = show(jobs, [result_of(jobs[0]), result_of(jobs[1]), flawed_of(jobs[2]), flawed_of(jobs[3])])

    assert without_time(shown) == [
        "redis-outage [sim], 2 runs: PASS",
        "redis-outage [sim] flawed, 2 variants: all 2 caught",
    ]


def test_mixed_verdicts_are_counted(jobs):
    """Not only the worst: how many came to what."""
    shown = show(jobs[:2], [result_of(jobs[0]), result_of(jobs[1], Verdict.FAIL)])

    assert without_time(shown) == ["redis-outage [sim], 2 runs: 1 PASS, 1 FAIL"]


def test_a_variant_that_got_away_is_named(jobs):
    """It is what has to be looked at."""
    shown = show(jobs[2:], [flawed_of(jobs[2]), flawed_of(jobs[3], caught=False)])

    assert without_time(shown) == ["redis-outage [sim] flawed, 2 variants: NOT caught: event_bus:silent"]


def test_one_variant_says_what_caught_it(jobs):
    """And in how many seeds."""
    assert "caught by EB1 in 3 seeds" in show([jobs[2]], [flawed_of(jobs[2], seeds=3)])
    assert "caught by EB1 in 1 seed (" in show([jobs[2]], [flawed_of(jobs[2])])


def test_verbose_shows_every_job(jobs):
    """Each as it ends, then its group."""
    shown = show(jobs[:2], [result_of(jobs[0]), result_of(jobs[1])], verbose=True)

    assert without_time(shown) == [
        "redis-outage [sim] seed 1, twice: PASS",
        "redis-outage [sim] seed 2: PASS",
        "redis-outage [sim], 2 runs: PASS",
    ]


def test_nothing_is_said_of_a_group_that_did_not_finish(jobs):
    """An interrupted group has no verdict to show."""
    file = io.StringIO()
    with showing(Console(file=file), jobs, quiet=False, plain=True, verbose=False) as progress:
        progress.began(jobs[0])
        progress.ended(jobs[0], result_of(jobs[0]))

    assert file.getvalue() == ""


def test_quiet_says_nothing(jobs):
    """Also on a terminal."""
    assert show(jobs[:1], [result_of(jobs[0])], quiet=True, terminal=True) == ""


def test_a_terminal_sees_a_table_that_goes_away(jobs, order):
    """Rows with counts and what is running are drawn while it lasts; names are text, never markup."""
    hostile = replace(order.scenario, name="[red]redis[/red]")
    job = Single(order=replace(order, scenario=hostile))
    shown = show([job, *jobs[2:3]], [result_of(job), flawed_of(jobs[2])], terminal=True)

    assert "[red]redis[/red] [sim]" in shown
    assert "1/1" in shown
    assert "caught by EB1" in shown
    assert shown.rstrip("\n").endswith("\x1b[2K")  # transient: its last act is to erase its lines


def test_plain_on_a_terminal_has_no_control_characters(jobs):
    """`--plain` is one line a group, for a terminal that is being recorded."""
    file = io.StringIO()
    console = Console(file=file, force_terminal=True, width=80, no_color=True)
    with showing(console, jobs[:1], quiet=False, plain=True, verbose=False) as progress:
        progress.began(jobs[0])
        progress.ended(jobs[0], result_of(jobs[0]))

    assert "\x1b" not in file.getvalue()
    assert without_time(file.getvalue()) == ["redis-outage [sim], 1 run: PASS"]
