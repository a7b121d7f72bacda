"""Campaigns: every job is accounted for, whatever happens to it; limits are obeyed; order is that of the list."""

from dataclasses import replace
from typing import Any

import pytest

from harness import campaign, ledger
from harness.campaign import Hunt, Limits, Single, Twice, conduct
from harness.runner import Order
from harness.verdict import INTERRUPTED, InvariantResult, Outcome, RunResult, Verdict
from tests.harness.campaign_log import Log


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
    monkeypatch.setattr(ledger.time, "monotonic", lambda: next(clock))
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
        () if verdict is Verdict.PASS else (f"not reproducible: seed 1 gave trace aa, then {digests[1]}",)
    )


def test_without_a_budget_optional_runs_take_no_time_of_their_own(order, scripted):
    """With one job nothing is beside them, so they are left; what is required comes first, real runs included."""
    ran = scripted({})
    jobs = [
        Single(order=replace(order, seed=1)),
        Single(order=replace(order, seed=2), is_optional=True),
        Single(order=replace(order, seed=3), is_optional=True),
        Single(order=replace(order, seed=4, world="real")),
    ]
    done = conduct(jobs, Limits(), Log())
    assert ran == [1, 4]
    assert (done.skipped, done.undone) == ((), ())
    assert done.omitted == ("redis-outage [sim]: 2 further seeds of 2 to 3: all that is required was done",)

    ran.clear()
    done = conduct(jobs, Limits(budget_s=1e6), Log())
    assert (sorted(ran), done.omitted) == ([1, 2, 3, 4], ())
