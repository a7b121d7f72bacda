"""Keeps the store, and what the store did not take: trips first of all, which hold whether they are written or not."""

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from reference_impl._ess.model import Incident, Standing, StoreError, Transition
from reference_impl._ess.store import Commit, Opened, StoreWorker, wall_ms
from reference_impl._http.nonces import RecentNonces

log = logging.getLogger(__name__)

_RETRY_S: Final = 1.0
_UNWRITTEN_INCIDENTS_MAX: Final = 1_000


class Keeper:
    """The shell around the store. Belongs to one event loop; writes of standings are the caller's to serialise."""

    def __init__(self, worker: StoreWorker) -> None:
        self._worker = worker
        self._unwritten: list[Commit] = []
        self._incidents: deque[Incident] = deque(maxlen=_UNWRITTEN_INCIDENTS_MAX)
        self._forbidden = True
        self._nonces = RecentNonces()
        self.retry_at: float | None = None

    @property
    def durable(self) -> bool:
        """Whether a crash now would lose nothing that stops: all is written, or the next start trips anyway."""
        return not self._unwritten or self._forbidden

    async def open(self) -> Opened:
        """Open the store. Raises `StoreError`."""
        try:
            return await self._worker.call(self._worker.store.open)
        except BaseException:
            await self._worker.close()
            raise

    async def close(self) -> None:
        """Write what was not, if that is possible now, and close."""
        await self.retry()
        await self._worker.close()

    async def write(self, standing: Standing, transition: Transition | None) -> None:
        """Write a standing. Raises `StoreError`; then it is not in force, here or after a restart."""
        await self._flush()
        await self._worker.call(self._worker.store.commit, [Commit(standing=standing, transition=transition)])

    async def try_write(self, standing: Standing) -> None:
        """Write a standing whose loss only makes a cooldown longer or a count of errors shorter."""
        with contextlib.suppress(StoreError):
            await self.write(standing, None)

    async def write_trip(self, standing: Standing, transition: Transition) -> None:
        """Write a trip; what the disk does not take now is written later."""
        try:
            await self._worker.call(self._worker.store.forbid)
            self._forbidden = True
        except StoreError as error:
            self._forbidden = False
            log.error("emergency stop: a trip may be forgotten in a crash (%s)", error)  # noqa: TRY400
        self._unwritten.append(Commit(standing=standing, transition=transition))
        try:
            await self._flush()
        except StoreError as error:
            log.error("emergency stop: a trip is not written down yet (%s)", error)  # noqa: TRY400
            self.postpone()

    async def retry(self) -> None:
        """Write what was not written, if the disk takes it now."""
        self.retry_at = None
        try:
            await self._flush()
            await self._write_incidents()
        except StoreError:
            self.postpone()

    def postpone(self) -> None:
        """Retry in a while."""
        self.retry_at = asyncio.get_running_loop().time() + _RETRY_S

    async def note(self, incident: Incident) -> None:
        """Write an incident; if that cannot be done now, later."""
        if len(self._incidents) == _UNWRITTEN_INCIDENTS_MAX:
            log.error("emergency stop: given up, as the disk takes nothing: %s", self._incidents[0])
        self._incidents.append(replace(incident, at_ms=wall_ms()))
        try:
            await self._write_incidents()
        except StoreError as error:
            log.error("emergency stop: %s is not written down yet (%s)", incident.kind, error)  # noqa: TRY400
            self.postpone()

    async def use_nonce(self, operator: str, nonce: str) -> bool:
        """Remember the id of a call; one that the disk does not take is remembered as long as the process lives.

        So that a stop can be called for whatever the disk does; whatever arms needs the disk by itself.
        """
        if not self._nonces.use(operator, nonce):
            return False
        try:
            return await self._worker.call(self._worker.store.use_nonce, operator, nonce)
        except StoreError as error:
            log.error("emergency stop: the id of a call may be forgotten in a crash (%s)", error)  # noqa: TRY400
            return True

    async def trail(self) -> Sequence[Transition]:
        """Return the audit trail, with what is not written yet. Raises `StoreError`."""
        written = await self._worker.call(self._worker.store.trail)
        return [*written, *(commit.transition for commit in self._unwritten if commit.transition is not None)]

    async def incidents(self) -> Sequence[Incident]:
        """Return the incidents, with what is not written yet. Raises `StoreError`."""
        return [*await self._worker.call(self._worker.store.incidents), *self._incidents]

    async def _flush(self) -> None:
        if self._unwritten:
            await self._worker.call(self._worker.store.commit, list(self._unwritten))
            self._unwritten.clear()

    async def _write_incidents(self) -> None:
        while self._incidents:
            batch = list(self._incidents)
            self._incidents.clear()
            try:
                await self._worker.call(self._worker.store.note, batch)
            except StoreError:
                self._incidents.extendleft(reversed(batch))
                raise
