"""Dashboard feeds with one known defect each: what the scenarios of patch 6 must catch.

All but `planned` are the reference with one seam replaced, so that nothing else differs.
"""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeAlias

from reference_impl._dashboard.feed import Feed, Had, Joined
from reference_impl._dashboard.frames import Ping
from reference_impl._dashboard.hub import Hub
from reference_impl._dashboard.model import Restored
from reference_impl._dashboard.position import Position
from reference_impl._dashboard.session import UNAUTHORIZED, Session
from reference_impl._dashboard.store import Store
from reference_impl.dashboard_ws import DashboardServer
from reference_impl.dashboard_ws import make as make_reference
from reference_impl.flawed import _dashboard_feeds as feeds
from reference_impl.flawed._planned_dashboard import PlannedDashboardServer

Factory: TypeAlias = Callable[..., Any]

_SLOW_SNAPSHOT_S = 0.1
_LATE_CHECK_S = 1.0


class _Blocking(Session):
    async def _send(self, text: str) -> None:
        """Send when it is this client's turn; nobody's comes while one of them reads nothing."""
        assert isinstance(self._feed, feeds.OneAtATime)
        async with self._feed.sending:
            await super()._send(text)


class _LateCursor(Session):
    async def _send_all(self, joined: Joined) -> None:
        """Read what is there, and then begin to follow: what came in between is not told."""
        if joined.snapshot is not None:
            await asyncio.sleep(_SLOW_SNAPSHOT_S)
            told, now = joined.position, self._feed.join(Had()).position
            self._feed.leave(told)
            now.base = now.through = told.base
            self.position = now
            joined = replace(joined, position=now)
        await super()._send_all(joined)


class _Trusting(Session):
    async def _greet(self, authorize: Callable[[str | None], bool]) -> None:
        """Look at the token later, so that nobody has to wait for what is checked."""
        verdict = True

        def postpone(token: str | None) -> bool:
            nonlocal verdict
            verdict = authorize(token)
            return True

        await super()._greet(postpone)
        if not verdict:
            asyncio.get_running_loop().call_later(_LATE_CHECK_S, self.end, UNAUTHORIZED, "bad token")


class _NeverDropping(Session):
    def tick(self, now: int) -> None:
        """Only wake it."""
        del now
        if self._sending_since is None:
            self._wake.set()

    def due(self) -> int:
        """Know of no deadline."""
        self._heard_at = self._now()
        return super().due()


class _NoHeartbeat(Session):
    def _next(self, position: Position) -> str | None:
        """Say nothing when there is nothing."""
        self._framed_at = self._now()
        return super()._next(position)


class _SharingRate(Session):
    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        assert isinstance(self._feed, feeds.SharedMessages)
        self._messages = self._feed.messages

    async def _receive_all(self) -> None:
        """Leave it to that one rate how much is asked."""
        while True:
            message = await self._receive()
            if isinstance(message, Ping):
                self._pings.append(message)
                self._wake.set()


class _NoCap(Hub):
    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self._options = replace(self._options, max_clients=100_000, hello_max=10_000)


class _Forgetful(Store):
    def open(self) -> Restored:
        """Begin with nothing."""
        for path in self._path.parent.glob(f"{self._path.name}*"):
            path.unlink()
        return super().open()


class _Reusing(Store):
    def open(self) -> Restored:
        """Go on behind the last number that was stored, and take what clients saw for what is here."""
        restored = super().open()
        assert self._db is not None
        seqs = [event.seq for event in (*restored.critical, *restored.latest)]
        return replace(restored, seq=max(seqs, default=0), resume_floor=0)


def _factory(
    *,
    feed: type[Feed] = Feed,
    session: type[Session] = Session,
    hub: type[Hub] = Hub,
    store: type[Store] = Store,
) -> Factory:
    class Served(hub):  # type: ignore[valid-type,misc]
        session_type = session

    class Server(DashboardServer):
        feed_type = feed
        hub_type = Served
        store_type = store

    def make(*, directory: Path, name: str, token: str, **options: Any) -> DashboardServer:
        return make_reference(directory=directory, name=name, token=token, server_type=Server, **options)

    return make


planned = PlannedDashboardServer
blocking_broadcast = _factory(feed=feeds.OneAtATime, session=_Blocking)
unbounded_client_queue = _factory(feed=feeds.Queueing)
no_sequence = _factory(feed=feeds.RenumberingFeed)
conflates_critical = _factory(feed=feeds.ConflatesCritical)
never_drops_half_open = _factory(session=_NeverDropping)
rate_per_batch_not_per_second = _factory(feed=feeds.RatePerBatch)
batch_of_any_size = _factory(feed=feeds.LargeBatchesFeed)
forgets_on_restart = _factory(store=_Forgetful)
reuses_numbers_after_a_crash = _factory(store=_Reusing)
resumes_from_the_wrong_side = _factory(feed=feeds.OffByOne)
repeats_one_at_resume = _factory(feed=feeds.OffByOneBack)
snapshot_not_atomic = _factory(session=_LateCursor)
critical_out_of_order = _factory(feed=feeds.OutOfOrder)
critical_waits_behind_state = _factory(feed=feeds.StateFirstFeed)
newest_first = _factory(feed=feeds.NewestFirstFeed)
unauthenticated_feed = _factory(session=_Trusting)
no_heartbeat = _factory(session=_NoHeartbeat)
no_cap = _factory(hub=_NoCap)
flooder_starves_others = _factory(feed=feeds.SharedMessages, session=_SharingRate)

VARIANTS: Mapping[str, Factory] = MappingProxyType(
    {
        "planned": planned,
        "blocking_broadcast": blocking_broadcast,
        "unbounded_client_queue": unbounded_client_queue,
        "no_sequence": no_sequence,
        "conflates_critical": conflates_critical,
        "never_drops_half_open": never_drops_half_open,
        "rate_per_batch_not_per_second": rate_per_batch_not_per_second,
        "batch_of_any_size": batch_of_any_size,
        "forgets_on_restart": forgets_on_restart,
        "reuses_numbers_after_a_crash": reuses_numbers_after_a_crash,
        "resumes_from_the_wrong_side": resumes_from_the_wrong_side,
        "repeats_one_at_resume": repeats_one_at_resume,
        "snapshot_not_atomic": snapshot_not_atomic,
        "critical_out_of_order": critical_out_of_order,
        "critical_waits_behind_state": critical_waits_behind_state,
        "newest_first": newest_first,
        "unauthenticated_feed": unauthenticated_feed,
        "no_heartbeat": no_heartbeat,
        "no_cap": no_cap,
        "flooder_starves_others": flooder_starves_others,
    }
)
"""Factories of the shape of `reference_impl.dashboard_ws.make`, by name of the defect."""
