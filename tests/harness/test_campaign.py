"""Campaigns: every job is accounted for, whatever happens to it; limits are obeyed; order is that of the list."""

import textwrap
from dataclasses import replace
from typing import Any

import pytest

from harness import campaign
from harness.campaign import Hunt, Limits, Single, Twice, conduct
from harness.faults import process
from harness.invariants.delivery import no_acked_loss
from harness.runner import Order
from harness.scenario import Profile, during
from harness.units import seconds
from harness.verdict import INTERRUPTED, InvariantResult, Outcome, RunResult, Verdict
from harness.worlds import Options


class Log:
    """Progress, written down."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def began(self, job: Any) -> None:
        """Note the start."""
        self.lines.append(f"began {job}")

    def ended(self, job: Any, result: Any) -> None:
        """Note the end."""
        self.lines.append(f"ended {job}")


def result_of(order: Order, verdict: Verdict = Verdict.PASS, **fields: Any) -> RunResult:
    return RunResult(
        scenario=order.scenario.name,
        title="",
        patch=1,
        priority="P0",
        world=order.world,
        profile=order.profile,
        seed=order.seed,
        target=dict(order.targets),
        verdict=verdict,
        **fields,
    )


def violated(*ids: str) -> tuple[InvariantResult, ...]:
    return tuple(InvariantResult(id=one, name="", statement="", verdict=Outcome.VIOLATED, checked=1) for one in ids)


@pytest.fixture
def order(make_scenario, tmp_path):
    """An order for seed 1 in the sim world."""
    return Order(
        scenario=make_scenario(),
        profile="full",
        world="sim",
        seed=1,
        targets={"event_bus": "json:dumps"},
        folder=tmp_path,
    )


@pytest.fixture
def singles(order):
    """Five single runs, seeds 1 to 5."""
    return [Single(order=replace(order, seed=seed)) for seed in range(1, 6)]


@pytest.fixture
def scripted(monkeypatch):
    """Replace the runner: `scripted({seed: verdict or exception})`; seeds that are not named pass."""
    ran: list[int] = []

    def install(script: dict[int, Any]) -> list[int]:
        def run(order: Order, *, keep_history: bool = True) -> RunResult:
            ran.append(order.seed)
            outcome = script.get(order.seed, Verdict.PASS)
            if isinstance(outcome, BaseException):
                raise outcome
            return outcome if isinstance(outcome, RunResult) else result_of(order, outcome)

        monkeypatch.setattr(campaign, "run", run)
        return ran

    return install


def seeds(done: campaign.Done) -> list[int]:
    return [one.seed for one in done.runs]


def test_everything_is_done_in_order_of_the_list(singles, scripted):
    """Without limits each job begins and ends once, in order, and none is skipped, whatever the verdicts."""
    scripted({2: Verdict.FAIL, 3: Verdict.ERROR})
    log = Log()
    done = conduct(singles, Limits(), log)

    assert seeds(done) == [1, 2, 3, 4, 5]
    assert [one.verdict for one in done.runs][:3] == [Verdict.PASS, Verdict.FAIL, Verdict.ERROR]
    assert (done.skipped, done.interrupted) == ((), False)
    assert log.lines[:4] == [
        "began redis-outage [sim] seed 1",
        "ended redis-outage [sim] seed 1",
        "began redis-outage [sim] seed 2",
        "ended redis-outage [sim] seed 2",
    ]


@pytest.mark.parametrize("verdict", [Verdict.FAIL, Verdict.ERROR, Verdict.INCONCLUSIVE])
def test_fail_fast_stops_after_the_first_that_did_not_pass(singles, scripted, verdict):
    """Whatever is not a PASS stops it; each job that was not started is named with the reason."""
    ran = scripted({3: verdict})
    done = conduct(singles, Limits(fail_fast=True), Log())

    assert ran == [1, 2, 3]
    assert seeds(done) == [1, 2, 3]
    assert done.skipped == (
        "redis-outage [sim] seed 4: stopped at the first run that did not pass (redis-outage [sim] seed 3)",
        "redis-outage [sim] seed 5: stopped at the first run that did not pass (redis-outage [sim] seed 3)",
    )


def test_a_spent_budget_starts_nothing_new(singles, scripted, monkeypatch):
    """What began within the budget is finished and counts; the rest is named as skipped."""
    clock = iter([0.0, 1.0, 5.0, 10.0, 10.1, 99.0])
    monkeypatch.setattr(campaign.time, "monotonic", lambda: next(clock))
    ran = scripted({})
    done = conduct(singles, Limits(budget_s=10), Log())

    assert ran == [1, 2, 3]
    assert [line.rpartition(": ")[2] for line in done.skipped] == ["time budget of 10 s spent"] * 2


def test_ctrl_c_between_runs_keeps_what_there_is(singles, scripted):
    """An interrupt ends the campaign, keeps the results so far, and accounts for the rest."""
    scripted({3: KeyboardInterrupt()})
    done = conduct(singles, Limits(), Log())

    assert (seeds(done), done.interrupted) == ([1, 2], True)
    assert [line.rpartition(": ")[2] for line in done.skipped] == ["interrupted"] * 3


def test_ctrl_c_within_a_run_keeps_that_run_too(order, singles, scripted):
    """A run that was interrupted comes back as a result that says so; it is kept and ends the campaign."""
    cut = result_of(replace(order, seed=2), Verdict.INCONCLUSIVE, doubts=(INTERRUPTED,))
    scripted({2: cut})
    done = conduct(singles, Limits(), Log())

    assert (seeds(done), done.interrupted, len(done.skipped)) == ([1, 2], True, 3)


def test_a_job_that_raises_is_an_error_of_its_own(singles, scripted):
    """A full disk in one run is an ERROR that names the job in one line; the others go on."""
    scripted({2: OSError(28, "No space left\non device")})
    done = conduct(singles, Limits(), Log())

    assert seeds(done) == [1, 2, 3, 4, 5]
    broken = done.runs[1]
    assert broken.verdict is Verdict.ERROR
    assert broken.errors == ("redis-outage [sim] seed 2: OSError: [Errno 28] No space left on device",)
    assert broken.replay.startswith("harness run redis-outage --world sim --profile full --seed 2")


def test_with_one_job_real_runs_come_after_all_sim_runs_in_this_process(order, scripted):
    """Nothing runs beside another run; results still come in order of the list."""
    jobs = [Single(order=replace(order, world=world, seed=seed)) for seed, world in enumerate(["real", "sim"], 1)]
    ran = scripted({})
    done = conduct(jobs, Limits(), Log())

    assert ran == [2, 1]
    assert seeds(done) == [1, 2]


def test_a_hunt_ends_with_the_seed_that_caught_it(order, scripted):
    """Any invariant meant for the variant counts; all that were violated are told, and how many seeds it took."""
    caught = result_of(replace(order, seed=3), Verdict.FAIL, invariants=violated("EB9", "EB1"))
    ran = scripted({3: caught})
    (flawed,) = conduct([Hunt(order=order, variant=order.scenario.flawed[0], seeds=10)], Limits(), Log()).flawed

    assert ran == [1, 2, 3]
    assert (flawed.caught, flawed.by, flawed.seeds) == (True, ("EB9", "EB1"), 3)
    assert (flawed.variant, flawed.expected, flawed.example) == ("event_bus:planned", ("EB1",), caught)


def test_a_variant_that_fails_by_another_invariant_is_not_caught(order, scripted):
    """A violation that was not meant for the variant does not prove the invariant that was."""
    elsewhere = {
        seed: result_of(replace(order, seed=seed), Verdict.FAIL, invariants=violated("EB9")) for seed in (1, 2)
    }
    ran = scripted(elsewhere)
    (flawed,) = conduct([Hunt(order=order, variant=order.scenario.flawed[0], seeds=2)], Limits(), Log()).flawed

    assert ran == [1, 2]
    assert (flawed.caught, flawed.by, flawed.seeds) == (False, (), 2)


def test_a_hunt_that_breaks_stops_hunting(order, scripted):
    """A run that comes out ERROR says nothing of the variant, and the next seeds would break alike."""
    ran = scripted({2: Verdict.ERROR})
    (flawed,) = conduct([Hunt(order=order, variant=order.scenario.flawed[0], seeds=5)], Limits(), Log()).flawed

    assert ran == [1, 2]
    assert not flawed.caught
    assert flawed.example is not None
    assert flawed.example.verdict is Verdict.ERROR


def test_a_hunt_that_raises_is_not_caught_and_carries_the_error(order, scripted):
    """The gate sees an uncaught variant whose example is ERROR, not a missing one."""
    scripted({1: MemoryError()})
    (flawed,) = conduct([Hunt(order=order, variant=order.scenario.flawed[0], seeds=5)], Limits(), Log()).flawed

    assert not flawed.caught
    assert flawed.example is not None
    assert flawed.example.errors == ("redis-outage [sim] event_bus:planned: MemoryError",)


@pytest.mark.parametrize(
    ("digests", "contents", "verdict"),
    [
        (["aa", "aa"], [b"1", b"1"], Verdict.PASS),
        (["aa", "bb"], [b"1", b"1"], Verdict.ERROR),
        (["aa", "aa"], [b"1", b"2"], Verdict.ERROR),
    ],
)
def test_the_same_seed_twice_must_be_the_same_run(order, monkeypatch, digests, contents, verdict):
    """Another trace, or another byte in the history, is an ERROR of the world's, even where both runs pass."""
    made = iter(zip(digests, contents, strict=True))

    def run(order: Order, *, keep_history: bool = True) -> RunResult:
        digest, content = next(made)
        order.history_path.parent.mkdir(exist_ok=True)
        order.history_path.write_bytes(content)
        return result_of(order, trace_digest=digest)

    monkeypatch.setattr(campaign, "run", run)
    done = conduct([Twice(order=order)], Limits(), Log())

    assert [one.verdict for one in done.runs] == [verdict]
    assert done.runs[0].errors[:1] == (
        () if verdict is Verdict.PASS else (f"not deterministic: seed 1 gave trace aa, then {digests[1]}",)
    )


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
            seed=order.seed, target={}, verdict=Verdict.PASS,
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


