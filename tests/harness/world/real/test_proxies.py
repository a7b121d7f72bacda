"""Which proxy leads where, and when it is closed: bookkeeping over a server that only notes what it is told."""

import asyncio
from collections.abc import Mapping
from urllib.parse import urlsplit

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from harness.errors import WorldError
from harness.toxics.base import Direction, Toxic
from harness.toxics.exchange.match import Follow
from harness.toxics.latency import Latency
from harness.world.real.proxies import Proxies, address_of, through


class Notes:
    """A `ProxyServer` that remembers: which proxies there are, whether they listen, what toxics they have."""

    def __init__(self) -> None:
        self.upstream: dict[str, str] = {}
        self.follow: dict[str, Follow | None] = {}
        self.listening: dict[str, bool] = {}
        self.toxics: dict[str, dict[str, str]] = {}
        self.closed = False

    async def create(self, proxy: str, upstream: str, follow: Follow | None, *, listen: str) -> int:
        assert proxy not in self.upstream
        self.upstream[proxy], self.follow[proxy] = upstream, follow
        self.listening[proxy], self.toxics[proxy] = True, {}
        await asyncio.sleep(0)
        return 20_000 + len(self.upstream)

    async def enable(self, proxy: str) -> None:
        self.listening[proxy] = True

    async def disable(self, proxy: str, *, reset: bool = False) -> None:
        del reset
        self.listening[proxy] = False

    async def add(
        self, proxy: str, name: str, toxic: Toxic, *, stream: Direction, toxicity: float, per_message: bool
    ) -> None:
        del toxicity, per_message
        assert name not in self.toxics[proxy]
        self.toxics[proxy][name] = f"{toxic.type} {stream}"

    async def remove(self, proxy: str, name: str) -> Mapping[str, int]:
        del self.toxics[proxy][name]
        return {"connections": 2, "bytes": 70}

    async def reset(self, proxy: str) -> Mapping[str, int]:
        del proxy
        return {"reset": 3}

    async def cut(self, proxy: str, name: str, stream: Direction) -> None:
        self.toxics[proxy][name] = f"cut {stream}"

    async def close(self) -> None:
        self.closed = True


def proxies_of(notes: Notes, seen: list[tuple[str, dict[str, object]]] | None = None) -> Proxies:
    """Return proxies of that server; observations go to `seen`."""

    async def start() -> Notes:
        return notes

    observed = [] if seen is None else seen
    proxies = Proxies(start, lambda host, value: observed.append((host, value)))
    proxies.begin()
    return proxies


@given(
    scheme=st.sampled_from(["redis", "rediss", "http", "ws", "wss", "amqp"]),
    credentials=st.sampled_from(["", ":p%40ss@", "u:p@"]),
    host=st.sampled_from(["127.0.0.1", "db.example", "[::1]"]),
    port=st.integers(1, 65_535),
    rest=st.sampled_from(["", "/0", "/a/b?c=d#e"]),
    proxy=st.integers(1, 65_535),
)
def test_only_host_and_port_of_a_url_are_replaced(
    scheme: str, credentials: str, host: str, port: int, rest: str, proxy: int
) -> None:
    """Scheme, credentials, path, query and fragment reach the host as they were."""
    url = f"{scheme}://{credentials}{host}:{port}{rest}"
    assert address_of(url) == f"{host}:{port}"
    assert through(url, proxy) == f"{scheme}://{credentials}127.0.0.1:{proxy}{rest}"
    assert urlsplit(through(url, proxy)).port == proxy


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("redis://db", "db:6379"),
        ("http://api.example/v1", "api.example:80"),
        ("wss://stream.example", "stream.example:443"),
        ("amqp://broker", None),
        ("unix:///run/redis.sock", None),
        ("sqlite:///file.db", None),
    ],
)
def test_what_has_no_port_has_its_schemes_or_no_proxy(url: str, address: str | None) -> None:
    """A URL that does not lead over TCP, or to no port that is known, is not changed."""
    assert address_of(url) == address


async def test_each_host_has_its_own_way_and_keeps_it() -> None:
    """One proxy for each host and dependency, made once, also by two starts at once; what is not TCP stays direct."""
    notes = Notes()
    proxies = proxies_of(notes)
    proxies.register("redis", "redis://:pw@127.0.0.1:6379/0", "redis")
    proxies.register("file", "sqlite:///x", None)
    first, again = await asyncio.gather(proxies.endpoints("a"), proxies.endpoints("a"))
    other = await proxies.endpoints("b")
    assert first == again == await proxies.endpoints("a")
    assert first == {"redis": "redis://:pw@127.0.0.1:20001/0", "file": "sqlite:///x"}
    assert other["redis"] != first["redis"]
    assert notes.upstream == {"a.redis": "127.0.0.1:6379", "b.redis": "127.0.0.1:6379"}
    assert notes.follow == {"a.redis": "redis", "b.redis": "redis"}
    with pytest.raises(WorldError, match="no proxy leads from 'a' to 'file' at sqlite"):
        proxies.link("a", "file")
    with pytest.raises(WorldError, match="no proxy leads from 'c' to 'redis'"):
        proxies.link("c", "redis")
    await proxies.close()
    assert notes.closed


