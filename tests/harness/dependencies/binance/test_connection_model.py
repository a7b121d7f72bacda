"""A connection against a small model: whatever comes when, each client gets the same answers in the same order.

The model knows nothing of chunks, timers or full buffers: requests are answered one after the other, until one of them
is met by silence, by a reset, or was the last. The connection is fed in pieces, its timers are fired, its client stops
and goes on reading, all in drawn order; what has been written at the end must be what the model says.
"""

import asyncio
import re
from dataclasses import dataclass, field
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from harness.dependencies.binance.connection import WAITING_MAX, Connection
from harness.dependencies.binance.wire import Answer, Reaction, Request, Reset, Silence

KINDS = ("plain", "plain", "plain", "late", "late", "last", "silence", "reset", "late reset", "malformed")


@dataclass
class Timer:
    """What was asked for later."""

    call: Any
    cancelled: bool = False

    def cancel(self) -> None:
        self.cancelled = True


@dataclass
class Loop:
    """Time that passes when the test says so: timers fire in the order in which they were set."""

    timers: list[Timer] = field(default_factory=list)

    def time(self) -> float:
        return 0.0

    def call_later(self, _delay_s: float, callback: Any, *arguments: Any) -> Timer:
        timer = Timer(lambda: callback(*arguments))
        if callback.__name__ in ("_late", "close"):  # the watch on idle clients is no part of this
            self.timers.append(timer)
        return timer

    def fire(self) -> bool:
        """Fire the oldest timer that still counts."""
        while self.timers:
            timer = self.timers.pop(0)
            if not timer.cancelled:
                timer.call()
                return True
        return False


class Socket:
    """Takes options."""

    def fileno(self) -> int:
        return 7

    def setsockopt(self, *_: Any) -> None:
        """SO_LINGER, before a reset."""


class Line(asyncio.Transport):
    """The client's end: what it got, and how it ended."""

    def __init__(self) -> None:
        super().__init__()
        self.got = b""
        self.end = "open"
        self.reading = True
        self.lost = False

    def write(self, data: Any) -> None:
        assert self.end == "open", "something is written after the end"
        self.got += data

    def is_closing(self) -> bool:
        return self.end != "open"

    def can_write_eof(self) -> bool:
        return False

    def close(self) -> None:
        self.end = "closed" if self.end == "open" else self.end

    def abort(self) -> None:
        self.end = "reset"

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return Socket() if name == "socket" else default

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True


class Owner:
    """Reacts to each request as its path says, and counts how many it was asked for at once."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def opened(self, _connection: Connection) -> None:
        """One is there."""

    lost = opened

    def react(self, request: Request, _peer: str) -> Reaction:
        kind = request.path.split("/")[1].replace("-", " ")
        self.asked.append(request.path)
        if kind == "silence":
            return Silence()
        if kind.endswith("reset"):
            return Reset(5 if kind == "late reset" else 0)
        return Answer(status=200, body=request.path.encode(), delay_ns=5 if kind == "late" else 0)

    def upgrade(self, _request: Request, _connection: Connection) -> None:
        """There are no streams."""

    def address_of(self, peer: str) -> str:
        return peer

    def wall_s(self) -> int:
        return 0


def path_of(number: int, kind: str) -> str:
    """Return the path that asks for that reaction."""
    return f"/{kind.replace(' ', '-')}/{number}"


def as_bytes(number: int, kind: str) -> bytes:
    """Return the request."""
    if kind == "malformed":
        return b"GET  /  nonsense\r\n\r\n"
    closing = "Connection: close\r\n" if kind == "last" else ""
    return f"GET {path_of(number, kind)} HTTP/1.1\r\nHost: h\r\n{closing}\r\n".encode()


def expected(kinds: list[str]) -> tuple[list[str], list[str], str]:
    """The model: the bodies that the client gets, the requests that are reacted to, and how it ends."""
    bodies: list[str] = []
    reacted: list[str] = []
    for number, kind in enumerate(kinds):
        if kind == "malformed":
            return [*bodies, "400"], reacted, "closed"
        reacted.append(path_of(number, kind))
        if kind == "silence":
            return bodies, reacted, "open"
        if kind.endswith("reset"):
            return bodies, reacted, "reset"
        bodies.append(path_of(number, kind))
        if kind == "last":
            return bodies, reacted, "closed"
    return bodies, reacted, "open"


def bodies_of(got: bytes) -> list[str]:
    """Take apart what the client got."""
    found = []
    while got:
        head, _, rest = got.partition(b"\r\n\r\n")
        length = re.search(rb"Content-Length: (\d+)", head)
        assert length is not None
        body, got = rest[: int(length[1])], rest[int(length[1]) :]
        found.append(body.decode() if head.startswith(b"HTTP/1.1 200") else head.split()[1].decode())
    return found


STEPS = st.lists(st.tuples(st.sampled_from(["feed", "feed", "fire", "full"]), st.integers(1, 150)), max_size=25)


@settings(max_examples=300, deadline=None)
@given(kinds=st.lists(st.sampled_from(KINDS), max_size=12), steps=STEPS)
def test_answers_come_in_order_whatever_comes_when(kinds: list[str], steps: list[tuple[str, int]]) -> None:
    """Bodies, reactions and the end are the model's, for any cuts, timers and pauses in between."""

    async def run() -> None:
        owner, line, loop = Owner(), Line(), Loop()
        client = Connection(owner)
        client._loop = loop  # type: ignore[assignment]
        client.connection_made(line)
        left = b"".join(as_bytes(number, kind) for number, kind in enumerate(kinds))
        full = False
        for step, size in steps:
            if step == "feed" and line.reading and left:
                client.data_received(left[:size])
                left = left[size:]
            elif step == "fire":
                loop.fire()
            elif step == "full":
                full = not full
                (client.pause_writing if full else client.resume_writing)()
        if full:
            client.resume_writing()
        assert line.reading or line.end != "open"
        if left:
            client.data_received(left)
        while loop.fire():
            pass
        bodies, reacted, end = expected(kinds)
        assert (bodies_of(line.got), owner.asked, line.end) == (bodies, reacted, end)
        client.connection_lost(None)

    asyncio.run(run())


@given(extra=st.integers(1, 200))
def test_no_more_than_so_many_wait(extra: int) -> None:
    """Behind a late answer requests wait up to the bound, then the client is not read from, until there is room."""

    async def run() -> None:
        owner, line, loop = Owner(), Line(), Loop()
        client = Connection(owner)
        client._loop = loop  # type: ignore[assignment]
        client.connection_made(line)
        client.data_received(as_bytes(0, "late"))
        for number in range(1, WAITING_MAX):
            client.data_received(as_bytes(number, "plain"))
            assert line.reading
        client.data_received(b"".join(as_bytes(number, "plain") for number in range(WAITING_MAX, WAITING_MAX + extra)))
        assert not line.reading
        assert len(owner.asked) == 1
        loop.fire()
        assert line.reading
        assert len(bodies_of(line.got)) == WAITING_MAX + extra
        client.connection_lost(None)

    asyncio.run(run())
