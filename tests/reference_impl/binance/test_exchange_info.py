"""When exchangeInfo is read: once before anything else, and again when what is known of limits may be wrong."""

import asyncio
import math
from types import SimpleNamespace

import pytest

from reference_impl._binance import exchange_info
from reference_impl._binance.exchange_info import ExchangeInfo
from reference_impl._binance.faults import BinanceError

DEADLINE = math.inf


class World:
    """A clock that is set, an exchange that counts readings, and a limiter that says when it was refused."""

    def __init__(self):
        self.now = 0.0
        self.readings = 0
        self.cap = 2_400
        self.used = []
        self.fails = False
        self.limited_at = -math.inf

    def monotonic(self):
        """Stand in for the clock."""
        return self.now

    async def read(self, call, deadline):
        """Stand in for the reader."""
        self.readings += 1
        if self.fails:
            raise BinanceError("unavailable", "no")
        return {"symbols": [], "rateLimits": [{"limit": self.cap}]}

    def use_limits(self, limits):
        """Stand in for the limiter."""
        self.used.append(limits[0]["limit"])


@pytest.fixture
async def world(monkeypatch):
    """The world of an `ExchangeInfo` that was read at 0."""
    made = World()
    monkeypatch.setattr(exchange_info, "time", SimpleNamespace(monotonic=made.monotonic))
    made.info = ExchangeInfo(made, made)
    await made.info.ready(DEADLINE)
    yield made
    await made.info.close()


async def readings(world, until):
    """Return the instants at which it is read again, asked for each second."""
    instants = []
    while world.now < until:
        world.now += 1
        before = world.readings
        await world.info.ready(DEADLINE)
        for _ in range(3):  # the reading is a task of its own
            await asyncio.sleep(0)
        if world.readings > before:
            instants.append(world.now)
    return instants


async def test_it_is_read_again_when_it_is_old(world):
    """Every five minutes, if no limit gives cause for more."""
    assert await readings(world, 1_000) == [301, 602, 903]


async def test_after_a_refusal_it_is_read_each_minute_for_a_while(world):
    """However often the exchange refuses; and what is read is passed on, so that limits grow back."""
    world.now = world.limited_at = 10.0
    world.cap = 1_200
    assert await readings(world, 100) == [61]
    world.limited_at = 100.0
    world.cap = 2_400
    assert await readings(world, 700) == [122, 183, 244, 305, 366, 667]
    assert world.used == [2_400, 1_200, *[2_400] * 6]


async def test_a_refusal_long_after_a_reading_has_it_read_at_once(world):
    """What is known is then older than the refusal."""
    world.now = world.limited_at = 200.0
    assert await readings(world, 210) == [201]


async def test_a_reading_that_fails_changes_nothing(world):
    """What was known stays in force, and it is tried again."""
    world.fails = True
    assert (await readings(world, 303), world.used) == ([301, 302, 303], [2_400])
    world.fails = False
    assert (await readings(world, 310), world.used) == ([304], [2_400, 2_400])
