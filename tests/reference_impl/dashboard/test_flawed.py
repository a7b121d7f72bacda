"""Each flawed feed works while all is calm, and does otherwise than the reference where it should."""

import asyncio
import contextlib
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed

from reference_impl._dashboard.feed import Feed, Had
from reference_impl._dashboard.model import Batch, Options, Restored
from reference_impl.flawed import dashboard_ws as flawed

MS = 1_000_000
SECOND = 1_000 * MS
NOTHING = Restored(epoch="e", seq=0, reserved=1, resume_floor=0, critical_floor=0, critical=[], latest=[])


class Bench:
    """A feed with one client, and the time in ms."""

    def __init__(self, feed_type: type[Feed]) -> None:
        self.feed = feed_type(Options(), NOTHING)
        self.now = SECOND
        self.position = self.feed.join(Had()).position

    def publish(self, *keys: str, topic: str = "x.y") -> None:
        """Publish a value of each key; a critical one is stored at once."""
        for key in keys:
            event = self.feed.publish(topic, key, 1, 0, self.now)
            if self.feed.staged:
                self.feed.settle(event.seq, self.now)

    def pass_ms(self, ms: int) -> list[Batch]:
        """Let time pass in steps of 20 ms; return what the client got."""
        got = []
        for _ in range(ms // 20):
            self.now += 20 * MS
            self.feed.merge(self.now)
            while (batch := self.feed.take(self.position, self.now)) is not None:
                got.append(batch)
        return got

    def come_back(self) -> None:
        """Make the connection anew."""
        self.feed.leave(self.position)
        had = Had(epoch="e", last_seq=self.position.through, critical_seq=self.feed.log.last_seq)
        self.position = self.feed.join(had).position


def feed_of(variant: str) -> type[Feed]:
    """The feed of a variant."""
    return getattr(flawed, variant)(directory=".", name="x", token="a-token-of-nobody").feed_type


def seqs(batches: list[Batch]) -> list[int]:
    """The numbers in them."""
    return [event.seq for batch in batches for event in batch.events]


@pytest.mark.parametrize("variant", flawed.VARIANTS)
def test_a_flawed_variant_works_while_all_is_calm(simulate: Any, lab: Any, variant: str) -> None:
    """A defect that shows without any trouble would prove nothing."""

    async def program() -> Any:
        async with lab.serving(flawed.VARIANTS[variant]) as server, lab.client() as client:
            await lab.hear(client, "snapshot")
            await asyncio.sleep(1)
            got = []
            for number in range(3):
                await server.publish("x.y" if number % 2 else "ess.state", "k", number)
                got.append(await lab.hear(client, "batch"))
                await asyncio.sleep(1)
            await lab.say(client, type="ping", id=1)
            return got, await lab.hear(client, "pong")

    got, pong = simulate(program)
    assert [[event["value"] for event in batch["events"]] for batch in got] == [[0], [1], [2]]
    assert [(batch["after"], batch["through"], batch["conflated"]) for batch in got] == [
        (0, 1, 0),
        (1, 2, 0),
        (2, 3, 0),
    ]
    assert pong["seq"] == 3


def test_every_variant_is_a_name_of_its_module() -> None:
    """Scenarios name variants as `module:attribute`."""
    assert {name: getattr(flawed, name) for name in flawed.VARIANTS} == flawed.VARIANTS


def hot_key(feed: type[Feed]) -> Any:
    """How much waits for a client after fifty values of one key."""
    bench = Bench(feed)
    bench.publish(*"a" * 50)
    bench.feed._spread()
    return len(bench.position.pending)


def gap(feed: type[Feed]) -> Any:
    """What a client is told of four values of which it gets the last."""
    bench = Bench(feed)
    bench.publish(*"aaaa")
    return [(batch.through, batch.conflated, seqs([batch])) for batch in bench.pass_ms(200)]


def criticals(feed: type[Feed]) -> Any:
    """What a client gets of three critical events of one key."""
    bench = Bench(feed)
    bench.publish(*"aaa", topic="order.update")
    return seqs(bench.pass_ms(400))


def flood(feed: type[Feed]) -> Any:
    """The most in a second, and in a batch, of 200 critical events."""
    bench = Bench(feed)
    bench.publish(*map(str, range(200)), topic="order.update")
    batches = bench.pass_ms(980)
    return len(seqs(batches)), max(len(batch.events) for batch in batches)


def busy(feed: type[Feed]) -> Any:
    """The places of a critical event, and of the key that waits longest, behind sixty keys."""
    bench = Bench(feed)
    bench.publish(*map(str, range(60)))
    bench.feed._spread()
    bench.publish("c", topic="ess.state")
    got = seqs(bench.pass_ms(3_000))
    return got.index(61), got.index(1)


def back(feed: type[Feed]) -> Any:
    """What a client gets that comes back with the second of four critical events."""
    bench = Bench(feed)
    bench.publish(*"ab", topic="ess.state")
    bench.pass_ms(400)
    bench.come_back()
    bench.publish(*"cd", topic="ess.state")
    bench.feed.leave(bench.position)
    bench.position = bench.feed.join(Had(epoch="e", last_seq=2, critical_seq=2)).position
    return seqs(bench.pass_ms(400))


@pytest.mark.parametrize(
    ("variant", "look", "right", "wrong"),
    [
        ("unbounded_client_queue", hot_key, 1, 50),
        ("no_sequence", gap, [(4, 3, [4])], [(1, 0, [1])]),
        ("conflates_critical", criticals, [1, 2, 3], [3]),
        ("critical_out_of_order", criticals, [1, 2, 3], [3, 2, 1]),
        ("rate_per_batch_not_per_second", flood, (50, 10), (200, 10)),
        ("batch_of_any_size", flood, (50, 10), (50, 50)),
        ("critical_waits_behind_state", busy, (0, 1), (60, 0)),
        ("newest_first", busy, (0, 1), (0, 60)),
        ("resumes_from_the_wrong_side", back, [3, 4], [4]),
        ("repeats_one_at_resume", back, [3, 4], [2, 3, 4]),
    ],
)
def test_a_flawed_feed_decides_otherwise(variant: str, look: Any, right: Any, wrong: Any) -> None:
    """In the one thing that it is named after."""
    assert (look(Feed), look(feed_of(variant))) == (right, wrong)


async def stalled(lab: Any, server: Any) -> Any:
    """Whether a client hears something all the time while another one reads nothing."""
    loop = asyncio.get_running_loop()
    silence, heard_at = 0.0, 0.0
    async with lab.client() as idle, lab.client() as other:
        idle.transport.pause_reading()
        await lab.hear(other, "snapshot")
        heard_at = loop.time()
        for number in range(150):
            await server.publish("x.y", str(number % 10), {"padding": "x" * 12_000})
            with contextlib.suppress(TimeoutError, ConnectionClosed):
                async with asyncio.timeout(0.15):
                    await lab.hear(other, "batch")
                    heard_at = loop.time()
            silence = max(silence, loop.time() - heard_at)
        idle.transport.abort()
    return silence < 1


async def silent(lab: Any, server: Any) -> Any:
    """How many clients there are after twelve seconds in which one said nothing."""
    async with lab.client():
        await asyncio.sleep(12)
        return len(server.figures()["clients"])


async def unauthorised(lab: Any, server: Any) -> Any:
    """How many frames are sent to a client with a wrong token."""
    del server
    async with lab.client(token="not-the-token-at-all") as client:
        return len((await lab.end_of(client))[2])


async def quiet(lab: Any, server: Any) -> Any:
    """Whether a client hears something within five seconds in which nothing happens."""
    del server
    async with lab.client() as client:
        await lab.hear(client, "snapshot")
        try:
            async with asyncio.timeout(5):
                await lab.hear(client)
        except TimeoutError:
            return False
        return True


async def crowd(lab: Any, server: Any) -> Any:
    """How many of four clients have a place, where there are two."""
    async with contextlib.AsyncExitStack() as stack:
        for _ in range(4):
            client = await stack.enter_async_context(lab.dial())
            with contextlib.suppress(ConnectionClosed):
                await lab.say(client, type="hello", token=lab.token)
                await lab.hear(client)
        return len(server.figures()["clients"])


async def flooded(lab: Any, server: Any) -> Any:
    """Whether a client that pings is still there after another has sent 300 messages at once."""
    async with lab.client() as client, lab.client() as flooder:
        with contextlib.suppress(ConnectionClosed):
            for number in range(300):
                await lab.say(flooder, type="ping", id=number)
        await asyncio.sleep(0.2)
        with contextlib.suppress(ConnectionClosed):
            await lab.say(client, type="ping", id=1)
            await lab.hear(client, "pong")
        await asyncio.sleep(0.5)
        return len(server.figures()["clients"])


async def meanwhile(lab: Any, server: Any) -> Any:
    """Whether a critical event arrives that is published just after a client said hello."""
    async with lab.client() as client:
        await asyncio.sleep(0.05)
        await server.publish("ess.state", "", 1)
        await asyncio.sleep(0.5)
        await server.publish("ess.state", "", 2)
        return [event["value"] for event in (await lab.hear(client, "batch"))["events"]]


@pytest.mark.parametrize(
    ("variant", "look", "right", "wrong"),
    [
        ("blocking_broadcast", stalled, True, False),
        ("never_drops_half_open", silent, 0, 1),
        ("unauthenticated_feed", unauthorised, 0, 2),
        ("no_heartbeat", quiet, True, False),
        ("no_cap", crowd, 2, 4),
        ("flooder_starves_others", flooded, 1, 0),
        ("snapshot_not_atomic", meanwhile, [1], [2]),
    ],
)
def test_a_flawed_server_does_otherwise(
    simulate: Any, lab: Any, variant: str, look: Any, right: Any, wrong: Any
) -> None:
    """In the one thing that it is named after."""

    async def program() -> Any:
        seen = []
        for factory in (flawed.make_reference, flawed.VARIANTS[variant]):
            lab.directory = lab.directory / "next"
            async with lab.serving(factory, max_clients=2, hello_max=2) as server:
                seen.append(await look(lab, server))
        return tuple(seen)

    assert simulate(program) == (right, wrong)


@pytest.mark.parametrize(
    ("variant", "survives", "goes_on"),
    [
        ("forgets_on_restart", False, False),
        ("reuses_numbers_after_a_crash", True, False),
    ],
)
def test_what_a_restart_takes_away(simulate: Any, lab: Any, variant: str, survives: bool, goes_on: bool) -> None:
    """The critical events; or the numbers that were given to what a crash lost."""

    async def lives(factory: Any) -> Any:
        lab.directory = lab.directory / "next"
        first = factory(directory=lab.directory, name="feed", token=lab.token, store_interval=60.0)
        await first.start()
        await first.publish("ess.state", "", 1)
        last = await first.publish("x.y", "k", 2)
        second = factory(directory=lab.directory, name="feed", token=lab.token)  # as after a crash
        await second.start()
        kept = second._feed.log.last_seq == 1
        number = await second.publish("x.y", "k", 3)
        await second.close()
        await first.close()
        return kept, number > last

    async def program() -> Any:
        return await lives(flawed.make_reference), await lives(flawed.VARIANTS[variant])

    assert simulate(program) == ((True, True), (survives, goes_on))
