"""The contract: our engine answers as a real server does. Known differences are listed with the reason, and exist."""

import asyncio
import time
import tomllib
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from harness.dependencies.redis.protocol import serve
from harness.dependencies.redis.sim import start_sim
from harness.dependencies.redis.state import RedisState
from harness.history.events import Event
from harness.tape import Tape
from harness.world.base import Host, HostSpec
from harness.world.sim.run import run_sim
from harness.world.sim.world import SimWorld

PROBES = {
    f"{subject}.{name}": text
    for subject, scripts in tomllib.loads(Path(__file__).with_name("redis_probes.toml").read_text()).items()
    for name, text in scripts.items()
}

KNOWN_DIFFERENCES = {
    "HELLO 2": "the engine has no Lua module to list",
    "EVAL 'return 1' 0": "no Lua: fakeredis needs lupa for it, and the project's targets do not script",
    "SCRIPT EXISTS abc": "no Lua",
    "COMMAND DOCS get": "documentation is left out; clients read it for people only",
    "CONFIG GET maxmemory-samples": "only settings that clients are known to ask for are there",
    "SET k v\nOBJECT FREQ k\nMEMORY USAGE k": "memory is not accounted",
    "DEBUG OBJECT k": "no DEBUG",
}
"""Scripts whose replies differ from a real server's, and why that is accepted."""


class Nowhere:
    """A history that nobody reads."""

    def record(self, event: Event) -> None:
        """Forget it."""


@pytest.mark.real
@pytest.mark.parametrize("resp3", [False, True], ids=["resp2", "resp3"])
@pytest.mark.parametrize("probe", sorted(PROBES))
async def test_replies_equal(probe, resp3, script, engine_port, real_port):
    """Every reply to the script is the same, types and error texts included."""
    text = PROBES[probe]
    expected = await script("127.0.0.1", real_port, resp3).run(text)
    actual = await script("127.0.0.1", engine_port, resp3).run(text)
    assert expected == actual


@pytest.mark.real
@pytest.mark.parametrize(("probe", "reason"), sorted(KNOWN_DIFFERENCES.items()))
async def test_known_differences_exist(probe, reason, script, engine_port, real_port):
    """A listed difference is still one; when this fails, take it off the list and into the probes."""
    expected = await script("127.0.0.1", real_port, False).run(probe)
    actual = await script("127.0.0.1", engine_port, False).run(probe)
    assert expected != actual, reason


@pytest.mark.real
@pytest.mark.parametrize("payload_bytes", [1, 300, 5_000])
async def test_approximate_trimming_is_equal(payload_bytes, wire, engine_port, real_port):
    """`MAXLEN ~` and `MINID ~` cut where a real server cuts: at its nodes, by count and by size."""
    lengths = []
    for port in (real_port, engine_port):
        client = await wire.open("127.0.0.1", port)
        await client.call(b"FLUSHALL")
        seen = []
        for number in range(1, 351):
            fields = [b"value", b"x" * payload_bytes, b"number", b"%d" % number]
            if number % 50 == 0:
                fields += [b"extra", b"%d" % (number * 1_000_000)]
            await client.call(b"XADD", b"s", b"MAXLEN", b"~", b"120", b"%d-1" % number, *fields)
            seen.append(await client.call(b"XLEN", b"s"))
        await client.call(b"XDEL", b"s", b"300-1", b"301-1")
        seen.append(await client.call(b"XTRIM", b"s", b"MINID", b"~", b"320"))
        seen.append(await client.call(b"XTRIM", b"s", b"MAXLEN", b"~", b"0", b"LIMIT", b"10"))
        seen.append(await client.call(b"XTRIM", b"s", b"MAXLEN", b"~", b"0"))
        seen.append(await client.call(b"XRANGE", b"s", b"-", b"+", b"COUNT", b"1"))
        lengths.append(seen)
        await client.close()
    assert lengths[0] == lengths[1]


def test_the_sim_world_answers_the_same(script, tmp_path):
    """The same scripts over the in-memory network, on virtual time, give what they give on the real loop."""
    transcripts: dict[str, list[str]] = {}

    async def program(host: Host) -> None:
        url = urlsplit(host.endpoints["redis"])
        for probe, text in sorted(PROBES.items()):
            if not probe.startswith("protocol."):  # how bytes meet is the network's business, told by its own tests
                transcripts[probe] = await script(url.hostname, url.port, False).run(text)

    async def director(world: SimWorld) -> None:
        await world.start_dependency("redis", "redis", {"persistence": "none"})
        await world.start_host(HostSpec(name="client", program=program))
        await world.machines.program("client")

    run = run_sim(director, tape=Tape(1), sink=Nowhere(), directory=tmp_path, dependency_kinds={"redis": start_sim})
    assert run.failures == {}

    async def on_the_real_loop() -> dict[str, list[str]]:
        server = await serve("127.0.0.1", 0, state=RedisState(now_ns=time.time_ns))
        found = {probe: await script("127.0.0.1", server.port, False).run(PROBES[probe]) for probe in transcripts}
        await server.close()
        return found

    assert transcripts
    assert asyncio.run(on_the_real_loop()) == transcripts
