"""The emergency stop as a whole, on a real loop with real files: what it promises to those who call it."""

import asyncio

import pytest

from reference_impl._ess.store import Store
from reference_impl.ess import EssError, OrdersStoppedError, RefusedError, StoreError


def states(rows):
    """The targets of a trail."""
    return [str(row.target) for row in rows]


async def test_trigger_cooldown_reset_and_trip_again(around, until) -> None:
    """The plan's cycle, with everything in the trail and published once."""
    stop, trip = await around.cooling()
    reset = await stop.manual_reset(trip=trip, operator="alice", reason="all is well")
    assert stop.can_execute_orders()
    again = await stop.trip("the feed is wrong", actor="bob")
    await until(lambda: stop.status().state == "COOLING_DOWN")
    rows = await stop.audit()
    assert states(rows) == ["ARMED", "TRIPPED", "COOLING_DOWN", "ARMED", "TRIPPED", "COOLING_DOWN"]
    assert [row.actor for row in rows] == ["alice", "bob", "system", "alice", "bob", "system"]
    assert (rows[3].id, rows[4].trip) == (reset.id, again.trip)
    assert all(row.at_ms > 1_700_000_000_000 and row.reason for row in rows)
    await until(lambda: len(around.published) == 6)
    assert [kind for kind, _ in around.published] == [f"ess.{state.lower()}" for state in states(rows)]
    assert [payload["transition"] for _, payload in around.published] == [row.id for row in rows]


async def test_a_new_one_lets_nothing_out(around) -> None:
    """Not before somebody puts it into service, with metrics."""
    stop = await around.started()
    assert (stop.status().state, stop.can_execute_orders()) == ("DISABLED", False)
    with pytest.raises(RefusedError, match="no fresh metrics"):
        await stop.arm(operator="alice", reason="start of day")
    await stop.update_metrics(daily_drawdown=0.06, open_loss=0.0)
    with pytest.raises(RefusedError, match="breached"):
        await stop.arm(operator="alice", reason="start of day")
    assert [one.code for one in await stop.incidents()] == ["no_metrics", "breached"]


@pytest.mark.parametrize("figures", [("0.01", 0.0), (None, 0.0), (0.0, "much"), (0.0, [])])
async def test_figures_that_are_none_trip(around, figures) -> None:
    """A number written as text is one; what cannot be one is as bad as NaN."""
    stop = await around.armed()
    state = await stop.update_metrics(daily_drawdown=figures[0], open_loss=figures[1])
    assert state == ("ARMED" if figures[0] == "0.01" else "TRIPPED")


async def test_a_trip_is_acked_when_nothing_is_under_way(around, calm, until) -> None:
    """Orders inside are cut off before it returns, however it came about."""
    stop = await around.armed()
    for cause in ("person", "metrics", "errors"):
        orders = [asyncio.create_task(stop.gate.execute(asyncio.sleep, 60)) for _ in range(3)]
        await asyncio.sleep(0)
        if cause == "person":
            await stop.trip("drill")
        elif cause == "metrics":
            assert await stop.update_metrics(daily_drawdown=0.0, open_loss=0.1) == "TRIPPED"
        else:
            assert [await stop.record_execution(ok=False) for _ in range(5)][-1] == "TRIPPED"
        ended = await asyncio.gather(*orders, return_exceptions=True)
        assert [type(one) for one in ended] == [OrdersStoppedError] * 3
        with pytest.raises(OrdersStoppedError):
            await stop.gate.execute(asyncio.sleep, 0)
        await until(lambda: stop.status().state == "COOLING_DOWN")
        await calm(stop)
        await stop.manual_reset(trip=stop.status().trip, operator="alice", reason="next")


async def test_silence_trips_by_itself(around, until) -> None:
    """Nobody has to ask."""
    stop = await around.armed(metrics_max_age_s=0.05)
    await until(lambda: stop.status().state != "ARMED")
    assert "no metrics" in stop.status().reason


async def test_the_cooldown_ends_by_itself_and_not_in_a_breach(around, calm) -> None:
    """With good figures; while one is in breach it goes on."""
    stop, _ = await around.cooling(cooldown_s=0.05)
    await stop.update_metrics(daily_drawdown=0.06, open_loss=0.0)
    await asyncio.sleep(0.1)
    assert stop.status().state == "COOLING_DOWN"
    assert await calm(stop) == "ARMED"
    assert stop.can_execute_orders()


