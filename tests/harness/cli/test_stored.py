"""`harness check` and `harness replay`: a stored history is judged again, or made again and compared."""

import json

import pytest

from harness import campaign
from harness.cli import check_command, list_command, replay_command
from harness.history.events import RunEnded
from harness.history.history import History
from harness.history.store import Store
from harness.runner import Order
from harness.units import seconds
from harness.verdict import RunResult, Verdict


@pytest.fixture
def scenario(project, monkeypatch, make_scenario):
    """The one scenario that is known."""
    only = make_scenario()
    for module in (check_command, list_command, replay_command):
        monkeypatch.setattr(module, "discover", lambda packages: {only.name: only})
    return only


@pytest.fixture
def stored(project, scenario, make_history):
    """Store a history of that scenario under a name; return its path."""

    def store(name, *, digest=None, **changes):
        made = make_history(scenario, ended=False, header={"targets": dict(scenario.ports)}, **changes)
        events = [*made.events, RunEnded(seconds(10), "harness", 1, digest, len(made.events))]
        path = project / name
        with Store(path) as file:
            for event in History.of(events).events:
                file.record(event)
        return path

    return store


@pytest.fixture
def again(monkeypatch):
    """Replace the runner; `again(digest)` says which trace it will come to, and gives the orders it gets."""
    orders: list[Order] = []

    def install(digest):
        def run(order: Order, *, keep_history: bool = True) -> RunResult:
            orders.append(order)
            return RunResult(
                scenario=order.scenario.name,
                title="",
                patch=1,
                priority="P0",
                world=order.world,
                profile=order.profile,
                seed=order.seed,
                target=dict(order.targets),
                verdict=Verdict.PASS,
                trace_digest=digest,
            )

        monkeypatch.setattr(campaign, "run", run)
        return orders

    return install


def test_check_judges_a_file_again(harness, stored):
    """The verdict is the exit code, and comes from the file alone."""
    stored("good.jsonl")
    stored("bad.jsonl", lost=2)

    assert harness("check", "good.jsonl").code == 0
    said = harness("check", "bad.jsonl", "--json")
    (run,) = json.loads(said.out)["runs"]
    assert (said.code, run["verdict"], run["invariants"][0]["observed"]) == (1, "FAIL", 2)


def test_check_takes_many_and_the_worst_decides(harness, stored):
    """All are judged, and none of it writes anything."""
    names = [stored(name, **changes).name for name, changes in (("a", {}), ("b", {"bites": False}), ("c", {}))]
    said = harness("check", *names, "--json")

    assert said.code == 7
    assert [run["verdict"] for run in json.loads(said.out)["runs"]] == ["PASS", "INCONCLUSIVE", "PASS"]


def test_check_writes_nothing(harness, stored, project):
    """A judgement of files leaves no run folder."""
    stored("good.jsonl")
    harness("check", "good.jsonl")

    assert {path.name for path in project.iterdir()} == {"good.jsonl", "pyproject.toml"}


def test_a_history_whose_scenario_was_edited_is_an_error(harness, project, scenario, make_history):
    """Another plan than the one it was made under: exit code 3, never a pass."""
    history = make_history(scenario, header={"plan": [], "targets": dict(scenario.ports)})
    with Store(project / "old.jsonl") as file:
        for event in history.events:
            file.record(event)
    said = harness("check", "old.jsonl", "--json")

    assert said.code == 3


def test_replay_makes_the_same_run_and_finds_the_same_trace(harness, stored, again):
    """Scenario, world, profile, seed and target come from the file; the comparison is said on stderr."""
    orders = again("abc")
    path = stored("good.jsonl", digest="abc")
    said = harness("replay", path.name)

    assert said.code == 0
    (order,) = orders
    assert (order.scenario.name, order.world, order.profile, order.seed) == ("redis-outage", "sim", "full", 1)
    assert dict(order.targets) == {"event_bus": "json:dumps"}
    assert said.err.splitlines()[-1] == "replay: same trace (abc)"


@pytest.mark.parametrize(
    ("before", "now", "line"),
    [
        (
            "abc",
            "abd",
            "replay: NOT the same trace: abc then, abd now; the code has changed, or the run is not reproducible",
        ),
        (None, "abd", "replay: no trace to compare (real world, or a run that did not end)"),
        ("abc", None, "replay: no trace to compare (real world, or a run that did not end)"),
    ],
)
def test_replay_says_when_it_is_not_the_same(harness, stored, again, before, now, line):
    """A trace that differs, or that one side lacks, is said so: it is never called the same."""
    again(now)
    stored("good.jsonl", digest=before)

    assert harness("replay", "good.jsonl").err.splitlines()[-1] == line


def test_replay_of_a_run_folder_with_one_history(harness, stored, again, project):
    """`reports/out/latest` will do where there is no choice."""
    orders = again("abc")
    (project / "run" / "histories").mkdir(parents=True)
    stored("run/histories/only.jsonl", digest="abc")

    assert harness("replay", "run").code == 0
    assert len(orders) == 1


def test_replay_of_a_target_that_is_gone_is_a_usage_error(harness, project, scenario, make_history):
    """The factory named in the file no longer exists: one line, nothing is run."""
    history = make_history(scenario, header={"targets": {"event_bus": "nosuch.mod:make"}})
    with Store(project / "old.jsonl") as file:
        for event in history.events:
            file.record(event)
    said = harness("replay", "old.jsonl")

    assert (said.code, said.err) == (4, "harness: target 'nosuch.mod:make': no module named 'nosuch'\n")


def test_list_shows_what_there_is_in_80_columns(harness, scenario):
    """Name, patch, ports, faults with their modes, invariants, variants and profiles."""
    said = harness("list")

    assert said.code == 0
    assert max(len(line) for line in said.out.splitlines()) < 80
    for text in ("redis-outage  (patch 1, P0)", "event_bus=json:dumps", "redis.outage (hang)", "EB1 answered"):
        assert text in said.out
    assert "event_bus:planned" in said.out


def test_list_takes_names_and_can_be_plain(harness, scenario):
    """One line for each that is named, in columns for `cut`; an unknown name suggests the nearest, as everywhere."""
    one, wrong = harness("list", "redis-outage", "--plain"), harness("list", "redis-outgae")

    assert one.out == "redis-outage\tpatch 1\tP0\tRedis is gone for a moment\n"
    assert (wrong.code, wrong.out) == (4, "")
    assert "did you mean 'redis-outage'?" in wrong.err


def test_list_as_json(harness, scenario):
    """The same for scripts."""
    assert json.loads(harness("list", "--json").out) == [
        {
            "name": "redis-outage",
            "title": "Redis is gone for a moment",
            "patch": 1,
            "priority": "P0",
            "ports": ["event_bus=json:dumps"],
            "faults": ["redis.outage (refuse)", "redis.outage (hang)", "redis.outage (crash)"],
            "invariants": ["EB1 answered"],
            "flawed": ["event_bus:planned"],
            "profiles": ["full", "short"],
        }
    ]


def test_replay_of_a_run_that_left_faults_out_needs_the_same_choice(harness, project, scenario, make_history):
    """Made with `--redis URL`: without it the plan would be another one, so nothing is run."""
    header = {"world": "real", "left_out": ["redis.outage/crash"], "targets": dict(scenario.ports)}
    with Store(project / "old.jsonl") as file:
        for event in make_history(scenario, header=header).events:
            file.record(event)
    said = harness("replay", "old.jsonl")

    assert said.code == 4
    assert said.err == (
        "harness: made with another choice of --redis or --toxiproxy, which leave faults out; give the same\n"
    )
