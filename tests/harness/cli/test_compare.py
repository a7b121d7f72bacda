"""`harness compare` and `--baseline`: what they say, their exit codes, and what they make of bad input."""

import json

import pytest

from harness import campaign
from harness.cli import run_command
from harness.verdict import InvariantResult, Outcome, RunResult, Verdict


def document(recovery=lambda seed: 1.0 + seed / 10, seeds=range(1, 13), **changes):
    """Return a report.json as scripts would write it."""
    runs = [
        {
            "scenario": "redis-outage",
            "world": "sim",
            "seed": seed,
            "target": {"event_bus": "json:dumps"},
            "verdict": "PASS",
            "invariants": [{"id": "EB1", "verdict": "HOLDS"}],
            "metrics": {"recovery_s": recovery(seed), "events": 9},
            "profile": "full",
            "config": "c0ffee",
        }
        for seed in seeds
    ]
    return {
        "schema": 1, "verdict": "PASS", "exit_code": 0, "harness_version": "0", "runs": runs, "flawed": [], **changes
    }  # fmt: skip


@pytest.fixture
def stored(project):
    """`stored(name, **changes)`: a run folder in the project with such a report in it."""

    def store(name, *arguments, **changes):
        folder = project / name
        folder.mkdir()
        (folder / "report.json").write_text(json.dumps(document(*arguments, **changes)))
        return name

    return store


def slower(seed):
    return 3.0 + seed / 10


def test_the_same_twice_is_no_regression(harness, stored):
    """Exit code 0, and it says what it looked at."""
    said = harness("compare", stored("a"), stored("b"))
    assert said.code == 0
    assert "Against a: 0 regressions and 0 improvements beyond the spread of seeds; 1" in said.out


def test_a_regression_alone_is_8(harness, stored):
    """Measure, medians, shift and interval are told; turned round it is an improvement and no error."""
    stored("a")
    stored("b", slower)
    said = harness("compare", "a", "b", "--plain")
    assert said.code == 8
    told = "regression redis-outage sim recovery_s: 1.65 s -> 3.65 s, shift +2 (+2 to +2; 12 paired)"
    assert told in " ".join(said.out.split())
    assert harness("compare", "b", "a").code == 0


@pytest.mark.parametrize(
    ("changes", "code"), [({"exit_code": 1}, 1), ({"exit_code": 3}, 3), ({"exit_code": 7}, 7), ({"exit_code": 2}, 2)]
)
def test_what_else_is_wrong_goes_before_a_regression(harness, stored, changes, code):
    """3 over 2 over 1 over 7 over 8: a regression never hides a violation."""
    assert harness("compare", stored("a"), stored("b", slower, **changes)).code == code


def test_nothing_comparable_is_inconclusive(harness, stored):
    """Another declaration: said, and no pass."""
    other = document()["runs"]
    for run in other:
        run["config"] = "changed"
    said = harness("compare", stored("a"), stored("b", runs=other))
    assert said.code == 7
    assert "not comparable: another configuration: c0ffee before, changed now" in " ".join(said.out.split())


def test_json_and_quiet(harness, stored):
    """For scripts the whole comparison, for a glance its headline."""
    said = harness("compare", stored("a"), stored("b", slower), "--json")
    (group,) = json.loads(said.out)["groups"]
    (measure,) = group["measures"]
    assert (group["standing"], group["paired"], measure["change"]) == ("compared", True, "regression")
    assert len(harness("compare", "a", "b", "-q").out.splitlines()) == 1


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (None, "cannot read"),
        ("{", "is not the report of a run"),
        ("[]", "is not the report of a run"),
        (json.dumps(document(verdict="GREAT")), "is not the report of a run"),
        (json.dumps(document(schema=2)), "has schema 2; this harness reads schema 1"),
    ],
)
def test_what_is_no_report_is_one_line(harness, stored, project, content, text):
    """Missing, broken, foreign, or of another time: exit code 4, for `compare` and for `--baseline`."""
    stored("a")
    if content is not None:
        (project / "bad.json").write_text(content)
    for arguments in (("compare", "a", "bad.json"), ("compare", "bad.json", "a"), ("run", "--baseline", "bad.json")):
        said = harness(*arguments)
        assert (said.code, len(said.err.splitlines()), said.out) == (4, 1, "")
        assert text in said.err
        assert "bad.json" in said.err


@pytest.fixture
def measured(project, monkeypatch, make_scenario):
    """A runner whose runs recover in the time that is set by seed, and pass but for those told to fail."""
    monkeypatch.setenv("HARNESS_JOBS", "1")
    monkeypatch.setattr(run_command, "discover", lambda packages: {"redis-outage": make_scenario()})
    script = {"recovery": lambda seed: 1.0 + seed / 10, "fails": set()}

    def run(order, *, keep_history=True):
        fails = order.seed in script["fails"]
        held = InvariantResult(
            id="EB1", name="a", statement="", verdict=Outcome.VIOLATED if fails else Outcome.HOLDS, checked=1
        )
        return RunResult(
            scenario="redis-outage", title="", patch=1, priority="P0", world=order.world, profile=order.profile,
            seed=order.seed, target=dict(order.targets), verdict=Verdict.FAIL if fails else Verdict.PASS,
            replay=order.replay, invariants=(held,), metrics={"recovery_s": script["recovery"](order.seed)},
            config="c0ffee",
        )  # fmt: skip

    monkeypatch.setattr(campaign, "run", run)
    return script


def test_a_run_against_a_baseline(harness, measured, project):
    """First run, then again with it as the baseline: the same is 0, slower is 8, a violation is 1 and called new."""
    assert harness("run", "--seeds", "12", "--out", "first").code == 0
    same = harness("run", "--seeds", "12", "--baseline", "first/latest")
    assert (same.code, "0 regressions" in same.out) == (0, True)

    measured["recovery"] = slower
    said = harness("run", "--seeds", "12", "--baseline", "first/latest")
    assert said.code == 8
    assert said.out.splitlines()[-2].startswith("REGRESSION")
    for name in ("summary.md", "report.html"):
        text = (project / "reports/out/latest" / name).read_text()
        assert "regression" in text
        assert "recovery" in text
    assert json.loads((project / "reports/out/latest/report.json").read_text())["comparison"]["groups"]

    measured["fails"] = {5}
    said = harness("run", "--seeds", "12", "--baseline", "first/latest")
    assert said.code == 1
    assert "EB1 a (new)" in said.out
    assert "lowest failing seed 5" in " ".join(said.out.split())