async def test_a_cancelled_caller_does_not_undo_a_trip(around, until) -> None:
    """Whoever asked and went away has still stopped it."""
    stop = await around.armed()
    asking = asyncio.create_task(stop.trip("drill"))
    await asyncio.sleep(0)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    assert not stop.can_execute_orders()
    await until(lambda: stop.status().state == "COOLING_DOWN")
    assert states(await stop.audit())[1] == "TRIPPED"


async def test_of_two_resets_at_once_one_arms_it(around) -> None:
    """The other is told that there is nothing to be reset, and is in the audit."""
    stop, trip = await around.cooling()
    answers = await asyncio.gather(
        *(stop.manual_reset(trip=trip, operator=who, reason="mine") for who in ("alice", "bob")),
        return_exceptions=True,
    )
    assert [type(one).__name__ for one in answers] == ["Transition", "RefusedError"]
    assert [(one.actor, one.code) for one in await stop.incidents()] == [("bob", "not_tripped")]


async def test_a_trip_in_the_middle_of_a_reset_holds(around) -> None:
    """In whichever order they are begun, nothing may go out once the trip was asked for."""
    stop, trip = await around.cooling()
    resetting = asyncio.create_task(stop.manual_reset(trip=trip, operator="alice", reason="all is well"))
    await asyncio.sleep(0)
    tripping = asyncio.create_task(stop.trip("again"))
    while not tripping.done():
        await asyncio.sleep(0)
        assert not stop.can_execute_orders()
        assert stop.gate.is_shut
    assert (await resetting).target == "ARMED"
    assert stop.status().trip == (await tripping).trip != trip


async def test_a_late_reset_does_nothing_to_a_later_trip(around, until) -> None:
    """It names the trip that it is for."""
    stop, first = await around.cooling()
    await stop.trip("again")
    await until(lambda: stop.status().state == "COOLING_DOWN")
    with pytest.raises(RefusedError, match="not the last one"):
        await stop.manual_reset(trip=first, operator="alice", reason="late")
    assert stop.status().state == "COOLING_DOWN"


async def test_working_orders_are_cancelled_until_that_succeeds(around, until) -> None:
    """A trip does not wait for it; COOLING_DOWN does, and each failure is in the audit."""
    around.cancel_error = ConnectionError("the exchange is away")
    stop = await around.armed()
    assert (await stop.trip("drill")).state == "TRIPPED"
    await until(lambda: around.cancels >= 3)
    assert stop.status().state == "TRIPPED"
    with pytest.raises(RefusedError, match="still being carried out"):
        await stop.manual_reset(trip=stop.status().trip, operator="alice", reason="hurry")
    around.cancel_error = None
    await until(lambda: stop.status().state == "COOLING_DOWN")
    failures = [one for one in await stop.incidents() if one.kind == "cancel_failed"]
    assert len(failures) == around.cancels - 1
    assert "the exchange is away" not in str(failures)


async def test_a_stop_that_a_crash_cut_short_is_carried_out_after_it(around, until) -> None:
    """TRIPPED at the start means that nobody knows."""
    around.cancel_error = ConnectionError("the exchange is away")
    stop = await around.armed()
    trip = (await stop.trip("drill")).trip
    await stop.close()
    around.cancel_error = None
    again = await around.started()
    assert again.status().trip == trip
    await until(lambda: again.status().state == "COOLING_DOWN")


async def test_what_was_not_heard_is_published_after_a_restart(around, until) -> None:
    """With the same ids, in order."""
    around.publish_error = ConnectionError("no bus")
    stop, trip = await around.cooling()
    assert stop.status().unheard == 3
    await stop.close()
    around.publish_error = None
    again = await around.started()
    await until(lambda: not again.status().unheard)
    assert [payload["to"] for _, payload in around.published] == ["ARMED", "TRIPPED", "COOLING_DOWN"]
    assert around.published[1][1]["trip"] == trip
    await again.close()
    await (await around.started()).close()
    assert len(around.published) == 3


