"""The gate: who was let in is cut off by a trip, and nobody is let in any more."""

import asyncio

import pytest

from reference_impl._ess.gate import OrderGate
from reference_impl._ess.model import OrdersStoppedError


@pytest.fixture
def gate():
    made = OrderGate(lambda: True)
    made.open()
    return made


async def hanging(gate, entered, *, heeds=True):
    """An order that gets no answer; one that does not heed its first cancellation, if that is wanted."""
    async with gate.order():
        entered.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            if heeds:
                raise
        await asyncio.Event().wait()


async def started(work, entered):
    """A task for it, once it is inside."""
    task = asyncio.create_task(work)
    await entered.wait()
    return task


async def test_it_begins_shut() -> None:
    """Whoever forgets to open it sends nothing."""
    with pytest.raises(OrdersStoppedError):
        async with OrderGate(lambda: True).order():
            pytest.fail("it was let in")


async def test_what_is_not_allowed_is_not_let_in() -> None:
    """It asks each time."""
    answers = [True, False]
    gate = OrderGate(lambda: answers.pop(0))
    gate.open()
    assert await gate.execute(asyncio.sleep, 0, "sent") == "sent"
    with pytest.raises(OrdersStoppedError):
        await gate.execute(asyncio.sleep, 0)


async def test_shutting_cuts_off_what_is_inside_and_waits_for_it(gate) -> None:
    """After `drained` nothing is under way, and each is told that it was stopped."""
    entered = asyncio.Event()
    task = await started(hanging(gate, entered), entered)
    gate.shut()
    await gate.drained()
    assert task.done() or task.cancelling() == 0
    with pytest.raises(OrdersStoppedError, match="cut off"):
        await task


async def test_what_swallows_a_cancellation_is_cancelled_until_it_ends(gate, caplog) -> None:
    """The ack waits for it all the same: it might still send."""
    entered = asyncio.Event()
    task = await started(hanging(gate, entered, heeds=False), entered)
    gate.shut()
    await asyncio.wait_for(gate.drained(), 5)
    with pytest.raises(OrdersStoppedError):
        await task
    assert "do not heed" in caplog.text


async def test_an_order_that_ends_while_it_is_cut_off_has_its_result(gate) -> None:
    """What came of it is worth more than that it was to be stopped."""
    entered = asyncio.Event()

    async def stubborn():
        async with gate.order():
            entered.set()
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                return "filled"
        return "never"

    task = await started(stubborn(), entered)
    gate.shut()
    await gate.drained()
    assert await task == "filled"


async def test_somebody_elses_cancellation_stays_one(gate) -> None:
    """A caller who cancels gets `CancelledError`, also when the gate shuts in the same moment."""
    for shuts in (False, True):
        entered = asyncio.Event()
        gate.open()
        task = await started(hanging(gate, entered), entered)
        task.cancel()
        if shuts:
            gate.shut()
        with pytest.raises(asyncio.CancelledError):
            await task


async def test_errors_of_an_order_are_passed_on(gate) -> None:
    """They are its caller's."""
    with pytest.raises(ZeroDivisionError):
        async with gate.order():
            raise ZeroDivisionError


async def test_who_is_outside_is_left_alone(gate) -> None:
    """An order that went through before is not cancelled by a later trip."""

    async def sends_and_goes_on():
        async with gate.order():
            await asyncio.sleep(0)
        gate.shut()
        await asyncio.sleep(0)
        return "went on"

    assert await asyncio.create_task(sends_and_goes_on()) == "went on"


async def test_who_shuts_it_from_inside_is_cut_off_too(gate) -> None:
    """It cannot wait for itself."""

    async def reports_from_inside():
        async with gate.order():
            gate.shut()
            await gate.drained()

    with pytest.raises(OrdersStoppedError):
        await asyncio.wait_for(asyncio.create_task(reports_from_inside()), 5)
    await gate.drained()
