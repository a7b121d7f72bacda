"""A server that refuses commands: the engine answers as Valkey does, command by command and byte by byte."""

import socket
import time
from pathlib import Path
from urllib.parse import urlsplit

import hiredis
import pytest

from harness.dependencies.redis import admission
from harness.dependencies.redis.engine import Engine
from harness.dependencies.redis.protocol import serve
from harness.dependencies.redis.real import start_real
from harness.dependencies.redis.state import RedisState
from harness.tape import Tape
from harness.world.real.world import RealWorld

pytestmark = pytest.mark.real

COMMANDS = """
PING
ECHO x
GET k
SET k w
DEL none
XADD s 9-9 a b
XADD s 9-9 a
XLEN s
XGROUP CREATE s g 0
XGROUP CREATE t g 0 MKSTREAM
XGROUP DELCONSUMER s g nobody
XGROUP NONSENSE s
XINFO GROUPS none
XACK s g 1-1
XREADGROUP GROUP g c STREAMS s >
XREADGROUP GROUP g c BLOCK 5 STREAMS s >
XREAD BLOCK 5 STREAMS s $
XAUTOCLAIM s g c 0 0-0
BLPOP list 0.01
EXISTS k
INCR n
EXPIRE k 100
PUBLISH c m
INFO nonsense
TIME now
SELECT 0
SELECT 99
CONFIG GET databases
CONFIG NONSENSE
CONFIG GET
CLIENT GETNAME
CLIENT SETNAME x
CLIENT NONSENSE
OBJECT ENCODING k
COMMAND NONSENSE
WAIT 0 0
DISCARD
UNWATCH
EXEC
SUBSCRIBE c
GET k
PING
UNSUBSCRIBE c
NONSENSE a b
GET
AUTH nobody nothing
AUTH
RESET
"""

TRANSACTIONS = """
MULTI
SET k w
GET k
EXEC
MULTI
GET k
EXEC
MULTI
XREADGROUP GROUP g c STREAMS s >
EXEC
MULTI
NONSENSE
EXEC
MULTI
MULTI
WATCH k
DISCARD
WATCH k
GET k
UNWATCH
MULTI
CONFIG GET databases
EXEC
"""

DATA = """
SET k v
XADD s 1-1 a b
XGROUP CREATE s g 0
XREADGROUP GROUP g c STREAMS s >
"""

SCRIPTS = {
    "commands": f"{DATA}\nrefuse\n{COMMANDS}\nerrors\nserve\nGET k\nSET k w\nXLEN s\n{COMMANDS}",
    "transactions": f"{DATA}\nrefuse\n{TRANSACTIONS}\nerrors\nserve\n{TRANSACTIONS}",
    "open transactions": f"""{DATA}
w: MULTI
w: SET k w
r: MULTI
r: GET k
x: WATCH k
x: MULTI
x: XACK s g 1-1
refuse
w: EXEC
w: GET k
w: EXEC
r: EXEC
x: EXEC
errors
serve
w: GET k
r: GET k
x: GET k
""",
    "pipelines": f"""{DATA}
a: PING
refuse
a: SET k w
n& SET k x
n& GET k
n& PING
n& MULTI
n& SET k x
n& EXEC
n?
n?
n?
n?
n?
n?
errors
serve
n: GET k
a: GET k
""",
}
BLOCKED = f"""{DATA}
b& XREADGROUP GROUP g c BLOCK 0 STREAMS s >
blocked 1
c& BLPOP list 0
blocked 2
d: SUBSCRIBE news
e: PING
refuse
"""
BLOCKED_CLIENTS = {
    "OOM": f"{BLOCKED}e: PING\nerrors\nserve\na: XADD s 2-2 a b\na: RPUSH list x\na: PUBLISH news m\nb?\nc?\nd?",
    "READONLY": f"{BLOCKED}b?\nb?\nc?\nc?\ne: PING\na: PUBLISH news m\nd?\nerrors\nserve",
    "NOAUTH": f"{BLOCKED}b?\nc?\nd?\ne?\nerrors\nserve",
    "LOADING": f"{BLOCKED}b?\nc?\nd?\ne?\nerrors\nserve",
}


class Valkey:
    """The real one, with the controls that faults use."""

    def __init__(self, redis, refusal: str) -> None:
        self.redis = redis
        self.refusal = refusal
        self.port = urlsplit(redis.url).port

    async def refuse(self) -> None:
        await self.redis.refuse_commands(self.refusal)

    async def serve(self) -> None:
        await self.redis.serve_commands()

    async def errors(self) -> dict[str, int]:
        report = await self.redis._console.command(b"INFO", b"errorstats")  # past any password
        pairs = [line.split(":count=") for line in report.decode().splitlines() if line.startswith("errorstat_")]
        return {name.removeprefix("errorstat_"): int(count) for name, count in pairs}