async def test_an_unreadable_state_trips(around, tmp_path, calm, until) -> None:
    """With a reason; the file is kept; and it can be reset as any other trip."""
    await (await around.armed()).close()
    (tmp_path / "desk.ess.sqlite3").write_bytes(b"garbage")
    stop = await around.started()
    assert (stop.status().state, stop.can_execute_orders()) == ("TRIPPED", False)
    assert "unreadable" in stop.status().reason
    assert (tmp_path / "desk.ess.sqlite3.unreadable-1").read_bytes() == b"garbage"
    await until(lambda: stop.status().state == "COOLING_DOWN")
    await calm(stop)
    await stop.manual_reset(trip=stop.status().trip, operator="alice", reason="looked at")
    assert stop.can_execute_orders()


async def test_a_lost_state_trips(around, tmp_path) -> None:
    """A file that is not there although there was one is no new desk."""
    await (await around.armed()).close()
    (tmp_path / "desk.ess.sqlite3").unlink()
    assert (await around.started()).status().state == "TRIPPED"


async def test_a_full_disk_stops_nobody_from_stopping(around, disk, tmp_path, until) -> None:
    """The trip is in force and durable at once; the trail has it when there is space."""
    stop = await around.armed()
    disk.fill()
    tripped = await stop.trip("drill", actor="bob")
    assert (tripped.state, tripped.durable) == ("TRIPPED", True)
    assert not stop.can_execute_orders()
    assert states(await stop.audit()) == ["ARMED", "TRIPPED"]
    assert not (tmp_path / "desk.ess.permit").exists()
    await until(lambda: around.published[-1][0] == "ess.tripped")
    assert disk.free() > 0
    await until(lambda: stop.status().state == "COOLING_DOWN")
    await stop.close()
    again = await around.started()
    assert states(await again.audit()) == ["ARMED", "TRIPPED", "COOLING_DOWN"]


async def test_a_trip_on_a_full_disk_survives_a_crash(around, disk) -> None:
    """The next process finds no permit, and trips: with an id of its own, so a reset of the old one does nothing."""
    stop = await around.armed()
    disk.fill()
    trip = (await stop.trip("drill")).trip
    await crash(stop)
    disk.free()
    again = await around.started()
    assert again.status().state == "TRIPPED"
    assert "could not be written" in again.status().reason
    with pytest.raises(RefusedError):
        await again.manual_reset(trip=trip, operator="alice", reason="late")


async def test_a_trip_that_nothing_could_make_durable_says_so(around, disk, monkeypatch) -> None:
    """It holds in memory, and the answer is honest."""

    def fails(_: Store) -> None:
        raise OSError("read-only file system")

    stop = await around.armed()
    monkeypatch.setattr(Store, "forbid", fails)
    disk.fill()
    tripped = await stop.trip("drill")
    assert (tripped.state, tripped.durable, stop.status().durable) == ("TRIPPED", False, False)
    assert not stop.can_execute_orders()


async def test_a_full_disk_arms_nothing(around, disk, calm) -> None:
    """A reset raises and changes nothing; a cooldown that is over waits for space."""
    stop, trip = await around.cooling(cooldown_s=0.2)
    disk.fill()
    with pytest.raises(StoreError):
        await stop.manual_reset(trip=trip, operator="alice", reason="all is well")
    await asyncio.sleep(0.3)
    assert await calm(stop) == "COOLING_DOWN"
    assert not stop.can_execute_orders()
    disk.free()
    assert await calm(stop) == "ARMED"


async def test_a_second_process_is_refused(around) -> None:
    """Two that both think they are the one would each arm for itself."""
    await around.armed()
    with pytest.raises(StoreError, match="locked"):
        await around.started()


async def test_texts_are_needed(around) -> None:
    """Who and why is what the trail is for."""
    stop, trip = await around.cooling()
    with pytest.raises(ValueError, match="a reason"):
        await stop.trip(" ")
    with pytest.raises(ValueError, match="an operator"):
        await stop.manual_reset(trip=trip, operator="", reason="x")


async def test_nothing_works_before_start_or_after_close(around, calm) -> None:
    """It raises; a closed one lets no order out."""
    stop = await around.armed()
    await stop.close()
    await stop.close()
    with pytest.raises(EssError, match="not running"):
        await calm(stop)
    with pytest.raises(OrdersStoppedError):
        await stop.gate.execute(asyncio.sleep, 0)


async def crash(stop):
    """Let go of the file as a process that dies does, with nothing written any more."""
    keeper = stop._keeper
    keeper._unwritten.clear()
    keeper._incidents.clear()
    await stop.close()
