"""A raw RESP client, scripts of requests, and the two servers that must answer them alike."""

import asyncio
import contextlib
import re
import shlex
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from harness.dependencies.redis.protocol import serve
from harness.dependencies.redis.server_process import find_server
from harness.dependencies.redis.state import RedisState

sys.path.insert(0, str(Path(__file__).parent / "programs"))

from two_worlds import Stand

ANSWER_S_MAX = 5.0


class Wire:
    """One connection; replies are rendered as text that keeps every type apart (null bulk, null array, push...)."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    @classmethod
    async def open(cls, host: str, port: int) -> "Wire":
        return cls(*await asyncio.open_connection(host, port))

    def send(self, *argv: bytes) -> None:
        parts = [b"*%d\r\n" % len(argv)]
        parts += [b"$%d\r\n%b\r\n" % (len(argument), argument) for argument in argv]
        self.writer.write(b"".join(parts))

    def send_raw(self, data: bytes) -> None:
        self.writer.write(data)

    async def reply(self) -> str:
        async with asyncio.timeout(ANSWER_S_MAX):
            return await self._value()

    async def _value(self) -> str:  # noqa: PLR0911 - one return for each type
        line = await self.reader.readline()
        if not line:
            return "<closed>"
        kind, rest = chr(line[0]), line[1:-2].decode(errors="backslashreplace")
        if kind in "+-:,#(":
            return f"{kind}{rest}"
        if kind == "_":
            return "_"
        if kind in "$=":
            if rest == "-1":
                return "$nil"
            data = await self.reader.readexactly(int(rest) + 2)
            return f"{kind}{data[:-2].decode(errors='backslashreplace')!r}"
        if rest == "-1":
            return "*nil"
        count = int(rest) * (2 if kind == "%" else 1)
        items = [await self._value() for _ in range(count)]
        if kind == "~":
            items.sort()
        return f"{kind}[{', '.join(items)}]"

    async def call(self, *argv: bytes) -> str:
        self.send(*argv)
        return await self.reply()

    async def close(self) -> None:
        self.writer.close()
        with contextlib.suppress(OSError):
            await self.writer.wait_closed()


class Script:
    """Carries out a script of requests and returns its transcript.

    Lines: `COMMAND ...` (client a), `b: COMMAND ...` (client b), `b& COMMAND ...` (send, do not read), `b?` (read one
    reply), `b!` (drop the connection), `blocked N` (return once N clients are blocked), `raw BYTES` (escapes allowed).
    """

    def __init__(self, host: str, port: int, resp3: bool) -> None:
        self.host = host
        self.port = port
        self.resp3 = resp3
        self.wires: dict[str, Wire] = {}

    async def wire(self, name: str) -> Wire:
        if name not in self.wires:
            wire = self.wires[name] = await Wire.open(self.host, self.port)
            if self.resp3 and name != "control":
                await wire.call(b"HELLO", b"3")
        return self.wires[name]

    async def run(self, text: str) -> list[str]:
        control = await self.wire("control")
        await control.call(b"FLUSHALL")
        transcript = []
        try:
            for line in filter(None, map(str.strip, text.splitlines())):
                reply = await self.step(line)
                if reply is not None:
                    transcript.append(f"{line}  ->  {normal(line, reply)}")
        finally:
            for wire in self.wires.values():
                await wire.close()
        return transcript

    async def step(self, line: str) -> str | None:
        if line.startswith("blocked "):
            await self.until_blocked(int(line.split()[1]))
            return None
        if line.startswith("raw "):
            wire = await self.wire("a")
            wire.send_raw(line[4:].encode().decode("unicode_escape").encode("latin-1"))
            return await wire.reply()
        who, mark, rest = re.fullmatch(r"(?:([a-z])([:&?!]) ?)?(.*)", line).groups()
        wire = await self.wire(who or "a")
        if mark == "!":
            wire.writer.transport.abort()
            del self.wires[who]
            await self.until_gone()
            return None
        if mark != "?":
            wire.send(*[argument.encode() for argument in shlex.split(rest)])
        return None if mark == "&" else await wire.reply()

    async def until_blocked(self, count: int) -> None:
        control = await self.wire("control")
        async with asyncio.timeout(ANSWER_S_MAX):
            while f"blocked_clients:{count}" not in await control.call(b"INFO", b"clients"):
                pass

    async def until_gone(self) -> None:
        control = await self.wire("control")
        async with asyncio.timeout(ANSWER_S_MAX):
            while f"connected_clients:{len(self.wires)}\\r" not in await control.call(b"INFO", b"clients"):
                pass


def normal(line: str, reply: str) -> str:
    """Replace what must differ between two servers: generated ids, instants, short idle times."""
    reply = re.sub(r"\b1[67]\d{11}-\d+", "<id>", reply)
    reply = re.sub(r":1[67]\d{11}\b", ":<ms>", reply)
    upper = line.upper()
    if "HELLO" in upper:
        reply = re.sub(r"(\$'id', ):\d+", r"\1:<n>", reply)
    if "XPENDING" in upper:
        reply = re.sub(r"(, \$'[^']*', ):\d{1,3}(, :)", r"\1:<idle>\2", reply)
    if "XINFO CONSUMERS" in upper:
        reply = re.sub(r"(\$'(?:idle|inactive)', ):\d{1,3}\b", r"\1:<idle>", reply)
    if "TIME" in upper.split()[0]:
        reply = re.sub(r"\d+", "<t>", reply)
    if "PTTL" in upper:
        reply = re.sub(
            r":(\d+)\d\d\d\b", r":~\1 s", re.sub(r":(\d*)9\d\d\b", lambda m: f":{int(m[1] or 0) + 1}000", reply)
        )
    return re.sub(r"\b[0-9a-f]{40}\b", "<run id>", reply)


class Process:
    """A real server for a whole test session."""

    def __init__(self, program: Path) -> None:
        self.directory = tempfile.TemporaryDirectory(prefix="redis-contract-")
        self.holder = socket.socket()
        self.holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.holder.bind(("127.0.0.1", 0))
        self.port = self.holder.getsockname()[1]
        settings = {"port": self.port, "bind": "127.0.0.1", "dir": self.directory.name, "save": "", "appendonly": "no"}
        arguments = [part for key, value in settings.items() for part in (f"--{key}", str(value))]
        self.process = subprocess.Popen([str(program), *arguments], stdout=subprocess.DEVNULL, start_new_session=True)
        deadline = time.monotonic() + ANSWER_S_MAX
        while not self.answers():
            assert self.process.poll() is None, "the server ended"
            assert time.monotonic() < deadline, "the server does not answer"

    def answers(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=ANSWER_S_MAX) as one:
                one.sendall(b"PING\r\n")
                return one.recv(64) == b"+PONG\r\n"
        except ConnectionRefusedError:
            return False

    def end(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        self.holder.close()
        self.directory.cleanup()


@pytest.fixture(scope="session")
def real_port() -> Iterator[int]:
    """The port of a real server from the wheel."""
    process = Process(find_server())
    yield process.port
    process.end()


@pytest.fixture
async def engine_port() -> AsyncIterator[int]:
    """The port of our engine, on a real loop over a real socket."""
    server = await serve("127.0.0.1", 0, state=RedisState(now_ns=time.time_ns))
    yield server.port
    await server.close()


@pytest.fixture
def script() -> type[Script]:
    """The class that carries out scripts."""
    return Script


@pytest.fixture
def wire() -> type[Wire]:
    """The raw client."""
    return Wire


@pytest.fixture(params=[pytest.param("real", marks=pytest.mark.real), "sim"])
def stand(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Stand:
    """A stand for each world."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return Stand(request.param, tmp_path / "run")