@pytest.mark.real
def test_real_runs_are_made_beside_each_other_and_beside_sim_runs(stand_in):
    """A campaign of runs that wait for each other comes to its end; its results are in order of the list."""
    done = conduct(in_both_worlds(stand_in(MEETING)), Limits(jobs=2, real_jobs=2), Log())

    assert [(one.world, one.verdict) for one in done.runs] == [
        ("real", Verdict.PASS),
        ("real", Verdict.PASS),
        ("sim", Verdict.PASS),
    ]


@pytest.mark.real
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


@pytest.mark.real
def test_a_worker_that_dies_is_an_error_that_names_its_job(portable):
    """No hang, no traceback, no lost campaign: seed 3 is ERROR, the others have their own results, in order."""
    log = Log()
    done = conduct(portable, Limits(jobs=2), log)

    assert seeds(done) == [1, 2, 3, 4, 5]
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
    assert log.lines.index("ended redis-outage [sim] seed 1") > log.lines.index("ended redis-outage [sim] seed 2")


@pytest.mark.real
def test_limits_hold_over_processes_as_well(portable):
    """Fail-fast over two workers: nothing is begun after the broken job, what was under way is kept."""
    done = conduct([portable[2], *portable[3:], *portable[:2]], Limits(jobs=2, fail_fast=True), Log())

    assert seeds(done)[0] == 3
    assert len(done.runs) + len(done.skipped) == 5
    assert len(done.skipped) == 3
