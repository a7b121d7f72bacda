"""The fixtures that the plugin gives, used as a project would: in plain tests and in async ones."""

import asyncio
import contextlib
import time

import httpx
import pytest
import redis
import redis.asyncio
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from harness.errors import EscapeError, WorldError
from harness.testing.flood import Flooded

NO_RETRY = Retry(NoBackoff(), 0)


class Counter:
    """Code of a project: it knows nothing of any harness."""

    def __init__(self, url: str) -> None:
        self.redis = redis.asyncio.from_url(url, socket_timeout=1, socket_connect_timeout=1, retry=NO_RETRY)

    async def add(self) -> int:
        while True:
            try:
                return await self.redis.incr("n")
            except (redis.RedisError, OSError):
                await asyncio.sleep(0.5)


def test_code_is_run_in_a_sim_world_as_it_is(sim_world):
    """Ten minutes of outage take no time, and what the program returns is what the test gets."""

    async def test(sim):
        server = await sim.redis()

        async def app(host):
            counter = Counter(host.endpoints["redis"])
            try:
                return [await counter.add() for _ in range(3) if await asyncio.sleep(200, result=True)]
            finally:
                await counter.redis.aclose()

        running = await sim.start("app", app)
        await asyncio.sleep(100)
        await server.refuse()
        await asyncio.sleep(600)
        await server.accept()
        return await running, sim.now_s

    began_s = time.monotonic()
    counts, took_s = sim_world.run(test)

    assert counts == [1, 2, 3]
    assert 1_100 < took_s < 1_102
    assert time.monotonic() - began_s < 10
    assert any(getattr(event, "name", "") == "link" for event in sim_world.events)


def test_a_link_is_cut_and_a_host_is_killed_in_a_sim_world(sim_world):
    """Hosts die and are started again on the same disk; the way to a dependency is broken and heals."""

    async def test(sim):
        await sim.redis()

        async def app(host):
            with (host.disk / "lives").open("a") as file:
                file.write("x")
            counter = Counter(host.endpoints["redis"])
            first = await counter.add()
            await counter.redis.aclose()
            await asyncio.sleep(60 if host.incarnation == 1 else 0)
            return first, (host.disk / "lives").read_text()

        await sim.start("app", app)
        await asyncio.sleep(1)
        await sim.kill("app")
        await sim.link("app", "redis").cut(None)
        second = await sim.start("app", app)
        await asyncio.sleep(30)
        await sim.link("app", "redis").heal()
        return await second, sim.now_s

    (count, lives), took_s = sim_world.run(test, seeds=2)

    assert (count, lives) == (2, "xx")
    assert took_s > 31


def test_what_goes_wrong_in_a_sim_world_is_the_tests_error(sim_world):
    """An error of a host that nobody waited for, an escape that was swallowed, and a failed assertion."""

    async def fails(sim):
        async def app(host):
            raise ValueError("of the app")

        await sim.start("app", app)
        await asyncio.sleep(1)

    async def escapes(sim):
        with contextlib.suppress(EscapeError):
            time.sleep(1)  # noqa: ASYNC251 - the escape

    async def asserts(sim):
        assert sim.now_s > 0, "time stands still"

    with pytest.raises(ValueError, match="of the app"):
        sim_world.run(fails)
    with pytest.raises(EscapeError, match=r"time\.sleep"):
        sim_world.run(escapes)
    with pytest.raises(AssertionError, match="time stands still") as caught:
        sim_world.run(asserts, seed=5)
    assert caught.value.__notes__ == ["in the sim world, seed 5"]
    with pytest.raises(WorldError, match="exits"):
        sim_world.run(exits)


async def exits(sim):
    async def app(host):
        raise SystemExit("exits")

    await sim.start("app", app)
    await asyncio.sleep(1)


@pytest.mark.real
def test_a_real_redis_behind_a_proxy_is_taken_away(real_redis, toxics):
    """A plain blocking client meets refusal, silence, latency, and a server that lost everything."""
    proxied = toxics(real_redis.url)
    client = redis.Redis.from_url(proxied.url, socket_timeout=0.3, retry=redis.retry.Retry(NoBackoff(), 0))
    assert client.set("a", "1")
    for away in (real_redis.refusing, real_redis.frozen, proxied.refused, proxied.partitioned):
        with away(), pytest.raises(redis.RedisError):
            client.get("a")
        assert client.get("a") == b"1", away
    with proxied.toxic("latency", latency=250):
        began_s = time.monotonic()
        assert client.get("a") == b"1"
        assert time.monotonic() - began_s >= 0.25
    assert proxied.reset() == 1
    with real_redis.crashed(keep="nothing"):
        pass
    client.close()
    client = redis.Redis.from_url(proxied.url)
    assert client.get("a") is None
    client.close()


async def test_the_emulated_exchange_is_beside_an_async_test(binance_emulator):
    """With pytest-asyncio's loop and any client: faults are armed, and what came in is known."""
    async with httpx.AsyncClient(base_url=binance_emulator.url, verify=False) as client:
        with binance_emulator.armed("too_many_requests"):
            refused = await client.get("/fapi/v1/depth", params={"symbol": "BTCUSDT"})
        binance_emulator.arm("latency", count=1, ms=1)
        served = await client.get("/fapi/v1/depth", params={"symbol": "BTCUSDT"})

    assert (refused.status_code, refused.json()["code"], served.status_code) == (429, -1003, 200)
    assert [(one["path"], one["status"]) for one in binance_emulator.requests] == [
        ("/fapi/v1/depth", 429),
        ("/fapi/v1/depth", 200),
    ]
    assert "balances" in str(binance_emulator.ledger())


def test_a_flood_is_an_open_loop(sim_world, flood):
    """Work is offered at its pace although nothing returns; latencies count from when it was due."""

    async def test(sim):
        gate = asyncio.Event()

        async def offer(number):
            if number == 7:
                raise ValueError
            await gate.wait()

        flooding = asyncio.ensure_future(flood(offer, count=100, per_s=10))
        await asyncio.sleep(20)
        gate.set()
        return await flooding

    done = sim_world.run(test)

    assert (done.offered, done.returned, done.errors) == (100, 99, {"ValueError": 1})
    assert done.under_way_max == 99
    assert done.latency_s(1.0) == pytest.approx(20, abs=0.2)
    assert done.latency_s(0.5) == pytest.approx(15, abs=1)


def test_a_flood_of_nothing_has_no_latencies():
    """Rather than a figure that means nothing."""
    with pytest.raises(ValueError, match="nothing returned"):
        Flooded().latency_s(0.99)