async def test_a_stall_reaches_hosts_that_come_later_and_is_summed_up() -> None:
    """Every proxy of the dependency holds what is sent, also one that is made meanwhile; the end counts all."""
    notes = Notes()
    proxies = proxies_of(notes)
    proxies.register("redis", "redis://127.0.0.1:6379", None)
    await proxies.endpoints("a")
    await proxies.doors("redis").stall()
    await proxies.endpoints("b")
    assert notes.toxics == {
        "a.redis": {"dependency_stalls": "bandwidth upstream"},
        "b.redis": {"dependency_stalls": "bandwidth upstream"},
    }
    assert await proxies.doors("redis").flow() == (4, 140)
    assert notes.toxics == {"a.redis": {}, "b.redis": {}}
    await proxies.close()


async def test_a_server_that_cannot_start_is_told_to_whom_needs_it() -> None:
    """The error comes out where the first host is started, and closing does not raise it again."""

    async def start() -> Notes:
        raise WorldError("the proxy did not start")

    proxies = Proxies(start, lambda _host, _value: None)
    proxies.begin()
    proxies.register("redis", "redis://127.0.0.1:6379", None)
    with pytest.raises(WorldError, match="the proxy did not start"):
        await proxies.endpoints("a")
    await proxies.close()


async def test_a_link_tells_what_its_toxics_did() -> None:
    """One `toxic` observation for each thing that ended, in the host's name; a name is free again afterwards."""
    notes, seen = Notes(), []
    proxies = proxies_of(notes, seen)
    proxies.register("redis", "redis://127.0.0.1:6379", None)
    await proxies.endpoints("a")
    link = proxies.link("a", "redis")
    await link.add("slow", Latency(latency=5), stream="downstream")
    with pytest.raises(WorldError, match=r"there is a toxic 'slow' on a\.redis already"):
        await link.add("slow", Latency(latency=5), stream="upstream")
    await link.remove("slow")
    with pytest.raises(WorldError, match=r"there is no toxic 'slow' on a\.redis"):
        await link.remove("slow")
    await link.cut("upstream")
    await link.cut(None)
    assert notes.toxics["a.redis"] == {"partition_upstream": "cut upstream", "partition_downstream": "cut downstream"}
    await link.heal()
    await link.heal()
    await link.reset()
    common = {"to": "redis", "connections": 2, "bytes": 70}
    assert seen == [
        ("a", {**common, "toxic": "slow", "type": "latency", "stream": "downstream"}),
        ("a", {**common, "toxic": "partition_upstream", "type": "partition", "stream": "upstream"}),
        ("a", {**common, "toxic": "partition_downstream", "type": "partition", "stream": "downstream"}),
        ("a", {"to": "redis", "toxic": "reset", "type": "reset", "stream": "both", "reset": 3}),
    ]
    await proxies.close()


class Doors(RuleBasedStateMachine):
    """A proxy listens exactly if neither its link refuses nor its dependency has shut its doors, in any order."""

    @initialize()
    def begin(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.notes = Notes()
        self.proxies = self.run(self.made())
        self.shut: set[str] = set()
        self.refused: set[str] = set()

    async def made(self) -> Proxies:
        proxies = proxies_of(self.notes)
        for name in ("redis", "binance"):
            proxies.register(name, f"redis://{name}:1", None)
        return proxies

    def run(self, work):
        return self.loop.run_until_complete(work)

    @rule(host=st.sampled_from("abc"))
    def start(self, host: str) -> None:
        self.run(self.proxies.endpoints(host))

    @rule(name=st.sampled_from(["redis", "binance"]), shut=st.booleans())
    def move_door(self, name: str, shut: bool) -> None:
        doors = self.proxies.doors(name)
        self.run(doors.shut() if shut else doors.open())
        (self.shut.add if shut else self.shut.discard)(name)

    @rule(host=st.sampled_from("abc"), name=st.sampled_from(["redis", "binance"]), refuse=st.booleans())
    def move_link(self, host: str, name: str, refuse: bool) -> None:
        proxy = f"{host}.{name}"
        if proxy in self.notes.upstream:
            link = self.proxies.link(host, name)
            self.run(link.refuse() if refuse else link.accept())
            (self.refused.add if refuse else self.refused.discard)(proxy)

    @invariant()
    def listens_unless_somebody_objects(self) -> None:
        for proxy, listening in self.notes.listening.items():
            assert listening == (proxy not in self.refused and proxy.partition(".")[2] not in self.shut)

    def teardown(self) -> None:
        if hasattr(self, "loop"):
            self.run(self.proxies.close())
            self.loop.close()


TestDoors = Doors.TestCase
TestDoors.settings = settings(deadline=None, max_examples=60, stateful_step_count=25)
