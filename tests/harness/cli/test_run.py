"""`harness run` and `harness gate`: which runs they make of the flags, what they print and leave, and their codes.

The runner itself is replaced: what is proved here is everything around it.
"""

import itertools
import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from harness import campaign, ledger
from harness.cli import gate_command, run_command
from harness.runner import Order
from harness.verdict import INTERRUPTED, InvariantResult, Outcome, RunResult, Verdict


@pytest.fixture
def ran(project, monkeypatch, make_scenario):
    """Two scenarios, and a runner that passes what is not scripted; its `orders` are those it was given."""
    monkeypatch.setenv("HARNESS_JOBS", "1")  # worker processes would have the real runner
    scenarios = {"redis-outage": make_scenario(), "signal-flood": make_scenario(name="signal-flood", patch=4)}
    for module in (run_command, gate_command):
        monkeypatch.setattr(module, "discover", lambda packages: scenarios)
    orders: list[tuple[Order, bool]] = []

    def run(order: Order, *, keep_history: bool = True) -> RunResult:
        orders.append((order, keep_history))
        verdict = script.get(order.seed, Verdict.PASS)
        caught = order.label == "event_bus:planned"
        held = InvariantResult(
            id="EB1",
            name="answered",
            statement="every publish is answered",
            verdict=Outcome.VIOLATED if caught or verdict is Verdict.FAIL else Outcome.HOLDS,
            checked=5,
        )
        order.history_path.parent.mkdir(parents=True, exist_ok=True)
        order.history_path.write_text("the same each time")
        return RunResult(
            scenario=order.scenario.name,
            title=order.scenario.title,
            patch=order.scenario.patch,
            priority=order.scenario.priority,
            world=order.world,
            profile=order.profile,
            seed=order.seed,
            target=dict(order.targets),
            verdict=Verdict.FAIL if caught else verdict,
            replay=order.replay,
            invariants=(held,),
            doubts=(INTERRUPTED,) if order.seed == 13 else (),
        )

    script: dict[int, Verdict] = {}
    monkeypatch.setattr(campaign, "run", run)
    run.script = script
    run.orders = orders
    return run


def orders_of(ran) -> list[Order]:
    return [order for order, _ in ran.orders]


def verdict_line(said) -> str:
    """Return the line above the one that names the report."""
    lines = said.out.splitlines()
    return lines[next(at for at, line in enumerate(lines) if line.startswith("report: ")) - 1]


def folders(project: Path) -> list[Path]:
    out = project / "reports" / "out"
    return sorted(path for path in out.iterdir() if not path.is_symlink()) if out.exists() else []


def test_without_a_name_every_scenario_runs_once(harness, ran):
    """Seed 1, sim world, full profile, the scenario's own targets."""
    said = harness("run")

    assert said.code == 0
    assert [(one.scenario.name, one.seed, one.world, one.profile) for one in orders_of(ran)] == [
        ("redis-outage", 1, "sim", "full"),
        ("signal-flood", 1, "sim", "full"),
    ]
    assert {one.label for one in orders_of(ran)} == {"reference"}


def test_flags_reach_the_runs(harness, ran):
    """World, profile, seeds and target: each run has them, and a target of one's own is called so."""
    said = harness(
        *("run", "redis-outage", "--world", "real", "--seed", "5", "--seeds", "2"),
        *("--target", "event_bus=types:SimpleNamespace", "--profile", "full"),
    )

    assert said.code == 0
    assert [(one.seed, one.world, one.profile, one.label) for one in orders_of(ran)] == [
        (5, "real", "full", "target"),
        (6, "real", "full", "target"),
    ]
    assert {one.targets["event_bus"] for one in orders_of(ran)} == {"types:SimpleNamespace"}


def test_the_real_world_has_the_short_profile_by_default(harness, ran):
    """A run there costs its own length."""
    harness("run", "redis-outage", "--world", "real")

    assert [one.profile for one in orders_of(ran)] == ["short"]


def test_environment_and_configuration_give_way_to_flags(harness, ran, project, monkeypatch):
    """Flags over HARNESS_* over pyproject.toml over defaults."""
    (project / "pyproject.toml").write_text(
        "[tool.harness]\nout = 'configured'\ntargets = {event_bus = 'builtins:dict'}\n"
    )
    harness("run", "redis-outage")
    monkeypatch.setenv("HARNESS_SEED", "7")
    monkeypatch.setenv("HARNESS_OUT", "from_env")
    harness("run", "redis-outage")
    harness("run", "redis-outage", "--seed", "9", "--out", "flagged", "--target", "event_bus=types:SimpleNamespace")

    assert [(one.seed, one.folder.parent.name, one.targets["event_bus"]) for one in orders_of(ran)] == [
        (1, "configured", "builtins:dict"),
        (7, "from_env", "builtins:dict"),
        (9, "flagged", "types:SimpleNamespace"),
    ]


