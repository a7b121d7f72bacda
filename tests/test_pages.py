"""What scenarios/README.md and harness/README.md show is executed: scenario, fault, invariant, tests."""

import importlib
import re
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from harness.runner import Order, run
from harness.scenario import during
from harness.units import seconds
from harness.verdict import Verdict

pytest_plugins = ["pytester"]

ROOT = Path(__file__).parents[1]


def blocks(page: str) -> list[str]:
    """Return the Python examples of a page."""
    return re.findall(r"^```python\n(.*?)^```", (ROOT / page).read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


SCENARIO, FAULT, INVARIANT = blocks("scenarios/README.md")
MARKED, FIXTURE = blocks("harness/README.md")


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
    exec(compile(FAULT + INVARIANT, "scenarios/README.md", "exec", dont_inherit=True), names)
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
