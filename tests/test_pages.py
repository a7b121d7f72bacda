"""What the pages of harness/docs show is executed: program, scenario, fault, invariant, tests, crashes."""

import importlib
import re
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from harness.invariants.needs import at_least
from harness.registry import discover
from harness.runner import Order, run
from harness.scenario import during
from harness.units import seconds
from harness.verdict import Verdict
from harness.world.base import HostSpec

pytest_plugins = ["pytester"]

ROOT = Path(__file__).parents[1]


def blocks(page: str) -> list[str]:
    """Return the Python examples of a page."""
    return re.findall(r"^```python\n(.*?)^```", (ROOT / page).read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


PROGRAM, SCENARIO = blocks("harness/docs/scenario.md")
_, FAULT = blocks("harness/docs/fault.md")
(INVARIANT,) = blocks("harness/docs/invariant.md")
MARKED, FIXTURE = blocks("harness/docs/pytest.md")
(UNIT_TEST,) = blocks("harness/docs/exchange.md")
(CRASHES,) = blocks("harness/docs/crash-points.md")


@pytest.fixture
def limiter(tmp_path, monkeypatch) -> Any:
    """The scenario that is shown, as a module of a project."""
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "limiter.py").write_text(SCENARIO)
    (tmp_path / "own" / "even.py").write_text(SCENARIO.replace("(10, 1)", "(1, 0.1)"))
    monkeypatch.syspath_prepend(tmp_path)
    yield importlib.import_module("own.limiter")
    for name in [name for name in sys.modules if name.split(".")[0] == "own"]:
        del sys.modules[name]


def verdicts(scenario, folder, seed=1) -> dict[str, str]:
    result = run(
        Order(scenario=scenario, profile="full", world="sim", seed=seed, targets=scenario.ports, folder=folder)
    )
    assert result.errors == result.doubts == ()
    assert result.verdict in (Verdict.PASS, Verdict.FAIL)
    return {one.id: f"{one.verdict} {one.observed}" for one in result.invariants}


def test_somebody_elses_component_is_judged_in_thirty_lines(limiter, tmp_path):
    """The example has that size, and what the page says of the component is what the harness finds."""
    lines = [line for line in SCENARIO.splitlines() if line.strip()]

    assert len(lines) <= 30
    for seed in (1, 2):
        found = verdicts(limiter.SCENARIO, tmp_path, seed)
        assert found["SF2"] in ("VIOLATED 19", "VIOLATED 20")
        assert found["SF2-burst"].startswith("HOLDS")
    even = verdicts(importlib.import_module("own.even").SCENARIO, tmp_path / "even")
    assert even == {"SF2": "HOLDS 10", "SF2-burst": "HOLDS 10"}


def test_the_fault_and_the_invariant_that_are_shown_work(limiter, tmp_path):
    """The fault bites in each of its modes, and the invariant tells a long pause from short ones."""
    names: dict[str, Any] = {"__name__": "shown"}
    exec(compile(FAULT + INVARIANT, "harness/docs/invariant.md", "exec", dont_inherit=True), names)
    full = limiter.SCENARIO.profiles["full"]

    def judged(*steps, seed) -> dict[str, str]:
        profile = replace(full, schedule=steps or full.schedule)
        invariants = (names["NoLongPause"](),)
        return verdicts(replace(limiter.SCENARIO, profiles={"full": profile}, invariants=invariants), tmp_path, seed)

    hiccups = during(seconds(3), seconds(5), names["Hiccups"]("client"))
    assert {judged(hiccups, seed=seed)["RL2"] for seed in (1, 2)} == {"HOLDS 0"}
    longer = during(seconds(3), seconds(4), *full.schedule[0].faults)
    assert judged(longer, seed=1)["RL2"] == "VIOLATED 1"


def test_the_tests_that_are_shown_are_tests(pytester):
    """The one with a fixture passes as it is printed; the marked one is collected, under strict markers."""
    pytester.makepyfile(test_fixture=FIXTURE, test_marked=MARKED)
    options = ("-p", "no:cacheprovider", "-p", "no:asyncio", "--strict-markers")

    pytester.runpytest_inprocess(*options, "test_fixture.py").assert_outcomes(passed=1)
    pytester.runpytest_inprocess(*options, "--collect-only", "test_marked.py").assert_outcomes()


def test_the_program_that_is_shown_publishes(tmp_path):
    """It runs as a host of a scenario of this project, against the reference, and does what it says."""
    names: dict[str, Any] = {"__name__": "shown"}
    exec(compile(PROGRAM, "harness/docs/scenario.md", "exec", dont_inherit=True), names)
    outage = discover()["redis-outage"]
    size = replace(
        outage.profiles["short"],
        hosts=(HostSpec(name="publisher", program=names["publish"]),),
        schedule=(),
        span_ns=seconds(3),
        needs=(at_least(100, "publish", outcome="ok"),),
    )
    bounded = next(one for one in outage.invariants if one.id == "EB5")
    scenario = replace(outage, profiles={"full": size}, invariants=(bounded,), flawed=())

    assert verdicts(scenario, tmp_path)["EB5"].startswith("HOLDS")


def test_the_unit_test_that_is_shown_passes():
    """The example for plain unit tests runs as it is printed."""
    names: dict[str, Any] = {}
    exec(compile(UNIT_TEST, "harness/docs/exchange.md", "exec", dont_inherit=True), names)

    names["test_a_storm_is_met"]()


def test_the_crashes_that_are_shown_all_pass(tmp_path, monkeypatch, capsys):
    """The example of crash points runs as it is printed, and the reference survives every one."""
    monkeypatch.chdir(tmp_path)
    exec(compile(CRASHES, "harness/docs/crash-points.md", "exec", dont_inherit=True), {})
    lines = capsys.readouterr().out.splitlines()

    assert len(lines) > 3
    assert all(line.endswith(": PASS") for line in lines), lines
    assert [line.split(", ")[1].startswith("inside: True") for line in lines] == [True] * (len(lines) - 1) + [False]