def test_a_big_campaign_keeps_the_first_history_only(harness, ran):
    """Up to twenty seeds every history is kept; beyond, the disk would fill."""
    harness("run", "redis-outage", "--seeds", "20")
    assert all(keep for _, keep in ran.orders)
    ran.orders.clear()

    ran.script.clear()
    harness("run", "redis-outage", "--seed", "20", "--seeds", "21")
    assert [order.seed for order, keep in ran.orders if keep] == [20]


def test_the_run_folder_holds_every_report_and_latest_points_to_it(harness, ran, project):
    """One folder a command, four reports, and `latest` is the newest."""
    for _ in range(2):
        assert harness("run", "redis-outage").code == 0

    assert len(folders(project)) == 2
    newest = orders_of(ran)[-1].folder.resolve()
    assert (project / "reports/out/latest").resolve() == newest
    files = {path.name for path in newest.iterdir() if path.is_file()}
    assert files == {"report.html", "report.json", "junit.xml", "summary.md"}


def test_only_the_reports_that_were_asked_for(harness, ran, project):
    """`--report` chooses formats."""
    harness("run", "redis-outage", "--report", "junit,md")

    (folder,) = folders(project)
    assert {path.name for path in folder.iterdir() if path.is_file()} == {"junit.xml", "summary.md"}


def test_results_on_stdout_progress_on_stderr(harness, ran):
    """The last lines are verdict, report and replay; progress stays out of the way of a pipe."""
    ran.script[1] = Verdict.FAIL
    said = harness("run", "redis-outage")

    assert said.code == 1
    assert said.err.startswith("redis-outage [sim], 1 run: FAIL (")
    last = said.out.splitlines()[-2:]
    assert last[0].startswith("report: reports/out/")
    assert last[0].endswith("/report.html")
    assert last[1] == "replay: harness run redis-outage --world sim --profile full --seed 1"


def test_json_is_all_there_is_on_stdout(harness, ran):
    """Scripts can read it as it comes, with nothing on stderr beside it."""
    said = harness("run", "--json")
    document = json.loads(said.out)

    assert (document["verdict"], document["exit_code"], said.err) == ("PASS", 0, "")
    assert document["command"] == ["run", "--json"]
    assert [one["scenario"] for one in document["runs"]] == ["redis-outage", "signal-flood"]


def test_quiet_is_the_verdict_in_one_line(harness, ran):
    """`-q` prints nothing else."""
    said = harness("run", "-q")

    assert (len(said.out.splitlines()), said.err) == (1, "")
    assert said.out.startswith("PASS")


def test_plain_has_no_colours_and_verbose_every_run(harness, ran):
    """Both are for logs."""
    said = harness("run", "redis-outage", "--seeds", "2", "--plain", "-v")

    assert "\x1b" not in said.out + said.err
    assert said.err.splitlines()[:2] == ["redis-outage [sim] seed 1: PASS", "redis-outage [sim] seed 2: PASS"]


@pytest.mark.parametrize(
    ("verdict", "code"),
    [(Verdict.PASS, 0), (Verdict.FAIL, 1), (Verdict.ERROR, 3), (Verdict.INCONCLUSIVE, 7)],
)
def test_the_verdict_is_the_exit_code(harness, ran, verdict, code):
    """One run that comes to it is enough."""
    ran.script[2] = verdict

    assert harness("run", "redis-outage", "--seeds", "3").code == code


def test_fail_fast_leaves_the_rest_and_says_so(harness, ran):
    """What was not started is in the report, and the verdict is that of what ran."""
    ran.script[2] = Verdict.FAIL
    said = harness("run", "redis-outage", "--seeds", "9", "--fail-fast")

    assert said.code == 1
    assert [one.seed for one in orders_of(ran)] == [1, 2]


def test_an_interrupted_campaign_still_reports(harness, ran, project):
    """Ctrl-C: exit code 2, and what there is has been written."""
    said = harness("run", "redis-outage", "--seed", "12", "--seeds", "5")
    (folder,) = folders(project)
    document = json.loads((folder / "report.json").read_text())

    assert said.code == 2
    assert [one.seed for one in orders_of(ran)] == [12, 13]
    assert document["exit_code"] == 2


def test_a_gate_judges_everything(harness, ran):
    """Both worlds, every scenario, every variant; READY is exit code 0."""
    said = harness("gate", "--seeds", "2")
    made = [(one.scenario.name, one.world, one.label) for one in orders_of(ran)]

    assert said.code == 0
    assert verdict_line(said).startswith("READY")
    for name in ("redis-outage", "signal-flood"):
        assert made.count((name, "sim", "reference")) == 3  # seed 1 twice, seed 2
        assert made.count((name, "real", "reference")) == 2
        assert {(name, "sim", "event_bus:planned"), (name, "real", "event_bus:planned")} <= set(made)


def test_a_gate_of_one_world_and_the_projects_own_size(harness, ran, project):
    """`--world` and `-k` choose; seeds come from the configuration."""
    (project / "pyproject.toml").write_text("[tool.harness]\ngate = {sim_seeds = 4, hunt_seeds = 1}\n")
    harness("gate", "--world", "sim", "-k", "flood")

    assert {(one.scenario.name, one.world) for one in orders_of(ran)} == {("signal-flood", "sim")}
    assert [one.seed for one in orders_of(ran) if one.label == "reference"] == [1, 1, 2, 3, 4]


