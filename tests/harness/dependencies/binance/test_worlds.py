"""The exchange as a machine and as a process: its life, and that nothing it recorded is lost."""

import asyncio
import os
import signal
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from harness.dependencies.binance.arms import Arm
from harness.dependencies.binance.real import start_real
from harness.dependencies.binance.sim import start_sim
from harness.errors import UsageError, WorldError
from harness.history.events import HostChanged, Observation
from harness.tape import Tape
from harness.units import seconds
from harness.world.base import HostSpec
from harness.world.real.world import RealWorld
from harness.world.sim.run import run_sim


class Seen:
    """A history in memory."""

    def __init__(self):
        self.events = []

    def record(self, event):
        self.events.append(event)

    def changes(self, actor):
        return [event.change for event in self.events if isinstance(event, HostChanged) and event.actor == actor]

    def observed(self, name):
        return [event.value for event in self.events if isinstance(event, Observation) and event.name == name]


def in_sim(director, tmp_path, seed=1):
    """Run a director in the sim world; return the run and its history."""
    seen = Seen()
    run = run_sim(
        director, tape=Tape(seed), sink=seen, directory=tmp_path / "sim", dependency_kinds={"binance": start_sim}
    )
    return run, seen


@asynccontextmanager
async def real_world(tmp_path):
    """A real world with an exchange in it."""
    seen = Seen()
    world = RealWorld(Tape(1), seen, targets={}, directory=tmp_path, dependency_kinds={"binance": start_real})
    async with world:
        yield world, seen


async def asks(host):
    """A host program: a few requests, then the end."""
    async with httpx.AsyncClient(base_url=host.endpoints["binance"], trust_env=False) as client:
        for _ in range(host.params["requests"]):
            host.log.observe("answered", status=(await client.get("/fapi/v1/ping")).status_code)


def test_a_seed_gives_the_same_run_again(tmp_path):
    """Two sim runs of a seed with dice in play are equal to the byte, in trace and in history; another seed is not."""

    async def director(world):
        binance = await world.start_dependency("binance", "binance", {})
        await binance.arm(Arm(kind="latency", share=0.5, options={"ms": 20, "jitter_ms": 10}))
        await world.start_host(HostSpec(name="asker", program=asks, params={"requests": 40}))
        await world.machines.program("asker")
        return await binance.ledger()

    (one, first), (two, second), (_, other) = (in_sim(director, tmp_path, seed) for seed in (1, 1, 2))
    assert one.failures == {}
    assert (one.digest, first.events, one.result) == (two.digest, second.events, two.result)
    faults = [[value.get("after_ns") for value in seen.observed("request")] for seen in (first, other)]
    assert faults[0] != faults[1]


def test_a_machine_that_was_stopped_is_not_controlled(tmp_path):
    """After `stop` its control surface says so, and stopping again does nothing."""

    async def director(world):
        binance = await world.start_dependency("binance", "binance", {})
        await binance.stop()
        await binance.stop()
        with pytest.raises(WorldError, match="binance is not running"):
            await binance.ledger()

    _, seen = in_sim(director, tmp_path)
    assert seen.changes("binance") == ["started", "killed"]


def test_armed_time_passes_by_itself(tmp_path):
    """What the exchange does by itself happens on virtual time though nobody asks it anything: a ban is over."""

    async def director(world):
        binance = await world.start_dependency("binance", "binance", {})
        await binance.arm(Arm(kind="ban", options={"ms": 5_000}))
        await world.start_host(HostSpec(name="asker", program=asks, params={"requests": 1}))
        await world.machines.program("asker")
        await world.sleep_until(seconds(6))
        await world.start_host(HostSpec(name="later", program=asks, params={"requests": 1}))
        await world.machines.program("later")

    _, seen = in_sim(director, tmp_path)
    assert [value["status"] for value in seen.observed("answered")] == [418, 200]


def test_a_reset_reaches_a_host_of_the_sim_world_as_one(tmp_path):
    """With nothing between but the simulated network, the host's socket fails with ECONNRESET, not with an end."""

    async def dials(host):
        url = urlsplit(host.endpoints["binance"])
        reader, writer = await asyncio.open_connection(url.hostname, url.port)
        writer.write(b"GET /fapi/v1/ping HTTP/1.1\r\nHost: h\r\n\r\n")
        try:
            await reader.read()
        except ConnectionResetError:
            host.log.observe("met", end="reset")

    async def director(world):
        binance = await world.start_dependency("binance", "binance", {})
        await binance.arm(Arm(kind="reset_before"))
        await world.start_host(HostSpec(name="dialler", program=dials))
        await world.machines.program("dialler")

    run, seen = in_sim(director, tmp_path)
    assert run.failures == {}
    assert seen.observed("met") == [{"end": "reset"}]


@pytest.mark.parametrize("start", [start_sim, start_real])
async def test_unknown_options_are_usage_errors(start):
    """A scenario that names an option that is not there is told so before anything is started."""
    with pytest.raises(UsageError, match="unknown options of binance: balnce"):
        await start(None, "binance", {"balnce": 1})


@pytest.mark.real
async def test_all_that_was_recorded_is_in_the_history(tmp_path):
    """A burst right before the end: every request is there, in order, and the process has ended by being asked to."""
    count = 1_500
    async with real_world(tmp_path) as (world, seen):
        binance = await world.start_dependency("binance", "binance", {})
        request = b"GET /fapi/v1/ping HTTP/1.1\r\nHost: h\r\n\r\n"
        reader, writer = await asyncio.open_connection("127.0.0.1", binance.port)
        writer.write(request * count)
        for _ in range(count):
            await reader.readuntil(b"\r\n\r\n{}")
        writer.close()
    assert [value["n"] for value in seen.observed("request")] == list(range(1, count + 1))
    assert seen.changes("binance") == ["started", "stopped"]


@pytest.mark.real
async def test_an_exchange_that_dies_is_a_failure_of_the_run(tmp_path):
    """SIGKILL from outside: what it recorded before is there, then its failure, and control says so."""
    async with real_world(tmp_path) as (world, seen):
        binance = await world.start_dependency("binance", "binance", {})
        async with httpx.AsyncClient(base_url=binance.url, trust_env=False) as client:
            await client.get("/fapi/v1/ping")
        os.kill(binance._child.pid, signal.SIGKILL)
        await binance._watch
        with pytest.raises(WorldError, match="binance does not answer"):
            await binance.ledger()
    assert len(seen.observed("request")) == 1
    assert seen.changes("binance") == ["started", "failed"]
    assert isinstance(seen.events[-1], HostChanged)


@pytest.mark.real
async def test_an_exchange_that_cannot_start_says_why(tmp_path, monkeypatch):
    """A process that ends before it listens is a `WorldError` with the end of its log."""
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "broken"))
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "sitecustomize.py").write_text("import sys; sys.exit('broken on purpose')\n")
    with pytest.raises(WorldError, match="binance did not start: returncode"):
        async with real_world(tmp_path) as (world, _):
            await world.start_dependency("binance", "binance", {})


@pytest.mark.real
async def test_hosts_cannot_control_the_exchange(tmp_path):
    """The control API of a run wants a token that is nowhere but in the harness."""
    async with real_world(tmp_path) as (world, _):
        binance = await world.start_dependency("binance", "binance", {})
        async with httpx.AsyncClient(base_url=binance.url, trust_env=False) as client:
            answer = await client.get("/__control__/ledger")
        assert answer.status_code == 401
        argv = Path(f"/proc/{binance._child.pid}/cmdline").read_bytes()  # noqa: ASYNC240 - /proc never blocks
        assert binance._token.encode() not in argv
