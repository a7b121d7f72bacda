"""An emergency stop with short times, and all that is around it."""

import asyncio
import os

import pytest

from harness.world.sim import full_disks
from reference_impl.ess import make

TOKENS = {"alice": "alice-token-0123456789", "bob": "bob-token-0123456789ab"}


class Around:
    """What an emergency stop is given: an exchange to cancel at, a bus to publish on; and what came of it."""

    def __init__(self, directory):
        self.directory = directory
        self.published = []
        self.cancels = 0
        self.cancel_error = None
        self.publish_error = None
        self.made = []

    async def cancel_all(self):
        self.cancels += 1
        if self.cancel_error is not None:
            raise self.cancel_error

    async def publish(self, event_type, payload):
        if self.publish_error is not None:
            raise self.publish_error
        self.published.append((event_type, payload))

    async def started(self, factory=make, **options):
        """One that has been started."""
        limits = {"cooldown_s": 60.0, "metrics_max_age_s": 60.0, "checkpoint_s": 60.0} | options
        stop = factory(
            directory=self.directory,
            name="desk",
            cancel_all=self.cancel_all,
            publish=self.publish,
            tokens=TOKENS,
            **limits,
        )
        await stop.start()
        self.made.append(stop)
        return stop

    async def armed(self, **options):
        """One that lets orders out."""
        stop = await self.started(**options)
        await _calm(stop)
        await stop.arm(operator="alice", reason="start of day")
        return stop

    async def cooling(self, **options):
        """One that was tripped, and has carried that out; and the trip."""
        stop = await self.armed(**options)
        tripped = await stop.trip("drill", actor="bob")
        await _until(lambda: stop.status().state == "COOLING_DOWN")
        return stop, tripped.trip


async def _calm(stop):
    """Figures that breach nothing."""
    return await stop.update_metrics(daily_drawdown=0.01, open_loss=0.02)


async def _until(condition):
    """Let others work until that is so."""
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - what it waits for has no event of its own
            await asyncio.sleep(0.001)


@pytest.fixture(scope="session")
def calm():
    return _calm


@pytest.fixture(scope="session")
def until():
    return _until


@pytest.fixture
async def around(tmp_path):
    made = Around(tmp_path)
    yield made
    for stop in made.made:
        await stop.close()


class Disk:
    """The disk of the test's directory."""

    def __init__(self, directory):
        self._directory = os.path.realpath(directory)

    def fill(self):
        full_disks.fill(self._directory)

    def free(self):
        return full_disks.free(self._directory)


@pytest.fixture
def disk(tmp_path):
    made = Disk(tmp_path)
    yield made
    made.free()
