"""Whatever is done to a link, in whatever order: once all of it is over, the link is whole and nothing was made up."""

import asyncio
import contextlib
import itertools
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any, Final

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from harness.toxics.catalog import TYPES, parse
from harness.world.sim.endpoint import WINDOW

PORT: Final = 7000
_CHUNK: Final = 1024
HOLES: Final = frozenset({"half_open", "discard_first", "timeout"})
"""What may take bytes out of the midst of a stream; all others pass on a prefix of it."""

Action = tuple[Any, ...]

small = st.integers(0, 400)
attributes: Final = {
    "latency": st.fixed_dictionaries({"latency": small, "jitter": small}),
    "bandwidth": st.fixed_dictionaries({"rate": st.sampled_from([0, 1, 20, 500])}),
    "slow_close": st.fixed_dictionaries({"delay": small}),
    "timeout": st.fixed_dictionaries({"timeout": small}),
    "reset_peer": st.fixed_dictionaries({"timeout": small}),
    "slicer": st.fixed_dictionaries(
        {"average_size": st.integers(50, 900), "size_variation": st.integers(0, 50), "delay": st.integers(0, 9000)}
    ),
    "limit_data": st.fixed_dictionaries({"bytes": st.integers(0, 5000)}),
    "discard_first": st.fixed_dictionaries({"bytes": st.integers(0, 5000)}),
    "partition": st.just({}),
    "half_open": st.just({}),
    "half_close": st.just({}),
    "abort": st.just({}),
}
ways = st.sampled_from(["upstream", "downstream"])
toxics = st.one_of([st.tuples(st.just(name), attributes[name]) for name in sorted(attributes)])
sends = st.tuples(st.just("send"), st.sampled_from([1, 100, 3000, WINDOW]))
adds = st.tuples(st.just("add"), toxics, ways, st.sampled_from([1.0, 0.5]), st.booleans())
removes = st.tuples(st.just("remove"), st.integers(0, 9))
waits = st.tuples(st.just("wait"), st.sampled_from([1, 30, 1000]))
cuts = st.tuples(st.just("cut"), st.sampled_from([None, "upstream", "downstream"]))
others = st.tuples(st.sampled_from(["connect", "connect", "heal", "accept", "freeze", "thaw"]))
endings = st.tuples(
    st.sampled_from(["refuse", "reset", "close", "half_close", "kill_client", "kill_server", "power_off_server"])
)
actions: Final = st.integers(0, 19).flatmap(
    lambda dice: st.lists(
        st.one_of(sends, sends, adds, adds, removes, waits, cuts, others, *([endings] if dice < 10 else [])),
        min_size=3,
        max_size=20,
    )
)
"""Half of the plays have no ending in them, so that connections live long enough for much to be done to them."""


