"""What is in a run of the dashboard's scenarios: who came, what was done to them, and what is never written down."""

from pathlib import Path

from harness.history.query import observations, operations
from harness.history.store import load
from harness.registry import discover
from harness.verdict import Outcome, Verdict
from scenarios.dashboard_hosts import TOKEN
from scenarios.feed_intruders import KINDS

SCENARIOS = discover()


def test_every_kind_of_intruder_tries_and_is_told(run_short) -> None:
    """Each with its own close code; none of them is in the record of clients, and no history has the token."""
    result = run_short(SCENARIOS["ws-load"], seed=2)
    assert TOKEN.encode() not in Path(result.history).read_bytes()
    tries = [one for one in operations(load(Path(result.history)), "intrude") if one.outcome == "ok"]
    assert {one.value["kind"] for one in tries} == set(KINDS)
    assert {one.result["code"] for one in tries if one.result is not None} == {4400, 4401, 1009, 4429}


def test_clients_leave_come_back_and_are_turned_away(run_short) -> None:
    """In a storm: some are told that there is no room, and all of the crowd leave at once, twice or more."""
    result = run_short(SCENARIOS["ws-connect-storm"], seed=2)
    history = load(Path(result.history))
    assert [one.error for one in operations(history, "connect") if one.error == "closed 1013"]
    storms = [one.time_ns for one in observations(history, "left") if one.value["why"] == "storm"]
    assert len(set(storms)) >= 2
    assert len(storms) >= 20


def test_who_stalls_stops_to_read_and_is_let_go(run_short) -> None:
    """One goes on to ping, one does not; the server's side has the code of a client that is too slow."""
    history = load(Path(run_short(SCENARIOS["ws-slow-consumers"], seed=2).history))
    stalls = {(one.value["client"], one.value["session"]): one.value["pings"] for one in observations(history, "stall")}
    assert set(stalls.values()) == {True, False}
    codes = {(one.value["client"], one.value["session"]): one.value["code"] for one in observations(history, "served")}
    assert {codes[stalled] for stalled in stalls if codes[stalled] is not None} == {4408}


def test_publishing_goes_on_where_it_was_over_every_life(run_short) -> None:
    """No event is published twice, no number given twice, though the server is killed, frozen and opened anew."""
    history = load(Path(run_short(SCENARIOS["ws-restart"], seed=2).history))
    published = operations(history, "publish")
    numbers = [one.value["n"] for one in published]
    assert numbers == list(range(1, len(numbers) + 1))
    seqs = [one.result["seq"] for one in published if one.result is not None]
    assert len(set(seqs)) == len(seqs)
    assert len([one for one in operations(history, "start") if one.outcome == "ok"]) >= 3


def test_a_server_that_cannot_start_is_no_pass(run_short, monkeypatch) -> None:
    """Nobody is welcomed, so nothing can be said of what clients got."""
    from reference_impl.dashboard_ws import DashboardServer  # noqa: PLC0415 - patched, not used

    async def fail(_: object) -> None:
        raise RuntimeError("no")

    monkeypatch.setattr(DashboardServer, "start", fail)
    result = run_short(SCENARIOS["ws-load-10x"])
    assert result.verdict is not Verdict.PASS
    judged = {one.id: one.verdict for one in result.invariants}
    assert {judged[name] for name in ("WS1", "WS2", "WS3", "WS5", "WS6", "WS8")} == {Outcome.INCONCLUSIVE}
