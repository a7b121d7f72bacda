"""Readiness: every reason that a patch is not ready is told, and only required ones keep the gate shut."""

import pytest

from harness.jobs import Done, Single
from harness.policy import GatePolicy
from harness.readiness import assess
from harness.runner import Order
from harness.verdict import FlawedResult, InvariantResult, Outcome, RunResult, Verdict


def run(verdict=Verdict.PASS, *, scenario="redis-outage", world="sim", seed=1, outcome=Outcome.HOLDS, **metrics):
    held = InvariantResult(id="EB1", name="", statement="", verdict=outcome, checked=1)
    return RunResult(
        scenario=scenario, title="", patch=1, priority="P0", world=world, profile="full", seed=seed, target={},
        verdict=verdict, invariants=(held,), metrics=metrics,
    )  # fmt: skip


def flawed(*, caught=True, example=None):
    return FlawedResult(
        variant="event_bus:planned", scenario="redis-outage", world="sim", expected=("EB1",), caught=caught, by=(),
        seeds=20, example=example,
    )  # fmt: skip


@pytest.fixture
def order(make_scenario, tmp_path):
    def make(name="redis-outage", patch=1, priority="P0"):
        scenario = make_scenario(name=name, patch=patch, priority=priority)
        return Order(scenario=scenario, profile="full", world="sim", seed=1, targets={}, folder=tmp_path)

    return make


@pytest.fixture
def judged(order):
    """`judged(runs, flawed, undone)`: the assessment of one P0 patch with one scenario."""

    def judge(*runs, flawed=(), undone=(), policy=None, jobs=None):
        done = Done(runs=runs, flawed=tuple(flawed), skipped=(), interrupted=False, undone=tuple(undone))
        return assess(done, jobs or [Single(order=order())], policy or GatePolicy())

    return judge


def test_all_passed_caught_and_agreed_is_ready(judged):
    """The table's figures are what was seen."""
    told = judged(run(), run(world="real"), flawed=[flawed()])
    (patch,) = told.patches
    assert (told.verdict, patch.is_ready, patch.reasons) == (Verdict.PASS, True, ())
    assert (patch.patch, patch.priority, patch.worlds) == (1, "P0", ("sim", "real"))
    assert (patch.passed, patch.runs, patch.invariants, patch.invariants_total) == (2, 2, 1, 1)
    assert (patch.caught, patch.variants) == (1, 1)


def test_worlds_that_disagree_keep_the_gate_shut(judged):
    """A pass in one world and a doubt in the other is said as what it is."""
    told = judged(run(), run(Verdict.INCONCLUSIVE, world="real"))
    assert told.verdict is Verdict.INCONCLUSIVE
    assert "the worlds disagree on redis-outage: PASS in sim, INCONCLUSIVE in real" in told.patches[0].reasons
    assert judged(run(), run(Verdict.FAIL, world="real")).verdict is Verdict.FAIL


@pytest.mark.parametrize(
    ("wrong", "verdict", "reason"),
    [
        ({"runs": [run(seed=2), run(Verdict.FAIL, seed=9), run(Verdict.FAIL, seed=4)]}, Verdict.FAIL,
         "redis-outage [sim]: 2 of 3 runs FAIL, lowest seed 4"),
        ({"runs": [run(Verdict.ERROR)]}, Verdict.ERROR, "redis-outage [sim]: 1 of 1 runs ERROR, lowest seed 1"),
        ({"runs": [run()], "flawed": [flawed(caught=False)]}, Verdict.INCONCLUSIVE,
         "event_bus:planned is not caught in redis-outage [sim], 20 seeds"),
        ({"runs": [run()], "flawed": [flawed(caught=False, example=run(Verdict.ERROR))]}, Verdict.ERROR,
         "event_bus:planned is not caught in redis-outage [sim], 20 seeds"),
        ({"runs": []}, Verdict.INCONCLUSIVE, "nothing was run"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told(judged, wrong, verdict, reason):
    """In words that say where, and as the verdict that it makes of the gate."""
    told = judged(*wrong["runs"], flawed=wrong.get("flawed", ()))
    assert (told.verdict, told.patches[0].reasons) == (verdict, (reason,))


def test_required_work_that_was_not_done_is_inconclusive(judged, order):
    """However good the rest is; three of it by name."""
    undone = [Single(order=order()) for _ in range(5)]
    told = judged(run(), undone=undone)
    assert told.verdict is Verdict.INCONCLUSIVE
    assert told.patches[0].reasons[0].startswith("not done: redis-outage [sim] seed 1, ")
    assert told.patches[0].reasons[0].endswith(" and 2 more")


def test_a_priority_that_is_not_required_keeps_no_gate_shut_but_an_error_does(judged, order):
    """The patch is judged and told all the same. An error of the harness throws doubt on everything."""
    jobs = [Single(order=order()), Single(order=order("stampede", 6, "P2"))]
    policy = GatePolicy(require=("P0", "P1"))
    for verdict, whole in ((Verdict.FAIL, Verdict.PASS), (Verdict.ERROR, Verdict.ERROR)):
        told = judged(run(), run(verdict, scenario="stampede"), jobs=jobs, policy=policy)
        assert told.verdict is whole
        assert [(one.patch, one.is_required, one.is_ready) for one in told.patches] == [
            (1, True, True),
            (6, False, False),
        ]
    assert judged(run(), run(Verdict.FAIL, scenario="stampede"), jobs=jobs).verdict is Verdict.FAIL


@pytest.mark.parametrize(
    ("limit", "verdict", "reason"),
    [
        ({"recovery_s": 3.0}, Verdict.PASS, None),
        ({"recovery_s": 2.5}, Verdict.FAIL, "limit recovery_s of redis-outage: 3 s, limit 2.5 (sim, seed 2)"),
        ({"put_per_s": 41.0}, Verdict.FAIL, "limit put_per_s of redis-outage: 40 /s, limit 41 (sim, seed 1)"),
        ({"get_fail": 0.0}, Verdict.INCONCLUSIVE, "limit get_fail of redis-outage: no run has such a figure"),
    ],
)
def test_the_projects_own_limits_are_those_of_the_worst_seed(judged, limit, verdict, reason):
    """In the direction of the measure; a limit for a figure that nobody has is not one that holds."""
    runs = [run(recovery_s=1.0, put_per_s=40.0), run(seed=2, recovery_s=3.0, put_per_s=50.0)]
    told = judged(*runs, policy=GatePolicy(limits={"redis-outage": limit}))
    assert (told.verdict, told.patches[0].reasons) == (verdict, () if reason is None else (reason,))
