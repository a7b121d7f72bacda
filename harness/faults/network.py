"""What can happen to the link between a host and a dependency, in every way TCP breaks; the same in both worlds.

| fault `network.` | what happens | proof that it bit |
|---|---|---|
| partition | both ways, or one: bytes stop, connecting gets no answer, nobody is told | bytes held, connects lost |
| refuse | connections end, new ones are refused | connections refused |
| latency | every chunk of bytes is late, order kept | bytes delayed |
| bandwidth | so many kB a second on each connection | bytes slowed |
| slice | chunks arrive in pieces with pauses between | bytes cut up |
| reset | now and again, every connection there is is reset | connections reset |
| reset_mid_reply | a reply begins to arrive, then a reset; the command was executed | connections reset |
| drop_reply | a reply is lost, the connection stays; the command was executed | replies dropped |
| delay_reply | the replies to some commands come late, and whatever follows them | requests matched |
| drop_http_reply | an HTTP answer is lost likewise, or the request (`drop-request`) | answers, requests dropped |
| reset_http | a reset instead of an HTTP request or its answer, or in its midst | connections reset |
| half_open | bytes vanish, the connection looks alive | bytes dropped |

The proof is what the link itself counted (`toxic` and `link` observations), never what the target says.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Final, Protocol

from harness.faults.base import Evidence, Stage
from harness.history.history import History
from harness.history.query import FaultWindow, link_counts, toxic_counts
from harness.tape import Stream
from harness.toxics.base import Direction, Toxic
from harness.toxics.catalog import parse
from harness.toxics.exchange.match import Action
from harness.units import ms
from harness.world.base import Link, World

_WAYS: Final[dict[str, Direction | None]] = {"both-ways": None, "upstream": "upstream", "downstream": "downstream"}


class Impairment(Protocol):
    """One way of impairing a link. `types` are those of the `toxic` observations it leaves behind."""

    @property
    def types(self) -> frozenset[str]:
        """The types of toxics that it adds."""

    @property
    def proof(self) -> frozenset[str]:
        """Which counts prove that it bit, any of them."""

    def hold(self, link: Link, name: str, world: World, stream: Stream) -> AbstractAsyncContextManager[None]:
        """Impair on entering, heal on leaving."""


@dataclass(frozen=True, slots=True)
class LinkFault:
    """A fault of the link from `host` to `dependency`, in one of the ways that `how` names."""

    name: str
    host: str
    dependency: str
    how: Mapping[str, Impairment]

    @property
    def on(self) -> str:
        """The link, as reports show it."""
        return f"{self.host}->{self.dependency}"

    @property
    def modes(self) -> Sequence[str]:
        """The ways it can happen."""
        return tuple(self.how)

    @asynccontextmanager
    async def hold(self, stage: Stage, mode: str, stream: Stream) -> AsyncIterator[None]:
        """Impair the link; leaving returns when it is whole again."""
        stage.host(self.host)
        world = stage.world
        label = f"{self.name}.{mode}.{world.now_ns()}"
        async with self.how[mode].hold(world.link(self.host, self.dependency), label, world, stream):
            yield

    def evidence(self, history: History, window: FaultWindow) -> Evidence:
        """Sum up what the link counted while the fault held."""
        how = self.how[window.mode]
        counts = toxic_counts(history, window, self.host, self.dependency, how.types)
        for outcome, count in link_counts(history, window, self.dependency, of=self.host).items():
            if outcome in {"refused", "unreachable"}:
                counts[outcome] = counts.get(outcome, 0) + count
        return Evidence(bit=any(counts.get(key) for key in how.proof), counts=counts)


@dataclass(frozen=True, slots=True)
class Toxics:
    """Toxics on the bytes, each in its direction."""

    toxics: tuple[tuple[Direction, Toxic], ...]
    proof: frozenset[str]
    toxicity: float = 1.0
    per_message: bool = False

    @property
    def types(self) -> frozenset[str]:
        """The types of these toxics."""
        return frozenset(toxic.type for _, toxic in self.toxics)

    @asynccontextmanager
    async def hold(self, link: Link, name: str, world: World, stream: Stream) -> AsyncIterator[None]:
        """Add them all, and remove them in the reverse order."""
        del world, stream
        async with AsyncExitStack() as stack:
            for number, (direction, toxic) in enumerate(self.toxics):
                label = f"{name}.{number}"
                await link.add(label, toxic, stream=direction, toxicity=self.toxicity, per_message=self.per_message)
                stack.push_async_callback(link.remove, label)
            yield


@dataclass(frozen=True, slots=True)
class Cut:
    """A partition: one way, or (None) both."""

    stream: Direction | None
    types: frozenset[str] = frozenset({"partition"})
    proof: frozenset[str] = frozenset({"held", "lost", "unreachable"})

    @asynccontextmanager
    async def hold(self, link: Link, name: str, world: World, stream: Stream) -> AsyncIterator[None]:
        """Cut and heal."""
        del name, world, stream
        await link.cut(self.stream)
        try:
            yield
        finally:
            await link.heal()


@dataclass(frozen=True, slots=True)
class Refuse:
    """Nobody listens at the other end of this link."""

    types: frozenset[str] = frozenset()
    proof: frozenset[str] = frozenset({"refused"})

    @asynccontextmanager
    async def hold(self, link: Link, name: str, world: World, stream: Stream) -> AsyncIterator[None]:
        """Refuse and accept again."""
        del name, world, stream
        await link.refuse()
        try:
            yield
        finally:
            await link.accept()


@dataclass(frozen=True, slots=True)
class Resets:
    """Reset whatever connections there are: at once, and again after a drawn pause, for as long as it holds."""

    pause_ns: tuple[int, int]
    types: frozenset[str] = frozenset({"reset"})
    proof: frozenset[str] = frozenset({"reset"})

    @asynccontextmanager
    async def hold(self, link: Link, name: str, world: World, stream: Stream) -> AsyncIterator[None]:
        """Reset until left."""
        low_ns, high_ns = self.pause_ns

        async def reset() -> None:
            while True:
                await world.sleep_until(world.now_ns() + stream.between(low_ns, high_ns))
                await link.reset()

        await link.reset()
        task = asyncio.create_task(reset(), name=name)
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            if not task.cancelled():
                task.result()


def partition(host: str, dependency: str, *ways: str) -> LinkFault:
    """Return a partition: `both-ways`, `upstream` (what the host sends is lost) or `downstream`; all, rotating."""
    if unknown := set(ways) - set(_WAYS):
        raise ValueError(f"unknown ways to partition {sorted(unknown)}; known: {', '.join(_WAYS)}")
    how: dict[str, Impairment] = {way: Cut(_WAYS[way]) for way in ways or _WAYS}
    return LinkFault("network.partition", host, dependency, how)


def refuse(host: str, dependency: str) -> LinkFault:
    """Connections of this host to the dependency are ended and refused."""
    return LinkFault("network.refuse", host, dependency, {"refuse": Refuse()})


def latency(host: str, dependency: str, *, latency_ms: int, jitter_ms: int = 0) -> LinkFault:
    """Every chunk from the dependency is late by `latency_ms`, plus or minus up to `jitter_ms`."""
    toxic = parse("latency", {"latency": latency_ms, "jitter": jitter_ms})
    return LinkFault("network.latency", host, dependency, {"latency": _toxics(toxic, ("downstream",), "bytes")})


def bandwidth(host: str, dependency: str, *, rate_kb_s: int) -> LinkFault:
    """Each connection carries `rate_kb_s` thousand bytes a second, each way."""
    toxic = parse("bandwidth", {"rate": rate_kb_s})
    return LinkFault("network.bandwidth", host, dependency, {"bandwidth": _toxics(toxic, _BOTH, "bytes")})


def slices(host: str, dependency: str, *, average_bytes: int, variation_bytes: int, delay_us: int) -> LinkFault:
    """Chunks of both directions arrive in pieces, `delay_us` microseconds apart."""
    attributes = {"average_size": average_bytes, "size_variation": variation_bytes, "delay": delay_us}
    how = _toxics(parse("slicer", attributes), _BOTH, "bytes")
    return LinkFault("network.slice", host, dependency, {"slice": how})


def reset(host: str, dependency: str, *, pause_ns: tuple[int, int] = (ms(300), ms(2_000))) -> LinkFault:
    """Every connection is reset at once, and again after each pause drawn from that range."""
    return LinkFault("network.reset", host, dependency, {"now": Resets(pause_ns)})


def half_open(host: str, dependency: str) -> LinkFault:
    """Bytes vanish in both directions and nobody is told; connections made before stay broken afterwards."""
    how = _toxics(parse("half_open", {}), _BOTH, "dropped")
    return LinkFault("network.half_open", host, dependency, {"half-open": how})


def drop_reply(host: str, dependency: str, *, commands: Sequence[str] = (), share: float = 0.2) -> LinkFault:
    """A share of the replies to these Redis commands (none named: all) never arrives; the commands were executed."""
    toxic = parse("redis_match", {"commands": list(commands), "action": "drop_reply"})
    how = Toxics((("downstream", toxic),), frozenset({"dropped_replies"}), toxicity=share, per_message=True)
    return LinkFault("network.drop_reply", host, dependency, {"drop-reply": how})


def delay_reply(host: str, dependency: str, *, commands: Sequence[str] = (), delay_ms: int) -> LinkFault:
    """Every reply to these Redis commands (none named: all) comes `delay_ms` later; `matched` counts the requests."""
    toxic = parse("redis_match", {"commands": list(commands), "action": "delay_reply", "delay": delay_ms})
    return LinkFault(
        "network.delay_reply", host, dependency, {"delay-reply": _toxics(toxic, ("downstream",), "matched")}
    )


def reset_mid_reply(host: str, dependency: str, *, commands: Sequence[str] = (), share: float = 0.2) -> LinkFault:
    """A share of the replies to these Redis commands begins to arrive, and the connection is reset."""
    toxic = parse("redis_match", {"commands": list(commands), "action": "reset_mid_reply"})
    how = Toxics((("downstream", toxic),), frozenset({"reset"}), toxicity=share, per_message=True)
    return LinkFault("network.reset_mid_reply", host, dependency, {"reset-mid-reply": how})


def drop_http_reply(
    host: str, dependency: str, *modes: str, methods: Sequence[str] = (), path: str = "", share: float = 0.2
) -> LinkFault:
    """A share of these HTTP exchanges is lost on the way, and the connection stays silent.

    `drop-reply` loses the answer: the request was executed. `drop-request` loses the request. The exchanges are those
    with one of the methods (none: any) and a path that fits the glob (empty: any; the query does not count).
    """
    how = {
        "drop-reply": _http("drop_reply", "dropped_replies", methods, path, share),
        "drop-request": _http("drop_request", "dropped_requests", methods, path, share),
    }
    return LinkFault("network.drop_http_reply", host, dependency, _chosen(how, modes))


def reset_http(
    host: str, dependency: str, *modes: str, methods: Sequence[str] = (), path: str = "", share: float = 0.2
) -> LinkFault:
    """In a share of these HTTP exchanges, chosen as `drop_http_reply` does, the connection is reset.

    `before`: instead of the request, which is not executed; `after`: instead of the answer; `mid-reply`: in its midst.
    """
    how = {
        "before": _http("reset_before", "reset", methods, path, share),
        "after": _http("reset_after", "reset", methods, path, share),
        "mid-reply": _http("reset_mid_reply", "reset", methods, path, share),
    }
    return LinkFault("network.reset_http", host, dependency, _chosen(how, modes))


_BOTH: Final[tuple[Direction, ...]] = ("upstream", "downstream")


def _toxics(toxic: Toxic, directions: tuple[Direction, ...], *proof: str) -> Toxics:
    return Toxics(tuple((direction, toxic) for direction in directions), frozenset(proof))


def _http(action: Action, proof: str, methods: Sequence[str], path: str, share: float) -> Impairment:
    toxic = parse("http_match", {"action": action, "methods": list(methods), "path": path})
    return Toxics((("downstream", toxic),), frozenset({proof}), toxicity=share, per_message=True)


def _chosen(how: Mapping[str, Impairment], modes: Sequence[str]) -> Mapping[str, Impairment]:
    if unknown := set(modes) - set(how):
        raise ValueError(f"unknown modes {sorted(unknown)}; known: {', '.join(how)}")
    return {mode: how[mode] for mode in modes or how}
