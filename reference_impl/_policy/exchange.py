"""What a store and Redis tell each other: one conversation at a time, and what follows from it, in order.

A document is saved before readers see it: whoever saw a version finds it, or a later one, after a restart. (On a full
disk a newer policy is let through all the same, and counted: not to follow it would be worse.)
"""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from reference_impl._policy import clock
from reference_impl._policy.conversation import Line, Talk
from reference_impl._policy.document import Document, Update, decode, encode
from reference_impl._policy.errors import (
    DocumentError,
    NewerDocumentError,
    PolicyConflictError,
    PolicyUnconfirmedError,
    PolicyUnreachableError,
)
from reference_impl._policy.freshness import Freshness
from reference_impl._policy.keeper import Keeper
from reference_impl._policy.merge import apply, check, merge
from reference_impl._policy.model import Counters

log = logging.getLogger(__name__)

_TRIES: Final = 50
"""Of a compare-and-set within one conversation, whose deadline ends it sooner."""


@dataclass(slots=True)
class Pending:
    """An update on its way. `sent`: it was sent, and may have been executed for all that is known."""

    update: Update
    expected: int | None
    sent: bool = False


class Exchange:
    """The conversations of one store."""

    def __init__(
        self,
        line: Line,
        freshness: Freshness,
        keeper: Keeper,
        counters: Counters,
        *,
        save_every: float,
        announce: Callable[[], None],
    ) -> None:
        self._line = line
        self._freshness = freshness
        self._keeper = keeper
        self._counters = counters
        self._save_every = save_every
        self._announce = announce
        self._turn = asyncio.Lock()
        self._seen: bytes | None = None
        self._refused: bytes | None = None

    async def refresh(self) -> None:
        """Ask Redis for the newest version, and repair Redis if it has lost what this store has.

        Raises:
            PolicyUnreachableError: Redis did not answer, or holds what only a later software understands.

        """
        async with self._turn:
            asked_at = clock.now()
            document = self._freshness.document
            async with self._line.talk() as talk:
                found = await talk.read()
                if found is None or document is None or found != self._seen:
                    document, found = await self._settle(talk, found)
            self._counters.refreshes += 1
            await self._adopt(document, found, asked_at)

    async def apply(self, pending: Pending) -> Document:
        """Make the update, once; return the document that it is in.

        Raises:
            PolicyUnreachableError: Redis did not confirm. `pending.sent` tells whether it may have been executed.
            PolicyConflictError: Another version is in force than was expected.
            PolicyInvalidError: It cannot be applied to what is in force.
            PolicyUnconfirmedError: Redis has it, and the snapshot could not be written.

        """
        async with self._turn:
            asked_at = clock.now()
            async with self._line.talk() as talk:
                document, content = await self._place(talk, pending)
            failed = await self._adopt(document, content, asked_at)
        if failed is not None:
            raise PolicyUnconfirmedError(f"Redis has it, but the snapshot cannot be written: {failed}") from failed
        self._counters.updates += 1
        return document

    async def _settle(self, talk: Talk, found: bytes | None) -> tuple[Document | None, bytes | None]:
        """Return what is in Redis once it is what should be there."""
        watched = False
        for _ in range(_TRIES):
            theirs = self._understood(found)
            document = self._merged(theirs)
            if document is None or document == theirs:
                return document, found
            if watched and await self._write(talk, content := encode(document), document):
                self._counters.repairs += 1
                log.warning("policy store: Redis had lost version %d, which is repaired", document.version)
                return document, content
            found = await talk.watch()
            watched = True
        raise PolicyUnreachableError("others change the policy all the time")

    async def _place(self, talk: Talk, pending: Pending) -> tuple[Document, bytes]:
        """Write the update unless it is there already."""
        update = pending.update
        for _ in range(_TRIES):
            found = await talk.watch()
            theirs = self._understood(found)
            if theirs is not None and self._is_made(theirs, update):
                document, found = await self._settle(talk, found)
                assert document is not None
                assert found is not None
                return document, found
            document = self._merged(theirs)
            version = 0 if document is None else document.version
            if pending.expected is not None and version != pending.expected:
                raise PolicyConflictError(pending.expected, version)
            check(document, update)
            changed = apply(document, update, self._version_after(version), at_ms=clock.wall_ms())
            content = encode(changed)
            pending.sent = True  # until it is known that it was not executed
            if await self._write(talk, content, changed):
                return changed, content
            pending.sent = False
        raise PolicyUnreachableError("others change the policy all the time")

    def _is_made(self, theirs: Document, update: Update) -> bool:
        return theirs.contains(update.writer, update.seq)

    def _version_after(self, version: int) -> int:
        return version + 1

    async def _write(self, talk: Talk, content: bytes, document: Document) -> bool:
        return await talk.write(content, str(document.version))

    def _merged(self, theirs: Document | None) -> Document | None:
        merged = merge(self._freshness.document, theirs)
        if merged.lost:
            self._counters.merges_with_loss += 1
            log.error("policy store: updates were lost; neither side remembers them any more")
        return merged.document

    def _understood(self, found: bytes | None) -> Document | None:
        """Return the document in Redis; None if there is none, or what is there is refused."""
        if found is None:
            return None
        try:
            return decode(found)
        except NewerDocumentError as error:
            raise PolicyUnreachableError(f"what is in Redis is not for this version: {error}") from error
        except DocumentError as error:
            self._counters.refused_documents += 1
            if found != self._refused:
                self._refused = found
                log.error("policy store: what is in Redis is no policy and is refused: %s", error)  # noqa: TRY400 - one line
            return None

    async def _adopt(self, document: Document | None, content: bytes | None, asked_at: float) -> OSError | None:
        """Let readers see what Redis holds; return why it could not be saved."""
        if document is None:
            return None
        failed = None
        if document != self._freshness.document or self._keeper.is_behind(asked_at, self._save_every):
            try:
                await self._keeper.save(document, asked_at)
            except OSError as error:
                self._counters.snapshot_failures += 1
                log.error("policy store: the snapshot cannot be written: %s", error)  # noqa: TRY400 - one line
                failed = error
        new = self._freshness.confirmed(document, asked_at)
        self._seen = content
        if new:
            self._announce()
        return failed
