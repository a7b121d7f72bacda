"""Patch 8: a policy store whose readers always know how old their policy is, and whose writers lose nothing.

```python
store = PolicyStore("redis://localhost:6379", "policy.json")
await store.start()
view = store.get()                # never waits: view.policy, view.version, view.age, view.stale
await store.update({"profile": "AGGRESSIVE"}, adds={"cap:BTCUSDT": -5_000})
store.on_update(lambda view: ...)  # `policy.updated`
await store.close()
```

Redis holds the newest policy, a JSON snapshot on disk what this store last knew. `get` returns what is known and how
it stands: confirmed within `max_age` (10 minutes), `stale`, or, when it has not been confirmed for `hard_limit`,
`defensive`. Nobody needs to ask for a refresh: the store polls, and a notification only makes it sooner.

What it promises:

- *Versions never go backwards* for a reader, over restarts too while its disk holds, and no version has two meanings.
  A Redis that comes back empty, or without its last second, is repaired from whichever store knows more; what was
  written to it meanwhile is merged, not overwritten (`_policy.merge`).
- *No acked update is lost*: `update` returns when Redis has confirmed it (compare-and-set; a writer that was faster is
  merged field by field) and the snapshot is durable. A lost reply is resolved by the update's id: an update is made
  once, relative changes too. Without Redis it raises a typed error within `update_timeout` and a bit.
- *Reads never wait* and never fail. Without any source they give DEFENSIVE.
- *What is no policy is refused*: garbage, unknown profiles, absurd figures, in Redis or in the snapshot. It is counted
  and replaced by what is known; a document of a later software is left alone.
- *One refresh at a time*, whoever asks; pauses are jittered.
- *Wall clocks decide nothing*: age goes by the clock of the boot.

How: `_policy.document` and `merge` say what documents are and become, `freshness` what readers are told; `exchange`
talks with Redis, `keeper` writes the snapshot, `subscription` listens.
"""

import asyncio
import contextlib
import logging
import random
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from reference_impl._policy import clock
from reference_impl._policy.conversation import Line
from reference_impl._policy.document import Update, Value
from reference_impl._policy.errors import (
    PolicyClosedError,
    PolicyConflictError,
    PolicyError,
    PolicyInvalidError,
    PolicyStorageError,
    PolicyUnconfirmedError,
    PolicyUnreachableError,
)
from reference_impl._policy.exchange import Exchange, Pending
from reference_impl._policy.freshness import Freshness, PolicyView
from reference_impl._policy.keeper import Keeper
from reference_impl._policy.merge import check_form
from reference_impl._policy.model import Counters, Options, PolicyStats
from reference_impl._policy.profiles import PROFILES, Limits, Policy
from reference_impl._policy.subscription import Subscription

__all__ = [
    "PROFILES",
    "Limits",
    "Options",
    "Policy",
    "PolicyClosedError",
    "PolicyConflictError",
    "PolicyError",
    "PolicyInvalidError",
    "PolicyStats",
    "PolicyStorageError",
    "PolicyStore",
    "PolicyUnconfirmedError",
    "PolicyUnreachableError",
    "PolicyView",
    "make",
]

log = logging.getLogger(__name__)

_RETRY_FIRST: Final = 0.1
_HINT_SPREAD: Final = 0.05
"""Seconds over which the stores that hear of an update spread their questions."""