class Ours:
    """The engine. Loading, it is another incarnation: nobody is connected, nothing was counted."""

    def __init__(self, server, refusal: str) -> None:
        self.server = server
        self.refusal = refusal
        self.port = server.port

    async def refuse(self) -> None:
        if self.refusal == "LOADING":
            self.server.disconnect_all()
            self.server.engine.errors.clear()
        admission.begin(self.server.engine, self.refusal)

    async def serve(self) -> None:
        admission.end(self.server.engine)

    async def errors(self) -> dict[str, int]:
        return dict(sorted(self.server.engine.errors.items()))


async def transcript(server, wire, text: str) -> list[str]:
    """Carry out a script: `x: COMMAND` of client x (a if unnamed), `x& COMMAND` without reading, `x?` reads a reply."""
    wires, lines = {}, []
    for line in filter(None, text.splitlines()):
        if line in {"refuse", "serve"}:
            await getattr(server, line)()
        elif line == "errors":
            lines.append(f"errors {await server.errors()}")
        elif line.startswith("blocked "):
            control = await wire.open("127.0.0.1", server.port)
            while f"blocked_clients:{line[8:]}" not in await control.call(b"INFO", b"clients"):
                pass
            await control.close()
        else:
            who, mark, request = (line[0], line[1], line[2:]) if line[1] in ":&?" else ("a", ":", line)
            if who not in wires:
                wires[who] = await wire.open("127.0.0.1", server.port)
            reply = await answer(wires[who], mark, request.encode().split())
            if reply == "<closed>":
                await wires.pop(who).close()
            lines.append(f"{line}  ->  {reply}")
    for one in wires.values():
        await one.close()
    return lines


async def answer(one, mark: str, argv: list[bytes]) -> str:
    """Send a request (unless the mark is ?) and return the reply (unless it is &)."""
    try:
        if mark != "?":
            one.send(*argv)
        return "" if mark == "&" else await one.reply()
    except ConnectionError:
        return "<closed>"


async def both(wire, refusal: str, text: str, directory: Path) -> tuple[list[str], list[str]]:
    """Return what a real server and the engine answered."""
    world = RealWorld(Tape(1), _Nowhere(), targets={}, directory=directory, dependency_kinds={"redis": start_real})
    async with world:
        redis = await world.start_dependency("redis", "redis", {})
        # With everysec a write may wait for a busy disk's fsync, and is lost with the process: LOADING kills it.
        await redis._console.command(b"CONFIG", b"SET", b"appendfsync", b"always")
        theirs = await transcript(Valkey(redis, refusal), wire, text)
        await redis.stop()
    server = await serve("127.0.0.1", 0, state=RedisState(now_ns=time.time_ns))
    ours = await transcript(Ours(server, refusal), wire, text)
    await server.close()
    return theirs, ours


class _Nowhere:
    def record(self, event):
        pass


@pytest.mark.parametrize("script", SCRIPTS)
@pytest.mark.parametrize("refusal", admission.TEXTS)
async def test_refusals_are_worded_and_counted_alike(wire, tmp_path, refusal, script):
    """Each command is refused or let through as by Valkey, with the same bytes, and INFO errorstats agrees."""
    theirs, ours = await both(wire, refusal, SCRIPTS[script], tmp_path)
    assert theirs == ours
    assert any(admission.TEXTS[refusal] in line for line in ours)


@pytest.mark.parametrize("refusal", admission.TEXTS)
async def test_what_becomes_of_blocked_clients(wire, tmp_path, refusal):
    """Blocked and subscribed clients stay, are sent away with a word, or lose their connections, as with Valkey."""
    theirs, ours = await both(wire, refusal, BLOCKED_CLIENTS[refusal], tmp_path)
    assert theirs == ours


def test_the_flags_of_all_commands_are_those_of_valkey(real_port):
    """Every command and subcommand that the engine offers is hit by the same refusals as the real one."""
    decisive = {"write", "denyoom", "loading", "no_auth"}
    with socket.create_connection(("127.0.0.1", real_port), timeout=5) as one:
        one.sendall(b"COMMAND\r\n")
        reader = hiredis.Reader()
        while (listed := reader.gets()) is False:
            reader.feed(one.recv(1 << 20))
    theirs = {}
    for name, _, flags, *_, subcommands in listed:
        for called, described in [(name, flags), *((sub[0], sub[2]) for sub in subcommands)]:
            theirs[called.decode().replace("|", " ")] = {flag.decode() for flag in described} & decisive
        if subcommands:
            del theirs[name.decode()]
    offered = Engine(RedisState(now_ns=time.time_ns)).command_names
    known = {name.replace("|", " ") for name in admission.flags()}
    compared = {name: flags for name, flags in theirs.items() if name.split()[0] in offered and name in known}
    ours = {name: admission.flags_of(name.encode().split()) & decisive for name in compared}
    assert {name: flags for name, flags in ours.items() if flags != compared[name]} == {}
    assert len(compared) > 200
