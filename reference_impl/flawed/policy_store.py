"""Policy stores with one known defect each: what the scenarios of patch 8 must catch.

All but `planned` are the reference with one seam replaced, so that nothing else differs.
"""

import asyncio
import contextlib
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeAlias

from reference_impl._policy import clock, snapshot
from reference_impl._policy.conversation import Talk
from reference_impl._policy.document import Document, Field, Update, Value, encode
from reference_impl._policy.errors import DocumentError, PolicyError
from reference_impl._policy.exchange import Exchange, Pending
from reference_impl._policy.freshness import Freshness, PolicyView
from reference_impl._policy.keeper import Keeper
from reference_impl._policy.merge import apply
from reference_impl._policy.profiles import Policy
from reference_impl.flawed._planned_policy import PlannedPolicyStore
from reference_impl.policy_store import PolicyStore

Factory: TypeAlias = Callable[..., Any]

_NEVER = 1e9  # seconds


class _SaysFresh(Freshness):
    def view(self, now: float) -> PolicyView:
        """Return what is known as if it had just been confirmed."""
        known = self.document
        policy = Policy() if known is None else known.policy()
        never = known is None
        return PolicyView(
            policy=policy, version=self.version, age=self.age(now), stale=never, defensive=never, source=self.source
        )


class _ByWallClock(Freshness):
    def loaded(self, document: Document, confirmed_at: float | None) -> None:
        super().loaded(document, None if confirmed_at is None else time.time() - clock.now() + confirmed_at)

    def confirmed(self, document: Document, _asked_at: float) -> bool:
        self.confirmed_at = None  # what the wall clock says now is what counts
        return super().confirmed(document, time.time())

    def view(self, _now: float) -> PolicyView:
        return super().view(time.time())


class _AgesFromTheAnswer(Freshness):
    def confirmed(self, document: Document, _asked_at: float) -> bool:
        """Take a policy for as old as the answer, not as the question: too young by the time it was under way."""
        return super().confirmed(document, clock.now())


class _Believes(Freshness):
    def confirmed(self, document: Document, asked_at: float) -> bool:
        """Take any version for the newest."""
        new = document.version != self.version
        self.document = None
        super().confirmed(document, asked_at)
        return new


class _LastWriterWins(Exchange):
    async def _place(self, talk: Talk, pending: Pending) -> tuple[Document, bytes]:
        """Change what this store knows, and put that over whatever is in Redis."""
        theirs = self._understood(await talk.watch())
        known = self._freshness.document or theirs
        version = max(0 if one is None else one.version for one in (known, theirs)) + 1
        changed = apply(known, pending.update, version, at_ms=clock.wall_ms())
        await self._write(talk, content := encode(changed), changed)
        return changed, content


class _VersionFromWallClock(Exchange):
    def _version_after(self, _version: int) -> int:
        return clock.wall_ms()

    def _merged(self, theirs: Document | None) -> Document | None:
        return self._freshness.document if theirs is None else theirs


class _Forgets(Exchange):
    def _merged(self, theirs: Document | None) -> Document | None:
        """Take what is in Redis for all there is."""
        return theirs


class _Repeats(Exchange):
    def _is_made(self, _theirs: Document, _update: Update) -> bool:
        """Never look whether an update whose reply was lost is there already."""
        return False


class _Unordered(Exchange):
    async def refresh(self) -> None:
        """Ask, whoever asks already; of answers that overtake each other the newest counts."""
        asked_at = clock.now()
        async with self._line.talk() as talk:
            found = await talk.read()
        document = self._understood(found)
        known = self._freshness.document
        if document is not None and (known is None or document.version > known.version):
            await self._adopt(document, found, asked_at)
        elif document is not None and known is not None and document == known:
            self._freshness.confirmed(known, asked_at)

    async def _adopt(self, document: Document | None, content: bytes | None, asked_at: float) -> OSError | None:
        known = self._freshness.document
        if document is None or (known is not None and document.version < known.version):
            return None
        try:
            return await super()._adopt(document, content, asked_at)
        except AssertionError:  # overtaken while it was being saved
            return None