class PolicyStore:
    """Readers and writers of the policy in one process. Belongs to one event loop; not thread-safe.

    Args:
        redis_url: As redis-py takes it; credentials in it are never logged.
        snapshot_path: The snapshot file; one store at a time may use it.
        name: Part of this writer's name in the document; default: the file's stem.
        options: See `Options`.

    Raises:
        ValueError: The URL or an option is invalid.

    """

    freshness_type: type[Freshness] = Freshness
    keeper_type: type[Keeper] = Keeper
    exchange_type: type[Exchange] = Exchange

    def __init__(self, redis_url: str, snapshot_path: str | Path, *, name: str | None = None, **options: Any) -> None:
        path = Path(snapshot_path)
        self.name = name or path.stem
        self._options = given = Options(**options)
        self._counters = Counters()
        self._line = Line(redis_url, key=given.key, channel=given.channel, timeout=given.timeout)
        self._freshness = self.freshness_type(given.max_age, given.hard_limit)
        self._keeper = self.keeper_type(path, self.name)
        self._exchange = self.exchange_type(
            self._line,
            self._freshness,
            self._keeper,
            self._counters,
            save_every=given.save_every,
            announce=self._announce,
        )
        self._hinted = asyncio.Event()
        self._subscription = Subscription(self._line, self._counters, self._hinted.set)
        self._updating = asyncio.Lock()
        self._flight: asyncio.Task[None] | None = None
        self._polling: asyncio.Task[None] | None = None
        self._callbacks: list[Callable[[PolicyView], None]] = []
        self._state = "new"

    def __repr__(self) -> str:
        return f"<PolicyStore {self.name}, version {self._freshness.version}>"

    async def start(self) -> None:
        """Load the snapshot and begin to follow Redis; returns within about a `timeout`, Redis or no Redis.

        Raises:
            PolicyClosedError: The store was started or closed before.

        """
        if self._state != "new":
            raise PolicyClosedError("a policy store is started once")
        self._state = "open"
        found = await self._keeper.load()
        if found is not None:
            self._freshness.loaded(*found)
        with contextlib.suppress(PolicyUnreachableError):
            await self._refresh()
        self._polling = asyncio.get_running_loop().create_task(self._poll(), name="policy-store-polling")

    def get(self) -> PolicyView:
        """Return the policy and how it stands; never waits and never fails."""
        return self._freshness.view(clock.now())

    async def refresh(self) -> PolicyView:
        """Ask Redis now; who asks while a question is under way shares its answer. Not needed: the store polls.

        Raises:
            PolicyUnreachableError: Redis did not answer. `get` goes on with what is known.
            PolicyClosedError: The store is not open.

        """
        self._check_open()
        await self._refresh()
        return self.get()

    async def update(
        self,
        sets: Mapping[str, Value | None] | None = None,
        *,
        adds: Mapping[str, int] | None = None,
        expected_version: int | None = None,
    ) -> PolicyView:
        """Change the policy; return it, with the change, once that can no longer be lost.

        Fields are `profile`, the limits `risk_bps`, `drawdown_bps` and `leverage` (which can only tighten the
        profile's), and caps `cap:<name>` in USDT. Fields not named keep their values, whoever changed them meanwhile.

        Args:
            sets: New values by field; None takes a limit or a cap out.
            adds: What is added to figures.
            expected_version: Change nothing unless the policy is of this version (0: there is none yet).

        Raises:
            PolicyInvalidError, PolicyConflictError, PolicyUnreachableError, PolicyStorageError: Nothing was changed.
            PolicyUnconfirmedError: It may have been made or not. It is not tried again.
            PolicyClosedError: The store is not open. Nothing was changed.

        """
        self._check_open()
        sets, adds = dict(sets or {}), dict(adds or {})
        check_form(Update("", 0, sets, adds))
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._options.update_timeout
        async with self._updating:
            self._check_open()
            writer, seq = await self._keeper.number()
            pending = Pending(Update(writer, seq, sets, adds), expected_version)
            attempts = 0
            while True:
                try:
                    await self._exchange.apply(pending)
                except PolicyUnreachableError as error:
                    self._counters.unreachable += 1
                    pause = self._pause(attempts)
                    attempts += 1
                    if loop.time() + pause >= deadline or self._state != "open":
                        if pending.sent:
                            raise PolicyUnconfirmedError(f"sent, but not confirmed: {error}") from error
                        raise
                    await asyncio.sleep(pause)
                else:
                    return self.get()

    def on_update(self, callback: Callable[[PolicyView], None]) -> None:
        """Have `callback` told of each new version that readers get (`policy.updated`), in order."""
        self._callbacks.append(callback)

    def stats(self) -> PolicyStats:
        """Return the present figures."""
        view = self.get()
        return PolicyStats(
            version=view.version,
            age=view.age,
            stale=view.stale,
            defensive=view.defensive,
            source=view.source,
            snapshot_problem=self._keeper.problem,
            **asdict(self._counters),
        )

    async def close(self) -> None:
        """Stop cleanly: updates in progress end, no task or connection is left. Idempotent; `get` still works."""
        if self._state == "closed":
            return
        self._state = "closed"
        async with self._updating:
            while self._polling is not None and not self._polling.done():  # again: see Subscription.stop
                self._polling.cancel()
                await asyncio.wait([self._polling], timeout=0.1)
            await self._subscription.stop()
            if self._flight is not None:
                await asyncio.wait([self._flight])
            await self._line.close()

    def _check_open(self) -> None:
        if self._state != "open":
            raise PolicyClosedError("the policy store is not open")

    async def _refresh(self) -> None:
        """Share the flight that there is, or begin one."""
        if self._flight is None:
            self._flight = asyncio.get_running_loop().create_task(self._exchange.refresh(), name="policy-store-refresh")
            self._flight.add_done_callback(self._landed)
        await asyncio.shield(self._flight)

    def _landed(self, flight: "asyncio.Task[None]") -> None:
        self._flight = None
        if not flight.cancelled():
            flight.exception()  # whoever still waits is told; it may be nobody

    async def _poll(self) -> None:
        """Ask again and again, sooner when hinted."""
        failures = 0
        while True:
            self._hinted.clear()
            try:
                await self._refresh()
                failures = 0
                pause = self._options.poll * random.uniform(0.5, 1.5)  # noqa: S311 - spreads load, protects nothing
                await self._subscription.follow(self._freshness.version)
            except PolicyUnreachableError as error:
                self._counters.unreachable += 1
                if not failures:
                    log.warning("policy store %s: no refresh: %s", self.name, error)
                pause = self._pause(failures)
                failures += 1
            except Exception:
                log.exception("policy store %s: a refresh failed; it is tried again", self.name)
                pause = self._options.retry_max
            try:
                await asyncio.wait_for(self._hinted.wait(), pause)
            except TimeoutError:
                continue
            await asyncio.sleep(random.uniform(0, _HINT_SPREAD))  # noqa: S311 - the same

    def _pause(self, failures: int) -> float:
        """Return a pause with jitter: stores that lost Redis together do not come back together."""
        ceiling = min(self._options.retry_max, _RETRY_FIRST * 2.0 ** min(failures, 30))
        return random.uniform(ceiling / 2, ceiling)  # noqa: S311 - the same

    def _announce(self) -> None:
        view = self.get()
        for callback in self._callbacks:
            try:
                callback(view)
            except Exception:
                log.exception("policy store %s: a callback of policy.updated failed", self.name)


def make(*, redis_url: str, directory: Path, name: str, **options: Any) -> PolicyStore:
    """Make a store whose snapshot is in `directory`. Options are the fields of `Options`."""
    return PolicyStore(redis_url, Path(directory) / f"{name}.policy.json", name=name, **options)
