"""The gate: what it runs, and how one verdict comes of it."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.campaign import Done, Hunt, Single, Twice
from harness.errors import UsageError
from harness.gate import GatePolicy, gate_jobs, session
from harness.load.spec import Crew
from harness.runner import Order
from harness.scenario import FlawedVariant
from harness.verdict import EXIT_CODES, FlawedResult, RunResult, Verdict
from harness.worlds import Options

NOTHING = Done(runs=(), flawed=(), skipped=(), interrupted=False)


def run_result(verdict: Verdict) -> RunResult:
    return RunResult(
        scenario="s",
        title="",
        patch=1,
        priority="P0",
        world="sim",
        profile="full",
        seed=1,
        target={},
        verdict=verdict,
    )


def flawed_result(*, caught: bool, example: Verdict | None = Verdict.FAIL) -> FlawedResult:
    return FlawedResult(
        variant="event_bus:planned",
        scenario="s",
        world="sim",
        expected=("EB1",),
        caught=caught,
        by=("EB1",) if caught else (),
        seeds=1,
        example=None if example is None else run_result(example),
    )


def outcome(**done: object) -> tuple[Verdict, int]:
    judged = session(replace(NOTHING, **done), command=["gate"], started_utc="2026-01-01T00:00:00+00:00")
    return judged.verdict, judged.exit_code


@pytest.fixture
def scenario(make_scenario):
    """A scenario with two flawed variants, one of which is hunted in the real world too."""
    variants = [
        FlawedVariant(port="event_bus", name=name, factory=f"json:{name}", caught_by=("EB1",))
        for name in ("planned", "silent")
    ]
    return make_scenario(flawed=tuple(variants))


def test_a_gate_runs_the_reference_and_hunts_every_variant_in_both_worlds(scenario, tmp_path):
    """Sim: seed 1 twice, then the other seeds, then each variant. Real: fewer seeds, only the chosen variants."""
    policy = GatePolicy(sim_seeds=3, real_seeds=2, hunt_seeds=7, real_hunt_seeds=4)
    jobs = gate_jobs([scenario], policy, tmp_path, Options())

    assert [str(job) for job in jobs] == [
        "redis-outage [sim] seed 1, twice",
        "redis-outage [sim] seed 2",
        "redis-outage [sim] seed 3",
        "redis-outage [sim] event_bus:planned",
        "redis-outage [sim] event_bus:silent",
        "redis-outage [real] seed 1",
        "redis-outage [real] seed 2",
        "redis-outage [real] event_bus:planned",
    ]
    assert [type(job) for job in jobs[:2]] == [Twice, Single]
    assert [job.seeds for job in jobs if isinstance(job, Hunt)] == [7, 7, 4]
    assert [(job.order.world, job.order.profile) for job in (jobs[0], jobs[-1])] == [("sim", "full"), ("real", "short")]


def test_what_is_judged_and_what_is_hunted_are_different_targets(scenario, tmp_path):
    """The reference stands behind the port when it is judged, the variant when it is hunted; so do their files."""
    jobs = gate_jobs([scenario], GatePolicy(worlds=("sim",), sim_seeds=1), tmp_path, Options())

    assert [job.order.targets["event_bus"] for job in jobs] == ["json:dumps", "json:planned", "json:silent"]
    paths = [job.order.history_path for job in jobs]
    assert len(set(paths)) == 3
    assert all(path.is_relative_to(tmp_path) and ":" not in path.name for path in paths)


def test_a_projects_own_target_is_what_is_judged(scenario, tmp_path):
    """`[tool.harness.targets]` goes before the reference, for the ports that a scenario has; hunts are left alone."""
    policy = GatePolicy(worlds=("sim",), sim_seeds=1, targets={"event_bus": "own:make", "limiter": "own:limit"})
    jobs = gate_jobs([scenario], policy, tmp_path, Options())

    assert [dict(job.order.targets) for job in jobs] == [
        {"event_bus": "own:make"},
        {"event_bus": "json:planned"},
        {"event_bus": "json:silent"},
    ]
    assert jobs[0].order.label == "target"


def test_one_world_alone(scenario, tmp_path):
    """A policy with one world makes jobs of no other."""
    jobs = gate_jobs([scenario], GatePolicy(worlds=("real",)), tmp_path, Options())

    assert {job.order.world for job in jobs} == {"real"}


def test_the_redis_option_reaches_every_order(scenario, tmp_path):
    """The server that a person chose is used by each real run."""
    options = Options(redis="/usr/bin/redis-server")

    assert {job.order.options for job in gate_jobs([scenario], GatePolicy(), tmp_path, options)} == {options}


def test_a_replay_command_names_whatever_differs_from_the_reference(scenario, tmp_path):
    """Pasting the command makes the same run: world, profile, seed and target are all in it, quoted where need be."""
    order = Order(
        scenario=scenario,
        profile="short",
        world="real",
        seed=9,
        targets={"event_bus": "own pkg:make"},
        folder=tmp_path,
    )
    start = "harness run redis-outage --world real --profile short --seed 9"

    assert order.replay == f"{start} --target 'event_bus=own pkg:make'"
    assert replace(order, targets=scenario.ports).replay == start


def test_a_replay_command_names_the_choices_of_the_real_world_but_no_password(scenario, tmp_path):
    """Server, flush and proxy are part of what was run; in the sim world they make no difference."""
    options = Options(redis="redis://:hunter2@h:1/2", redis_flush=True, toxiproxy="http://127.0.0.1:8474")
    order = Order(
        scenario=scenario,
        profile="full",
        world="real",
        seed=3,
        targets=scenario.ports,
        folder=tmp_path,
        options=options,
    )

    assert order.replay.endswith("--redis 'redis://***@h:1/2' --redis-flush --toxiproxy http://127.0.0.1:8474")
    assert replace(order, world="sim").replay.endswith("--seed 3")


def test_a_replay_command_names_who_makes_the_load(scenario, tmp_path):
    """How many processes, and where others join them, is part of what was run in the real world."""
    crew = Crew(workers=2, elsewhere=1, bind_host="10.0.0.5", bind_port=5557)
    order = Order(
        scenario=scenario,
        profile="full",
        world="real",
        seed=3,
        targets=scenario.ports,
        folder=tmp_path,
        options=Options(crew=crew),
    )

    assert order.replay.endswith("--locust-workers 2 --locust-expect-workers 1 --locust-bind 10.0.0.5:5557")
    theirs = Options(crew=Crew(workers=1, master=("10.0.0.6", 5557)))
    assert replace(order, options=theirs).replay.endswith("--locust-workers 1 --locust-master 10.0.0.6:5557")
    assert replace(order, options=Options()).replay.endswith("--seed 3")
    assert replace(order, world="sim").replay.endswith("--seed 3")
    assert order.options.shared


@pytest.mark.parametrize(
    ("done", "verdict", "code"),
    [
        ({}, Verdict.INCONCLUSIVE, 7),
        ({"runs": (run_result(Verdict.PASS),)}, Verdict.PASS, 0),
        ({"runs": (run_result(Verdict.PASS), run_result(Verdict.FAIL))}, Verdict.FAIL, 1),
        ({"runs": (run_result(Verdict.FAIL), run_result(Verdict.ERROR))}, Verdict.ERROR, 3),
        ({"runs": (run_result(Verdict.PASS),), "skipped": ("s: budget",)}, Verdict.INCONCLUSIVE, 7),
        ({"runs": (run_result(Verdict.FAIL),), "skipped": ("s: budget",)}, Verdict.FAIL, 1),
        ({"flawed": (flawed_result(caught=True),)}, Verdict.PASS, 0),
        ({"flawed": (flawed_result(caught=False),)}, Verdict.INCONCLUSIVE, 7),
        ({"flawed": (flawed_result(caught=False, example=Verdict.PASS),)}, Verdict.INCONCLUSIVE, 7),
        ({"flawed": (flawed_result(caught=False, example=None),)}, Verdict.INCONCLUSIVE, 7),
        ({"flawed": (flawed_result(caught=False, example=Verdict.ERROR),)}, Verdict.ERROR, 3),
        ({"runs": (run_result(Verdict.PASS),), "interrupted": True}, Verdict.PASS, 2),
        ({"runs": (run_result(Verdict.FAIL),), "interrupted": True}, Verdict.FAIL, 2),
        ({"runs": (run_result(Verdict.ERROR),), "interrupted": True}, Verdict.ERROR, 3),
    ],
)
def test_verdict_and_exit_code(done, verdict, code):
    """3 over 2 over 1 over 7; a variant that nobody caught or a job that was skipped keeps the gate shut."""
    assert outcome(**done) == (verdict, code)


@given(st.lists(st.sampled_from(Verdict), min_size=1, max_size=6), st.booleans(), st.booleans())
def test_only_a_whole_and_passing_session_exits_with_0(verdicts, caught, skipped):
    """Exit code 0 means: every run passed, every variant was caught, nothing was skipped."""
    done = {
        "runs": tuple(run_result(one) for one in verdicts),
        "flawed": (flawed_result(caught=caught),),
        "skipped": ("s: why",) if skipped else (),
    }
    verdict, code = outcome(**done)

    assert (code == 0) == (set(verdicts) == {Verdict.PASS} and caught and not skipped)
    assert code == EXIT_CODES[verdict]


def test_a_session_says_where_it_ran():
    """Command, start and interpreter are in the session, so that a report can be traced."""
    made = session(NOTHING, command=["gate", "--jobs", "2"], started_utc="2026-01-01T00:00:00+00:00")

    assert made.command == ("gate", "--jobs", "2")
    assert made.started_utc == "2026-01-01T00:00:00+00:00"
    assert set(made.environment) >= {"python", "platform", "implementation", "config_hash"}


def test_a_variant_of_an_unknown_port_is_found_before_anything_runs(make_scenario, tmp_path):
    """A flawed variant for a port that the scenario lacks is a mistake in the scenario, told while jobs are made."""
    variant = FlawedVariant(port="event_buss", name="planned", factory="json:loads", caught_by=("EB1",))

    with pytest.raises(UsageError, match="unknown port of redis-outage 'event_buss'; did you mean 'event_bus'"):
        gate_jobs([make_scenario(flawed=(variant,))], GatePolicy(), tmp_path, Options())


def test_a_large_size_is_run_once_in_the_sim_world(scenario, tmp_path):
    """Besides all seeds of the usual size, and never for real."""
    large = replace(scenario, profiles={**scenario.profiles, "large": scenario.profiles["full"]})
    jobs = gate_jobs([large], GatePolicy(sim_seeds=3), tmp_path, Options())
    assert [(job.order.world, job.order.seed) for job in jobs if job.order.profile == "large"] == [("sim", 1)]
    assert len(jobs) == len(gate_jobs([scenario], GatePolicy(sim_seeds=3), tmp_path, Options())) + 1
