"""The plugin in a project of its own: what passes, what a failure says, beside pytest-asyncio and xdist, at no cost."""

import subprocess
import sys
import textwrap

import pytest

from harness.errors import UsageError
from harness.testing.chaos import _command, explain

pytest_plugins = ["pytester"]

SCENARIO = """
from dataclasses import dataclass

from harness.history.query import operations
from harness.invariants.base import result
from harness.invariants.needs import at_least
from harness.scenario import Profile, Scenario
from harness.units import seconds
from harness.verdict import Finding, Outcome, Row
from harness.world.base import HostSpec


async def work(host):
    double = host.target("doubler")()
    for number in range(3):
        with host.log.operation("double", n=number) as operation:
            operation.result = {"is": double(number + host.draws("n").below(9))}
    await host.stopping()


@dataclass(frozen=True)
class Even:
    id: str = "D1"
    name: str = "even"
    statement: str = "what is doubled is even"
    needs_end: bool = True

    def judge(self, history):
        odd = [one for one in operations(history, "double") if one.result["is"] % 2]
        if not odd:
            return result(self, Outcome.HOLDS, checked=3, observed=0, limit=0)
        row = Row(time_s=1.5, actor="worker", event="doubled to something odd", id="n-1", offending=True)
        finding = Finding(sentence="1 result was odd (limit 0)", count=1, first="a", worst="a", last="a", rows=(row,))
        return result(self, Outcome.VIOLATED, checked=3, observed=1, limit=0, finding=finding)


SCENARIO = Scenario(
    name="doubling",
    title="Numbers are doubled",
    patch=1,
    priority="P2",
    ports={"doubler": "own.doubling:make"},
    dependencies=(),
    profiles={
        name: Profile(
            hosts=(HostSpec(name="worker", program=work),), schedule=(), settle_ns=seconds(1),
            needs=(at_least(3, "double"),),
        )
        for name in ("full", "short")
    },
    invariants=(Even(),),
)


def make():
    return lambda number: 2 * number
"""

TESTS = """
import asyncio

import pytest


def squaring():
    return lambda number: number * number


@pytest.mark.chaos("doubling", seeds=2)
async def test_passes(chaos):
    await asyncio.sleep(0)
    assert [run["seed"] for run in chaos.runs] == [1, 2]


@pytest.mark.chaos("doubling", seeds=2, target={"doubler": squaring}, shrink_s=0)
def test_fails():
    raise AssertionError("the body of a test whose scenario failed is not run")


@pytest.mark.chaos("doublin")
def test_is_mistaken():
    pass
"""


@pytest.fixture
def project(pytester, monkeypatch):
    """A project with one scenario, and tests of it, which HARNESS_* of this machine do not reach."""
    for name in ("HARNESS_SEED", "HARNESS_SEEDS", "HARNESS_WORLD", "HARNESS_OUT", "HARNESS_JOBS"):
        monkeypatch.delenv(name, raising=False)
    pytester.makepyprojecttoml(
        """
        [tool.harness]
        scenarios = ["own"]
        [tool.pytest.ini_options]
        asyncio_mode = "auto"
        asyncio_default_fixture_loop_scope = "function"
        addopts = "--strict-markers"
        """
    )
    pytester.makepyfile(**{"own/__init__": "", "own/doubling": SCENARIO, "test_own": TESTS})
    return pytester


def test_a_marked_test_passes_or_says_what_happened(project):
    """With a worker of xdist and pytest-asyncio: every seed judged, the finding, its rows, the replay, a slip."""
    done = project.runpytest_inprocess("-n", "1", "-p", "no:cacheprovider")
    text = done.stdout.str()

    done.assert_outcomes(passed=1, failed=2)
    assert "doubling [sim]: FAIL with seed " in text
    assert "  D1 even: 1 result was odd (limit 0)" in text
    assert "  >     1.500 s  worker  doubled to something odd  n-1" in text
    assert "  smaller: harness shrink reports/out/" in text
    assert "--target doubler=test_own:squaring" in text
    assert "  report: reports/out/" in text
    assert "@pytest.mark.chaos: unknown scenario 'doublin'; did you mean 'doubling'?" in text
    assert "the body of a test" not in text


def test_the_plugin_can_be_left_out(project):
    """`-p no:harness` takes it away, and nothing of it is needed for other tests."""
    project.makepyfile(test_own="def test_other():\n    pass\n")

    project.runpytest_inprocess("-p", "no:harness", "-p", "no:cacheprovider").assert_outcomes(passed=1)


