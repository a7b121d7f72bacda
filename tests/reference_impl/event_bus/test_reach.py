"""Who waits for whom while Redis is away."""

import asyncio

import pytest

from reference_impl._event_bus import reach as module
from reference_impl._event_bus.reach import Reach


async def seconds(pause: float, reach: Reach) -> float:
    loop = asyncio.get_running_loop()
    began = loop.time()
    await reach.pause(pause)
    return loop.time() - began


async def test_without_known_trouble_the_pause_is_the_callers() -> None:
    """A single lost connection is made again at the caller's own pace, also after a trouble that is over."""
    reach = Reach()
    assert await seconds(0.01, reach) < 1
    reach.missed()
    reach.found()
    assert await seconds(0.01, reach) < 1


async def test_while_redis_is_away_the_pause_ends_when_it_is_found() -> None:
    """However short the caller's pause would be, and for all who wait."""
    reach = Reach()
    reach.missed()
    waiting = [asyncio.ensure_future(reach.pause(0)) for _ in range(2)]
    done, _ = await asyncio.wait(waiting, timeout=0.02)
    assert set() == done
    reach.found()
    await asyncio.wait_for(asyncio.gather(*waiting), 1)


async def test_a_silent_knocker_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """If recovery says nothing for long, the caller tries by itself."""
    monkeypatch.setattr(module, "_SILENCE_MAX", 0.02)
    reach = Reach()
    reach.missed()
    assert 0.01 <= await seconds(0, reach) < 1


async def test_closing_releases_who_waits() -> None:
    """A bus that closes while Redis is away does not sit out the wait."""
    reach = Reach()
    reach.missed()
    waiting = asyncio.ensure_future(reach.pause(0))
    await asyncio.sleep(0)
    reach.release()
    await asyncio.wait_for(waiting, 1)
