"""The scenario `perfect-storm`, in the sim world: the stack as a whole holds, and a flaw in its wiring shows."""

from pathlib import Path

from harness.history.query import observations, operations
from harness.history.store import load
from harness.invariants.needs import at_least
from harness.units import as_seconds
from harness.verdict import Outcome
from scenarios.perfect_storm import SCENARIO
from scenarios.storm_sizes import STAMPEDING

WIRING = {variant.name: variant for variant in SCENARIO.flawed if variant.port == "stack"}


def test_every_service_takes_part(run_short) -> None:
    """A signal off the bus ends as a fill at the exchange, in the books, and on the dashboard."""
    history = load(Path(run_short(SCENARIO, seed=2).history))
    traded = {one.value["key"] for one in operations(history, "execute") if one.outcome == "ok"}
    assert {key.partition("-")[0] for key in traded} == {"ai", "s", "x"}  # models, the flood, and people who leave
    filled = {seen.value["trade_id"] for seen in observations(history, "fill")}
    booked = {fill[1] for one in operations(history, "apply") for fill in one.value["fills"]}
    assert filled & booked
    shown = {one.value["topic"] for one in operations(history, "publish") if one.outcome == "ok"}
    assert {"ess.state", "order.update", "portfolio.equity", "ai.metrics"} <= shown


def test_a_flaw_of_the_wiring_is_caught(run_short) -> None:
    """By the invariant of the patch whose promise it breaks; the gate hunts the others, in the full size."""
    variant = WIRING["ignores_stop_while_redis_is_down"]
    result = run_short(SCENARIO, target=variant.label)
    violated = {one.id for one in result.invariants if one.verdict is Outcome.VIOLATED}
    assert violated & set(variant.caught_by)


def test_a_thousand_dashboards_come_at_once_and_come_back() -> None:
    """The contract's number: made by Locust in the real world, let in by the dashboard, and needed twice to pass."""
    profile = SCENARIO.profiles["stampede"]
    hosts = {host.name: host for host in profile.hosts}
    watching, dashboard = hosts["watchers"], hosts["dashboard"]
    assert watching.load is not None
    assert watching.load.users == watching.params["clients"] == STAMPEDING == 1_000
    assert len(watching.params["storms_ns"]) == 1
    assert watching.load.users / watching.load.spawn_rate < as_seconds(watching.params["from_ns"])
    assert dashboard.params["settings"]["options"]["dashboard"]["max_clients"] > STAMPEDING
    assert at_least(1_900, "connect", outcome="ok") in profile.needs