def pattern(start: int, size: int) -> bytes:
    """Return bytes of an endless text in which every place is told by what stands there."""
    first = start // 8
    text = b"".join(b"%07d " % (number % 10_000_000) for number in range(first, (start + size) // 8 + 1))
    return text[start - first * 8 :][:size]


class Talk(asyncio.Protocol):
    """One connection of the host: what it sent, what came back."""

    def __init__(self) -> None:
        self.sent = 0
        self.got = bytearray()
        self.transport: Any = None
        self.ended = False
        self.lost = False

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self.sock = transport._sock

    def data_received(self, data: bytes) -> None:
        self.got += data

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost = True


class Mirror(asyncio.Protocol):
    """The server's side: it keeps what it gets, and sends it back."""

    def __init__(self, all_of_them: list["Mirror"]) -> None:
        self.got = bytearray()
        all_of_them.append(self)

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self.sock = transport._sock

    def data_received(self, data: bytes) -> None:
        self.got += data
        self.transport.write(data)


@dataclass
class MirrorServer:
    """The dependency."""

    url: str = "tcp://server:7000"
    mirrors: list[Mirror] = field(default_factory=list)

    async def run(self) -> None:
        loop = asyncio.get_running_loop()
        await (await loop.create_server(lambda: Mirror(self.mirrors), "0.0.0.0", PORT)).serve_forever()

    async def stop(self) -> None:
        """Nothing is to be ended."""


class Play:
    """Carries out actions; `holes` are the types of toxics that may have taken bytes out of a stream's midst."""

    def __init__(self, on: Any) -> None:
        self.on = on
        self.talks: list[Talk] = []
        self.names: list[str] = []
        self.sent_max = 0
        self.numbers = itertools.count()
        self.holes: set[str] = set()

    async def call(self) -> Talk:
        """Connect."""
        loop = asyncio.get_running_loop()
        _, talk = await self.on.on(lambda: loop.create_connection(Talk, "server", PORT))
        self.talks.append(talk)
        return talk

    async def act(self, action: Action) -> None:
        """Carry out one action: a method of this class, or else of the link."""
        verb, *more = action
        await (getattr(self, verb, None) or getattr(self.on.link, verb))(*more)

    async def connect(self) -> None:
        with contextlib.suppress(OSError, TimeoutError):
            await asyncio.wait_for(self.call(), 0.1)

    async def send(self, size: int) -> None:
        for talk in self.talks:
            if not talk.transport.is_closing() and not talk.ended:
                talk.transport.write(pattern(talk.sent, size))
                talk.sent += size
                self.sent_max = max(self.sent_max, talk.sent)

    async def add(self, toxic: tuple[str, dict[str, int]], stream: str, toxicity: float, per_message: bool) -> None:
        name = f"t{next(self.numbers)}"
        await self.on.link.add(name, parse(*toxic), stream=stream, toxicity=toxicity, per_message=per_message)
        self.names.append(name)
        self.holes |= {toxic[0]} & HOLES

    async def remove(self, place: int) -> None:
        if self.names:
            await self.on.link.remove(self.names.pop(place % len(self.names)))

    async def close(self) -> None:
        for talk in self.talks[:1]:
            talk.transport.close()

    async def half_close(self) -> None:
        for talk in self.talks[:1]:
            if not talk.transport.is_closing():
                talk.ended = True
                with contextlib.suppress(OSError):
                    talk.transport.write_eof()

    async def kill_client(self) -> None:
        await self.on.world.kill_host("client")
        self.talks = [talk for talk in self.talks if talk.lost]
        await self.on.start()

    async def kill_server(self) -> None:
        await self.on.world.kill_host("server")
        await self.on.restart_server()

    async def power_off_server(self) -> None:
        await self.on.world.kill_host("server", silent=True)
        await asyncio.sleep(0.05)
        await self.on.restart_server()

    async def freeze(self) -> None:
        await self.on.world.freeze_host("server")

    async def thaw(self) -> None:
        await self.on.world.thaw_host("server")

    async def wait(self, milliseconds: int) -> None:
        await asyncio.sleep(milliseconds / 1000)

    async def heal_all(self) -> None:
        link = self.on.link
        for name in self.names:
            await link.remove(name)
        await link.heal()
        await link.accept()
        await self.on.world.thaw_host("server")
        await asyncio.sleep(1000)  # a connection that a cut left to its retransmissions has given up by now

    async def check(self) -> None:
        """Demand what must hold now."""
        mirrors: list[Mirror] = self.on.server.mirrors
        longest = pattern(0, self.sent_max)
        for mirror in mirrors:
            assert self.comes_from(mirror.got, longest)
        for talk in self.talks:
            sent = longest[: talk.sent]
            assert self.comes_from(talk.got, sent)
            if not self.holes and is_open(talk.sock):
                assert talk.got == sent
        for sock in self.socks():
            if is_open(sock):
                assert (sock.unread, sock.held, sock.received_bytes) == (0, None, 0)
            box = sock.middlebox
            if box is not None and not all(end.dead or end.closed or end.vanished for end in (sock, sock.peer)):
                assert (box.inside("upstream"), box.inside("downstream")) == (0, 0)
        fresh = await self.call()
        fresh.transport.write(b"well?")
        await asyncio.sleep(0.01)
        assert fresh.got == b"well?"
        assert fresh.sock.middlebox is None

    def socks(self) -> list[Any]:
        """Return every end that there is or was."""
        return [end.sock for end in (*self.talks, *self.on.server.mirrors)]

    def comes_from(self, got: bytearray, sent: bytes) -> bool:
        """Say whether a stream may have become this one."""
        return is_within(bytes(got), sent) if self.holes else sent.startswith(got)


def is_open(sock: Any) -> bool:
    """Say whether a connection stands, both ways."""
    return not any(end.dead or end.vanished or end.closed or end.shut for end in (sock, sock.peer))


def is_within(part: bytes, whole: bytes) -> bool:
    """Say whether `part` can be got from `whole` by leaving out bytes."""
    taken = place = 0
    while taken < len(part):
        chunk = part[taken : taken + _CHUNK]
        if not whole.startswith(chunk, place):
            chunk = chunk[:1]
            place = whole.find(chunk, place)
            if place < 0:
                return False
        taken += len(chunk)
        place += len(chunk)
    return True


@pytest.mark.parametrize("type_name", sorted(attributes))
@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data(), actions, st.integers(0, 1 << 30))
def test_after_any_turmoil_the_link_is_whole(
    linked: ModuleType, type_name: str, data: st.DataObject, steps: list[Action], seed: int
) -> None:
    """Streams arrive from their beginning without a hole (unless a toxic makes holes), and a fresh connection works.

    No window leaks, no middlebox keeps anything, and the same seed gives the same digest.
    """
    first = ("add", (type_name, data.draw(attributes[type_name])), data.draw(ways), 1.0, False)
    steps = [first, ("connect",), ("send", 3000), ("wait", 1), *steps]

    async def director(on: Any) -> None:
        play = Play(on)
        await play.call()
        for step in steps:
            await play.act(step)
            assert all(0 <= sock.unread <= WINDOW for sock in play.socks())
        await play.heal_all()
        await play.check()
        for talk in play.talks:
            if not talk.lost:
                talk.transport.abort()
        await asyncio.sleep(0.1)

    digests = set()
    for _ in range(2):
        with tempfile.TemporaryDirectory() as folder:
            run = linked.run_linked(director, Path(folder), seed=seed, server_type=MirrorServer)
            digests.add(run.digest)
    assert len(digests) == 1


def test_every_toxic_takes_part() -> None:
    """The catalog's types are all played with; those that follow a conversation have tests of their own."""
    assert set(attributes) == {name for name in TYPES if not name.endswith("_match")}