class _InPlace(Keeper):
    def put(self, content: bytes) -> None:
        """Write over the old file."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._path.write_bytes(content)

    async def load(self) -> tuple[Document, float | None] | None:
        """Begin with a built-in policy, as if it were a known one, when the file makes no sense."""
        try:
            await asyncio.to_thread(snapshot.load, self._path)
        except DocumentError:
            await super().load()
            return Document(version=1, fields={"profile": Field("NORMAL", "default", 0)}), clock.now()
        return await super().load()


class _InMemory(Keeper):
    def put(self, _content: bytes) -> None:
        """Keep nothing."""


class _SaysFreshStore(PolicyStore):
    freshness_type = _SaysFresh


class _ByWallClockStore(PolicyStore):
    freshness_type = _ByWallClock


class _AgesFromTheAnswerStore(PolicyStore):
    freshness_type = _AgesFromTheAnswer


class _LastWriterWinsStore(PolicyStore):
    exchange_type = _LastWriterWins


class _VersionFromWallClockStore(PolicyStore):
    freshness_type = _Believes
    exchange_type = _VersionFromWallClock


class _ForgettingStore(PolicyStore):
    freshness_type = _Believes
    exchange_type = _Forgets


class _RepeatingStore(PolicyStore):
    exchange_type = _Repeats


class _StampedingStore(PolicyStore):
    exchange_type = _Unordered

    async def _refresh(self) -> None:
        """Ask for everybody who asks."""
        await self._exchange.refresh()


class _InPlaceStore(PolicyStore):
    keeper_type = _InPlace


class _InMemoryStore(PolicyStore):
    keeper_type = _InMemory


class _HastyStore(PolicyStore):
    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._behind: set[asyncio.Task[None]] = set()

    async def update(
        self,
        sets: Mapping[str, Value | None] | None = None,
        *,
        adds: Mapping[str, int] | None = None,
        expected_version: int | None = None,
    ) -> PolicyView:
        """Return at once, and see to Redis later."""
        later = super().update(sets, adds=adds, expected_version=expected_version)

        async def behind() -> None:
            with contextlib.suppress(PolicyError):
                await later

        task = asyncio.get_running_loop().create_task(behind())
        self._behind.add(task)
        task.add_done_callback(self._behind.discard)
        return self.get()

    async def close(self) -> None:
        """Let what is behind end."""
        if self._behind:
            await asyncio.wait(self._behind)
        await super().close()


def _factory(store_type: type[PolicyStore] | type[PlannedPolicyStore], **forced: float) -> Factory:
    def make(*, redis_url: str, directory: Path, name: str, **options: Any) -> PolicyStore | PlannedPolicyStore:
        path = Path(directory) / f"{name}.policy.json"
        return store_type(redis_url, path, name=name, **{**options, **forced})

    return make


planned = _factory(PlannedPolicyStore)
serves_stale_forever = _factory(_SaysFreshStore)
no_hard_limit = _factory(PolicyStore, hard_limit=_NEVER)
ages_by_wall_clock = _factory(_ByWallClockStore)
ages_from_the_answer = _factory(_AgesFromTheAnswerStore)
last_writer_wins = _factory(_LastWriterWinsStore)
version_from_wall_clock = _factory(_VersionFromWallClockStore)
forgets_what_redis_lost = _factory(_ForgettingStore)
repeats_unconfirmed_updates = _factory(_RepeatingStore)
acks_before_redis = _factory(_HastyStore)
stampede = _factory(_StampedingStore)
trusts_notifications = _factory(PolicyStore, poll=_NEVER)
snapshot_not_atomic = _factory(_InPlaceStore)
forgets_on_restart = _factory(_InMemoryStore)

VARIANTS: Mapping[str, Factory] = MappingProxyType(
    {
        "planned": planned,
        "serves_stale_forever": serves_stale_forever,
        "no_hard_limit": no_hard_limit,
        "ages_by_wall_clock": ages_by_wall_clock,
        "ages_from_the_answer": ages_from_the_answer,
        "last_writer_wins": last_writer_wins,
        "version_from_wall_clock": version_from_wall_clock,
        "forgets_what_redis_lost": forgets_what_redis_lost,
        "repeats_unconfirmed_updates": repeats_unconfirmed_updates,
        "acks_before_redis": acks_before_redis,
        "stampede": stampede,
        "trusts_notifications": trusts_notifications,
        "snapshot_not_atomic": snapshot_not_atomic,
        "forgets_on_restart": forgets_on_restart,
    }
)
"""Factories of the shape of `reference_impl.policy_store.make`, by name of the defect."""
