"""Campaigns over processes: which runs are beside which, and what a process that dies takes along."""

import os
import textwrap
from dataclasses import replace
from typing import Any

import pytest

from harness import campaign
from harness.campaign import Limits, Single, conduct
from harness.faults import process
from harness.invariants.delivery import no_acked_loss
from harness.runner import Order
from harness.scenario import Profile, during
from harness.units import seconds
from harness.verdict import CRASHED, TIMED_OUT, Verdict
from harness.worlds import Options
from tests.harness.campaign_log import Log

pytestmark = pytest.mark.real

WORK = """
    import os
    import time
    from pathlib import Path
    from harness.campaign import Hunt, _flawed
    from harness.verdict import RunResult, Verdict

    def perform(job):
        order = job.order
        marks = Path(order.folder)
        if order.seed == 3:
            os._exit(9)
        if order.seed == 1:  # the first to begin is the last to end
            while len(list(marks.glob("*.done"))) < 3:
                time.sleep(0.01)
        (marks / f"{order.seed}.done").touch()
        verdict = Verdict.FAIL if order.seed == 4 else Verdict.PASS
        return RunResult(
            scenario=order.scenario.name, title="", patch=1, priority="P0", world="sim", profile="full",
            seed=order.seed, target={}, verdict=verdict,
        )
"""


MEETING = """
    import os
    import time
    from pathlib import Path
    from harness.verdict import RunResult, Verdict

    def perform(job):
        order = job.order
        marks = Path(order.folder)
        (marks / f"{order.world}{order.seed}").touch()
        if not order.options.shared:  # none ends before the other real run and a sim run are under way
            while not all((marks / name).exists() for name in ("sim1", "real1", "real2")):
                time.sleep(0.01)
        return RunResult(
            scenario=order.scenario.name, title="", patch=1, priority="P0", world=order.world, profile="full",
            seed=order.seed, target={}, verdict=Verdict.PASS, metrics={"nice": os.nice(0)},
        )
"""


@pytest.fixture
def stand_in(order, tmp_path, monkeypatch, make_scenario):
    """`stand_in(code)`: an order whose scenario any process can import, carried out by that code's `perform`."""

    def install(code: str) -> Order:
        name = f"campaign_work_{tmp_path.name.replace('-', '_')}"
        (tmp_path / f"{name}.py").write_text(textwrap.dedent(code))
        monkeypatch.syspath_prepend(tmp_path)
        monkeypatch.setattr(campaign, "perform", __import__(name).perform)
        profile = Profile(
            hosts=(),
            schedule=(during(seconds(1), seconds(1), process.kill("publisher")),),
            settle_ns=0,
            needs=make_scenario().profile("full").needs,
        )
        scenario = make_scenario(
            profiles={"full": profile}, invariants=(no_acked_loss(id="EB1"),), dependencies=(), flawed=()
        )
        return replace(order, scenario=scenario)

    return install


@pytest.fixture
def portable(stand_in):
    """Single runs done by a stand-in for the runner that dies of seed 3."""
    order = stand_in(WORK)
    return [Single(order=replace(order, seed=seed)) for seed in range(1, 6)]


def in_both_worlds(order: Order, **of_real: Any) -> list[Single]:
    """Two real runs and a sim run."""
    real = [Single(order=replace(order, world="real", seed=seed, **of_real)) for seed in (1, 2)]
    return [*real, Single(order=order)]


def test_real_runs_are_made_beside_each_other_and_beside_sim_runs(stand_in):
    """A campaign of runs that wait for each other comes to its end, in order of the list; sim runs give way."""
    done = conduct(in_both_worlds(stand_in(MEETING)), Limits(jobs=2, real_jobs=2), Log())

    assert [(one.world, one.seed, one.verdict) for one in done.runs] == [
        ("real", 1, Verdict.PASS),
        ("real", 2, Verdict.PASS),
        ("sim", 1, Verdict.PASS),
    ]
    ours = os.nice(0)
    assert [one.metrics["nice"] - ours for one in done.runs] == [0, 0, min(10, 19 - ours)]


def test_sim_runs_without_real_ones_give_way_to_nobody(stand_in):
    """Nothing of ours is beside them, so a machine with other work on it serves them like any other program."""
    order = stand_in(MEETING)
    jobs = [Single(order=replace(order, seed=seed, options=Options(redis="redis://127.0.0.1:1"))) for seed in (1, 2)]
    done = conduct(jobs, Limits(jobs=2), Log())

    assert [one.metrics["nice"] for one in done.runs] == [os.nice(0)] * 2


@pytest.mark.parametrize("choice", [Options(redis="redis://127.0.0.1:1"), Options(toxiproxy="http://127.0.0.1:1")])
def test_real_runs_at_a_shared_server_are_made_one_at_a_time(stand_in, choice):
    """Each empties the database that the other would be using; a proxy's server knows one set of proxies."""
    log = Log()
    conduct(in_both_worlds(stand_in(MEETING), options=choice), Limits(jobs=2, real_jobs=2), log)

    assert [line for line in log.lines if "[real]" in line] == [
        "began redis-outage [real] seed 1",
        "ended redis-outage [real] seed 1",
        "began redis-outage [real] seed 2",
        "ended redis-outage [real] seed 2",
    ]


def test_a_worker_that_dies_is_an_error_that_names_its_job(portable):
    """No hang, no traceback, no lost campaign: seed 3 is ERROR, the others have their own results, in order."""
    log = Log()
    done = conduct(portable, Limits(jobs=2), log)

    assert [one.seed for one in done.runs] == [1, 2, 3, 4, 5]
    assert [one.verdict for one in done.runs] == [
        Verdict.PASS,
        Verdict.PASS,
        Verdict.ERROR,
        Verdict.FAIL,
        Verdict.PASS,
    ]
    (error,) = done.runs[2].errors
    assert error.startswith("redis-outage [sim] seed 3: its worker process (pid ")
    assert error.endswith(" exited with code 9")
    assert [one.lost for one in done.runs] == ["", "", CRASHED, "", ""]
    assert log.lines.index("ended redis-outage [sim] seed 1") > log.lines.index("ended redis-outage [sim] seed 2")


def test_limits_hold_over_processes_as_well(portable):
    """Fail-fast over two workers: nothing is begun after the broken job, what was under way is kept."""
    done = conduct([portable[2], *portable[3:], *portable[:2]], Limits(jobs=2, fail_fast=True), Log())

    assert done.runs[0].seed == 3
    assert len(done.runs) + len(done.skipped) == 5
    assert len(done.skipped) == 3


STUCK = """
    import time
    from harness.verdict import RunResult, Verdict

    def perform(job):
        if job.order.seed == 2:
            time.sleep(60)
        return RunResult(
            scenario=job.order.scenario.name, title="", patch=1, priority="P0", world="sim", profile="full",
            seed=job.order.seed, target={}, verdict=Verdict.PASS,
        )
"""


def test_a_run_that_takes_too_long_is_lost_and_the_others_are_not(stand_in):
    """Even with one job, where runs follow each other: seed 2 is an ERROR that says so, and no failure."""
    order = stand_in(STUCK)
    jobs = [Single(order=replace(order, seed=seed)) for seed in (1, 2, 3)]
    done = conduct(jobs, Limits(jobs=1, run_timeout_s=0.5), Log())

    assert [one.verdict for one in done.runs] == [Verdict.PASS, Verdict.ERROR, Verdict.PASS]
    assert [one.lost for one in done.runs] == ["", TIMED_OUT, ""]
    assert done.runs[1].errors == ("redis-outage [sim] seed 2: ended after 0.5 s, longer than it may take",)
