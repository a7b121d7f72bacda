"""What a Redis server keeps when its process dies: the keyspace and the log of effects, with their times.

`keyspace` is the memory of the running process. Every write is also appended to a log as `(time, database,
arguments)`, resolved so that running it again gives the same result, ids included. `recover(lose_ns=...)` is a restart
after a crash: it builds a new keyspace from the log, all of it (appendfsync always), without the last window (everysec
and a power failure), or from nothing (no persistence). The log stays bounded: when it has grown, a snapshot becomes its
new base; the generation before is kept until the snapshot is older than any window that may be lost.

Not in the log, as on a real server: when a consumer was last seen, and how often it re-read what it holds already.
"""

import hashlib
import pickle
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any, Final

from harness.dependencies.redis.keyspace import Keyspace
from harness.dependencies.redis.streams import Stream
from harness.units import SECOND

WINDOW_MAX_NS: Final = 2 * SECOND
"""The longest tail that `recover` may be asked to lose."""

_COMPACT_AFTER: Final = 50_000


@dataclass(slots=True)
class Generation:
    """A snapshot, and the effects since."""

    base: bytes | None = None
    time_ns: int = 0
    effects: list[tuple[int, int, list[bytes]]] = field(default_factory=list)


class RedisState:
    """The state of one server over all its incarnations.

    `now_ns` is the wall clock (nanoseconds since the epoch). `identity` makes run ids differ between servers.
    """

    def __init__(self, *, now_ns: Callable[[], int], identity: str = "redis", password: str = "") -> None:
        self.now_ns = now_ns
        self.identity = identity
        self.password = password
        self.incarnation = 1
        self.keyspace = Keyspace()
        self.config: dict[bytes, bytes] = {}
        self._generations = [Generation()]
        self._replaying = False
        self._compact_after = self._compact_at = _COMPACT_AFTER

    @property
    def run_id(self) -> str:
        """40 hex digits, new for each incarnation."""
        return hashlib.sha1(f"{self.identity}/{self.incarnation}".encode(), usedforsecurity=False).hexdigest()

    @property
    def logged(self) -> int:
        """How many effects the log holds now."""
        return sum(len(generation.effects) for generation in self._generations)

    def record(self, time_ns: int, database: int, argv: list[bytes]) -> None:
        """Append one effect, unless it comes from the log."""
        if self._replaying:
            return
        effects = self._generations[-1].effects
        effects.append((time_ns, database, argv))
        if len(effects) >= self._compact_at:
            self._compact(time_ns)

    def _compact(self, time_ns: int) -> None:
        generations = self._generations
        if len(generations) > 1 and generations[-1].time_ns > time_ns - WINDOW_MAX_NS:
            return  # the older generation may still be needed, so the log grows on
        base = pickle.dumps(list(self.keyspace.items()), protocol=pickle.HIGHEST_PROTOCOL)
        self._generations = [generations[-1], Generation(base, time_ns)]
        size = sum(len(value) if hasattr(value, "__len__") else 1 for _, _, value, _ in self.keyspace.items())
        self._compact_at = max(self._compact_after, size)

    def recover(self, *, lose_ns: int | None, died_ns: int | None = None) -> None:
        """Begin the next incarnation: with everything (0), without the last `lose_ns`, or with nothing (None).

        What is lost counts back from `died_ns`, by default from now. The engine of the incarnation before must not be
        used any more.
        """
        assert lose_ns is None or 0 <= lose_ns <= WINDOW_MAX_NS, "the log does not reach back that far"
        now_ns = self.now_ns()
        self.incarnation += 1
        self.keyspace = Keyspace()
        if lose_ns is None:
            self._generations = [Generation(None, now_ns)]
            return
        until_ns = (now_ns if died_ns is None else died_ns) - lose_ns
        usable = [one for one in self._generations if lose_ns == 0 or one.time_ns <= until_ns] or [Generation()]
        last = usable[-1]
        kept = last.effects if lose_ns == 0 else [effect for effect in last.effects if effect[0] <= until_ns]
        self._load(last.base)
        self._replay(kept)
        self._generations = [Generation(last.base, last.time_ns, list(kept))]

    def _load(self, base: bytes | None) -> None:
        if base is not None:
            for number, key, value, expireat in pickle.loads(base):  # noqa: S301 - our own bytes, never left memory
                self.keyspace.put(number, key, value, expireat)

    def _replay(self, effects: list[tuple[int, int, list[bytes]]]) -> None:
        from harness.dependencies.redis.engine import Engine  # noqa: PLC0415 - the engine imports the state's parts

        engine = Engine(self)
        self._replaying = True
        for time_ns, database, argv in effects:
            engine.replay(time_ns, database, argv)
        self._replaying = False

    def dump(self) -> dict[tuple[int, bytes], tuple[Any, float | None]]:
        """Return all that is alive as plain comparable values: what a client could find out, but for idle times."""
        self.keyspace.now_ms = self.now_ns() // 1_000_000
        return {(number, key): (_plain(value), expireat) for number, key, value, expireat in self.keyspace.items()}


def _plain(value: Any) -> Any:
    """Return a value as plain data: fakeredis' models keep their content in dicts, and caches in everything else."""
    if isinstance(value, Stream):
        return value.describe()
    if isinstance(value, (bytes, list)):
        return deepcopy(value)
    content = {name: dict(held) for name, held in vars(value).items() if isinstance(held, dict)}
    assert content, f"unknown model {type(value).__name__}"
    return content
