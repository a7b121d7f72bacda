"""The scenario `flash-crash`, in the sim world: falling prices trip the stop, and the stop stops orders."""

from pathlib import Path

from harness.history.query import observations
from harness.history.store import load
from scenarios.flash_crash import SCENARIO


def test_the_crash_trips_the_stop_and_nothing_else_does(run_short) -> None:
    """Armed until prices fell, stopped to the end, the order that rested among those that were cancelled."""
    history = load(Path(run_short(SCENARIO).history))
    (crash,) = [fault for fault in history.header.plan if fault["name"] == "binance.flash_crash"]
    stands = [(seen.time_ns, seen.value["state"]) for seen in observations(history, "ess")]
    before = {state for time_ns, state in stands if time_ns < crash["start_ns"]}
    assert before == {"DISABLED", "ARMED"}
    assert stands[-1][1] == "COOLING_DOWN"
    assert any(seen.value["orders"] for seen in observations(history, "working_cancelled"))