def test_loading_the_plugin_imports_nothing():
    """Every pytest on the machine loads it: of the harness only itself comes along, of libraries none."""
    code = """
        import sys
        import pytest
        before = set(sys.modules)
        import harness.pytest_plugin
        print(sorted(name for name in set(sys.modules) - before))
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, check=True, timeout=60
    )

    assert done.stdout.strip() == "['harness', 'harness.pytest_plugin']"


def words(*args, **kwargs) -> str:
    return " ".join(_command(pytest.mark.chaos(*args, **kwargs).mark))


def test_the_marker_is_a_command_line(monkeypatch):
    """Scenario, world, seeds and targets by each way of giving them; one worker where xdist has all cores already."""
    monkeypatch.delenv("PYTEST_XDIST_WORKER", raising=False)
    begin = "run x --json --report html,json --world"

    assert words("x") == f"{begin} sim --seed 1 --seeds 20"
    assert words("x", world="real", profile="short") == f"{begin} real --seed 1 --seeds 1 --profile short"
    assert words("x", target="a=b:c", seeds=3, seed=7) == f"{begin} sim --seed 7 --seeds 3 --target a=b:c"
    assert words("x", target={"a": dedented, "b": "c:d"}).endswith(f"--target a={__name__}:dedented --target b=c:d")
    assert words("x", target=["a=b:c", "d:planned"]).endswith("--target a=b:c --target d:planned")
    monkeypatch.setenv("PYTEST_XDIST_WORKER", "gw0")
    assert words("x").endswith("--jobs 1")


def dedented() -> None:
    """A factory of a module."""


@pytest.mark.parametrize(
    ("args", "kwargs", "text"),
    [
        ((), {}, 'name one scenario, as in chaos("redis-outage")'),
        (("a", "b"), {}, "name one scenario"),
        (("a",), {"sead": 3}, "unknown argument 'sead'; did you mean 'seed'?"),
        (("a",), {"target": {"p": lambda: None}}, "is not a function of a module"),
    ],
)
def test_a_mistaken_marker_is_named(args, kwargs, text):
    """In one line, before anything is run."""
    with pytest.raises(UsageError) as caught:
        words(*args, **kwargs)

    assert text in str(caught.value)


def run_of(seed, verdict, **more):
    return {
        "scenario": "s", "world": "sim", "seed": seed, "verdict": verdict, "errors": [], "doubts": [],
        "invariants": [], "replay": f"harness run s --seed {seed}", "history": None, **more,
    }  # fmt: skip


def test_an_inconclusive_run_is_a_failure_with_its_doubts():
    """What is not proven is not passed; the worst run is shown whole, and the other seeds are named."""
    runs = [
        run_of(1, "PASS"),
        run_of(2, "INCONCLUSIVE", doubts=["fault redis.outage (hang) shows no evidence that it bit"]),
        run_of(3, "ERROR", errors=["host a failed: ValueError"]),
    ]

    assert explain(runs[:2]).splitlines() == [
        "s [sim]: INCONCLUSIVE with seed 2; of 2 seeds 1 did not pass: 2",
        "  fault redis.outage (hang) shows no evidence that it bit",
        "  replay: harness run s --seed 2",
    ]
    assert explain(runs[:1]) == "no run was made"
    assert explain(runs).splitlines()[:2] == [
        "s [sim]: ERROR with seed 3; of 3 seeds 2 did not pass: 2, 3",
        "  host a failed: ValueError",
    ]


def test_a_shrunk_failure_stands_for_its_timeline():
    """The simplest run takes the place of the first one's rows; without it there is the command that finds it."""
    row = {"time_s": 1.5, "actor": "a", "event": "lost", "id": "7", "offending": True}
    broken = {"id": "D1", "name": "even", "finding": {"sentence": "1 was odd", "rows": [row]}}
    runs = [run_of(4, "FAIL", invariants=[broken], history="out/r/histories/h.jsonl")]

    assert explain(runs).splitlines() == [
        "s [sim]: FAIL with seed 4",
        "  D1 even: 1 was odd",
        "    >     1.500 s  a  lost  7",
        "  replay: harness run s --seed 4",
        "  report: out/r/report.html",
        "  smaller: harness shrink out/r/histories/h.jsonl",
    ]
    assert explain(runs, "VIOLATED  D1\n\nTimeline\n").splitlines()[1:] == [
        "  D1 even: 1 was odd",
        "  replay: harness run s --seed 4",
        "  report: out/r/report.html",
        "",
        "The simplest run that fails in the same way:",
        "  VIOLATED  D1",
        "",
        "  Timeline",
    ]
