"""A load that cannot be made, from end to end: the run is an ERROR, whatever else it shows."""

import importlib.util
from dataclasses import replace

import pytest

from harness.load.spec import LocustLoad
from harness.runner import run
from harness.verdict import Verdict

pytestmark = pytest.mark.real


@pytest.fixture
def loaded(order, tmp_path):
    """The order's scenario in the real world, with a load for its only host."""
    profile = order.scenario.profile("full")
    locustfile = tmp_path / "leaves.py"
    locustfile.write_text("import sys\nsys.exit(3)\n")
    load = LocustLoad(locustfile=str(locustfile), users=1, spawn_rate=1)
    hosts = (replace(profile.hosts[0], load=load),)
    scenario = replace(order.scenario, profiles={"full": replace(profile, hosts=hosts, schedule=())})
    return replace(order, scenario=scenario, world="real", targets={})


def test_without_locust_the_run_is_an_error_that_names_the_extra(loaded, monkeypatch):
    """Not inconclusive, though nothing was seen; and one line."""
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "locust" else find(name))
    result = run(loaded)

    assert result.verdict is Verdict.ERROR
    assert result.errors == (
        "the load needs Locust, which is not installed; it is an extra: pip install 'trading-chaos-harness[load]'",
    )


def test_locust_that_ends_by_itself_makes_the_run_an_error(loaded):
    """Its exit code is told, be it 0: the load was not asked to end."""
    result = run(loaded)

    assert result.verdict is Verdict.ERROR
    assert result.errors == (
        "host publisher failed: Locust ended with code 3, though nobody asked it to end; the host's log has more",
    )