def test_a_gate_judges_the_projects_own_target(harness, ran, project):
    """`[tool.harness.targets]` is what is judged; the variants are what proves that it could fail."""
    (project / "pyproject.toml").write_text("[tool.harness]\ntargets = {event_bus = 'builtins:dict'}\n")
    harness("gate", "--world", "sim", "--seeds", "1")

    assert {one.label: one.targets["event_bus"] for one in orders_of(ran)} == {
        "target": "builtins:dict",
        "event_bus:planned": "json:loads",
    }


def test_a_gate_with_an_uncaught_variant_is_not_ready(harness, ran, project, monkeypatch):
    """A variant that passes leaves its invariant unproven: exit code 7, and the last lines do not say READY."""
    (project / "pyproject.toml").write_text("[tool.harness]\ngate = {hunt_seeds = 2}\n")
    passing = ran

    def run(order: Order, *, keep_history: bool = True) -> RunResult:
        return passing(replace(order, label="reference"), keep_history=keep_history)

    monkeypatch.setattr(campaign, "run", run)
    said = harness("gate", "--world", "sim", "--seeds", "1")

    assert said.code == 7
    assert verdict_line(said).startswith(("INCONCLUSIVE", "NOT READY"))


def test_a_budget_goes_to_what_is_required_first_and_what_was_left_is_said(harness, ran, project, monkeypatch):
    """One seed and each variant are required; of the further seeds there are as many as there is time for."""
    (project / "pyproject.toml").write_text(
        "[tool.harness]\ngate = {sim_seeds = 20, sim_seeds_min = 1, budget_s = 9, worlds = ['sim']}\n"
    )
    clock = itertools.count()
    monkeypatch.setattr(ledger, "time", SimpleNamespace(monotonic=lambda: next(clock)))
    said = harness("gate")

    assert said.code == 0
    assert verdict_line(said).startswith("READY")
    made = [(one.scenario.name, one.label, one.seed) for one in orders_of(ran)]
    assert {(name, "event_bus:planned", 1) for name in ("redis-outage", "signal-flood")} <= set(made[:6])
    assert len(made) == 11  # nine jobs, two of them the same seed twice
    told = " ".join(said.out.split())
    assert "not done, not required: redis-outage [sim]: 16 further seeds of 5 to 20: time budget of 9 s spent" in told


def test_a_budget_that_is_too_small_for_what_is_required_is_inconclusive(harness, ran, project):
    """Exit code 7; the patch says what was not done."""
    said = harness("gate", "--world", "sim", "--time-budget", "0.000001")

    assert said.code == 7
    assert "not done: redis-outage [sim] seed 1, " in " ".join(said.out.split())


def test_a_gate_remembers_what_failed_and_takes_it_first(harness, ran, project):
    """The next gate with a budget begins with the seed that failed, and hunts at the seed that caught."""
    ran.script[3] = Verdict.FAIL
    assert harness("gate", "--world", "sim", "--seeds", "4").code == 1
    ran.orders.clear()
    ran.script.clear()
    assert harness("gate", "--world", "sim", "--seeds", "4", "--time-budget", "60").code == 0

    assert [(one.seed, one.label) for one in orders_of(ran)][:2] == [(3, "reference"), (3, "reference")]
    assert (project / "reports/out/.gate-past.json").exists()


def test_worlds_that_disagree_keep_the_gate_shut(harness, ran, project, monkeypatch):
    """A failure for real that the sim world does not have is a failure, and the disagreement is said."""
    passing = ran

    def run(order: Order, *, keep_history: bool = True) -> RunResult:
        result = passing(order, keep_history=keep_history)
        bad = order.world == "real" and order.label == "reference"
        return replace(result, verdict=Verdict.FAIL) if bad else result

    monkeypatch.setattr(campaign, "run", run)
    said = harness("gate", "--seeds", "1", "-k", "outage")

    assert said.code == 1
    assert "the worlds disagree on redis-outage: PASS in sim, FAIL in real" in " ".join(said.out.split())


def test_a_gate_in_which_nothing_is_required_is_inconclusive(harness, ran, project):
    """All that is here is P0; where only P1 is required, nothing was judged that matters."""
    (project / "pyproject.toml").write_text("[tool.harness]\ngate = {require = ['P1'], worlds = ['sim']}\n")
    ran.script[2] = Verdict.FAIL
    said = harness("gate", "--seeds", "2", "-k", "outage")

    assert said.code == 7
    assert "not required" in said.out


def test_a_run_with_a_budget_gives_every_scenario_its_first_seed_before_any_its_second(harness, ran):
    """What was not done makes it inconclusive, as every seed of a run was asked for."""
    assert harness("run", "--seeds", "2", "--time-budget", "60").code == 0
    assert [(one.scenario.name, one.seed) for one in orders_of(ran)] == [
        ("redis-outage", 1),
        ("signal-flood", 1),
        ("redis-outage", 2),
        ("signal-flood", 2),
    ]
    assert harness("run", "--time-budget", "0.000001").code == 7
