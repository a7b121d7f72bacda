"""Worlds as they are entered and left: what an interrupt does to the real one."""

import asyncio
import signal
from typing import Any

import pytest

from harness import interrupts, worlds
from harness.director import Alarm
from harness.tape import Tape
from harness.worlds import Options, Staging, run_in_real

pytestmark = pytest.mark.real


class Nowhere:
    """A history that nobody reads."""

    def record(self, event: Any) -> None:
        """Forget it."""


@pytest.fixture
def staging(make_scenario, tmp_path):
    """A run in the real world, in which nothing was planned."""
    scenario = make_scenario()
    return Staging(
        name="run",
        scenario=scenario,
        profile=scenario.profile("full"),
        plan=(),
        tape=Tape(1),
        targets={},
        folder=tmp_path,
        options=Options(),
        alarm=Alarm(),
    )


def test_an_interrupt_that_comes_again_does_not_break_off_the_healing(staging, monkeypatch):
    """`timeout` signals its child and then the group: the healing that the first began is not cancelled in turn.

    Afterwards the process still listens, as between two runs: an event loop would leave the default, which is to die.
    """
    healed = []

    async def direct(*_):
        signal.raise_signal(signal.SIGTERM)
        try:
            await asyncio.Event().wait()
        finally:
            signal.raise_signal(signal.SIGTERM)
            await asyncio.sleep(0.05)
            healed.append(True)

    monkeypatch.setattr(worlds, "direct", direct)
    with interrupts.heeded(signal.SIGTERM):
        listening = signal.getsignal(signal.SIGTERM)
        with pytest.raises(KeyboardInterrupt):
            run_in_real(staging, Nowhere())
        assert signal.getsignal(signal.SIGTERM) == listening
    assert healed == [True]


def test_a_run_is_not_begun_once_asked_to_end(staging, monkeypatch):
    """A signal between two runs, which has woken somebody already, holds for the next one as well."""
    began = []

    async def direct(*_):
        began.append(True)

    monkeypatch.setattr(worlds, "direct", direct)
    with interrupts.heeded(signal.SIGTERM):
        signal.raise_signal(signal.SIGTERM)
        assert interrupts.woken()
        with pytest.raises(KeyboardInterrupt):
            run_in_real(staging, Nowhere())
    assert began == []
