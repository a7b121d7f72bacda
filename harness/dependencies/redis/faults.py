"""What can happen to a Redis server: it goes away, in each of the ways servers do, or it answers nothing but errors.

`redis.outage`:

| mode | what happens | proof that it bit |
|---|---|---|
| refuse | the port is closed, connections are reset, data and run id stay | connections refused |
| hang | SIGSTOP: it accepts, it never answers | bytes it was sent and never read |
| crash | SIGKILL, started again with all it had persisted | the process died, and connections were refused |
| crash-lose-window | the same, and the last second of writes is gone (`appendfsync everysec`, power lost) | the same |
| crash-lose-all | the same, and nothing was persisted | the same |
| flapping | the port opens and closes every few hundred milliseconds | connections refused, and accepted in between |

`redis.replies`, proved by the server's own count of the errors it gave:

| mode | what happens | what is refused |
|---|---|---|
| loading | it was killed, and after its start takes as long to read its data | nearly everything |
| readonly | it has become a replica; clients that were blocked are sent away | what writes, also XREADGROUP and XACK |
| oom | it has no memory left | what may take memory; reading and acknowledging go on |
| noauth | it wants a password that nobody has; everybody was disconnected | nearly everything |
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final, Literal

from harness.dependencies.redis.control import RedisControl, Refusal
from harness.faults.base import Evidence, Stage
from harness.history.events import HostChanged, Observation
from harness.history.history import History
from harness.history.query import FaultWindow, link_counts, observations
from harness.tape import Stream
from harness.units import ms
from harness.world.base import World

MODES: Final = ("refuse", "hang", "crash", "crash-lose-all", "flapping", "crash-lose-window")
_KEEP: Final[dict[str, Literal["all", "window", "nothing"]]] = {
    "crash": "all",
    "crash-lose-window": "window",
    "crash-lose-all": "nothing",
}
REFUSALS: Final[dict[str, Refusal]] = {
    "loading": "LOADING",
    "readonly": "READONLY",
    "oom": "OOM",
    "noauth": "NOAUTH",
}


@dataclass(frozen=True, slots=True)
class RedisOutage:
    """Redis is gone. Which way of being gone is the mode."""

    on: str
    modes: Sequence[str]
    name: str

    @asynccontextmanager
    async def hold(self, stage: Stage, mode: str, stream: Stream) -> AsyncIterator[None]:
        """Take the server away; leaving returns once it answers again."""
        server: RedisControl = stage.world.dependency(self.on)
        if mode == "flapping":
            async with _flapping(stage.world, server, stream):
                yield
            return
        if mode == "refuse":
            await server.refuse()
        elif mode == "hang":
            await server.freeze()
        else:
            await server.crash()
        try:
            yield
        finally:
            if mode == "refuse":
                await server.accept()
            elif mode == "hang":
                await server.thaw()
            else:
                await server.restart(keep=_KEEP[mode])

    def evidence(self, history: History, window: FaultWindow) -> Evidence:
        """Count what clients met at the server's door while it was gone."""
        links = link_counts(history, window, self.on)
        unanswered = _observed(history, window, self.on, "unanswered")
        died = sum(
            isinstance(event, HostChanged) and event.actor == self.on and event.change == "killed"
            for event in history.between(window.start_ns, window.end_ns)
        )
        counts = {
            "refused": links.get("refused", 0),
            "reset": links.get("reset", 0),
            "connected": links.get("connected", 0),
            "unanswered_connections": sum(seen.value["connections"] for seen in unanswered),
            "unanswered_bytes": sum(seen.value["bytes"] for seen in unanswered),
            "died": died,
        }
        return Evidence(bit=_bit(window.mode, counts), counts={name: n for name, n in counts.items() if n})


def _bit(mode: str, counts: dict[str, int]) -> bool:
    match mode:
        case "refuse":
            return counts["refused"] > 0
        case "hang":
            return counts["unanswered_bytes"] > 0
        case "flapping":
            return counts["refused"] > 0 and counts["connected"] > 0
        case _:
            return counts["died"] > 0 and counts["refused"] + counts["reset"] > 0


@asynccontextmanager
async def _flapping(world: World, server: RedisControl, stream: Stream) -> AsyncIterator[None]:
    """Close and open the port over and over, for drawn lengths, until left; the port is open afterwards."""

    async def flap() -> None:
        while True:
            await server.refuse()
            await world.sleep_until(world.now_ns() + ms(stream.between(100, 1_500)))
            await server.accept()
            await world.sleep_until(world.now_ns() + ms(stream.between(20, 600)))

    task = asyncio.create_task(flap(), name=f"flapping {server.name}")
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await server.accept()
        if not task.cancelled():
            task.result()


@dataclass(frozen=True, slots=True)
class RedisReplies:
    """Redis is there, and answers errors. Which errors is the mode."""

    on: str
    modes: Sequence[str]
    name: str

    @asynccontextmanager
    async def hold(self, stage: Stage, mode: str, stream: Stream) -> AsyncIterator[None]:
        """Have the server refuse commands; leaving returns once it serves them again."""
        del stream
        server: RedisControl = stage.world.dependency(self.on)
        await server.refuse_commands(REFUSALS[mode])
        try:
            yield
        finally:
            await server.serve_commands()

    def evidence(self, history: History, window: FaultWindow) -> Evidence:
        """Count the errors that the server says it gave."""
        refusal = REFUSALS[window.mode]
        seen = _observed(history, window, self.on, "refused_commands")
        count = sum(one.value["count"] for one in seen if one.value["refusal"] == refusal)
        return Evidence(bit=count > 0, counts={"refused_commands": count} if count else {})


def _observed(history: History, window: FaultWindow, actor: str, name: str) -> list[Observation]:
    """Return what was observed of that actor within a fault; an instant that healing takes belongs to it."""
    return [
        seen
        for seen in observations(history, name)
        if seen.actor == actor and window.start_ns <= seen.time_ns <= (window.end_ns or seen.time_ns)
    ]


def outage(*modes: str, on: str = "redis") -> RedisOutage:
    """Return the outage of a Redis server in one of these modes (all of them by default), rotating with the seed."""
    return RedisOutage(on=on, modes=_chosen(modes, MODES), name="redis.outage")


def replies(*modes: str, on: str = "redis") -> RedisReplies:
    """Return a Redis server's error replies of these modes (all of them by default), rotating with the seed."""
    return RedisReplies(on=on, modes=_chosen(modes, tuple(REFUSALS)), name="redis.replies")


def _chosen(modes: Sequence[str], known: Sequence[str]) -> Sequence[str]:
    if unknown := set(modes) - set(known):
        raise ValueError(f"unknown modes {sorted(unknown)}; known: {', '.join(known)}")
    return modes or known
