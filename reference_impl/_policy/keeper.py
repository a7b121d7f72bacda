"""What one store keeps on its disk: its name as a writer, the numbers of its updates, and the newest document."""

import asyncio
import logging
import uuid
from pathlib import Path
from typing import Final

from reference_impl._policy import clock, snapshot
from reference_impl._policy.document import Document
from reference_impl._policy.errors import DocumentError, PolicyStorageError
from reference_impl._policy.snapshot import State

log = logging.getLogger(__name__)

_BLOCK: Final = 1_000
"""Numbers that are reserved by one write; a restart skips what is left of them."""


class Keeper:
    """The snapshot file of one store; one store at a time may use it."""

    def __init__(self, path: Path, name: str) -> None:
        self._path = path
        self._name = name
        self._writer = ""
        self._reserved = 0
        self._next = 1
        self._document: Document | None = None
        self._confirmed_at: float | None = None
        self._saved_at: float | None = None
        self._boot = clock.boot()
        self._turn = asyncio.Lock()
        self.problem = ""

    async def load(self) -> tuple[Document, float | None] | None:
        """Return the document that was saved, and when it was confirmed; None if there is none."""
        try:
            state = await asyncio.to_thread(snapshot.load, self._path)
        except DocumentError as error:
            self.problem = str(error)
            log.warning("policy store %s: the snapshot is damaged and is not used: %s", self._name, error)
            state = None
        if state is None:
            self._writer = f"{self._name[:48]}-{uuid.uuid4().hex[:12]}"
            return None
        self._writer, self._reserved, self._next = state.writer, state.reserved, state.reserved + 1
        if state.document is None:
            return None
        known = state.boot and state.boot == self._boot
        self._document = state.document
        self._confirmed_at = state.confirmed_at if known else None
        return state.document, self._confirmed_at

    async def number(self) -> tuple[str, int]:
        """Return the id of a new update, which was never used before and never will be again.

        Raises:
            PolicyStorageError: The disk refuses.

        """
        async with self._turn:
            if self._next > self._reserved:
                try:
                    await self._write(self._reserved + _BLOCK, self._document, self._confirmed_at)
                except OSError as error:
                    raise PolicyStorageError(f"the snapshot cannot be written: {error}") from error
            number, self._next = self._next, self._next + 1
            return self._writer, number

    async def save(self, document: Document, confirmed_at: float) -> None:
        """Write the document; durable when this returns. Raises `OSError`."""
        async with self._turn:
            await self._write(self._reserved, document, confirmed_at)

    def is_behind(self, confirmed_at: float, seconds: float) -> bool:
        """Tell whether the file's word on when the document was confirmed is older than that."""
        return self._saved_at is None or confirmed_at - self._saved_at > seconds

    async def _write(self, reserved: int, document: Document | None, confirmed_at: float | None) -> None:
        state = State(
            writer=self._writer, reserved=reserved, document=document, confirmed_at=confirmed_at, boot=self._boot
        )
        await asyncio.to_thread(self.put, snapshot.encode(state, clock.wall_ms()))
        self._reserved, self._document, self._confirmed_at = reserved, document, confirmed_at
        self._saved_at = confirmed_at

    def put(self, content: bytes) -> None:
        """Put the file in its place."""
        snapshot.save(self._path, content)
