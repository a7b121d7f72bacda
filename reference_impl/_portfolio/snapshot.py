"""The snapshot: a JSON file that saves the start of the next life from reading the whole journal.

It is written to a temporary name, synced and renamed, and the directory is synced, so that a crash at any point leaves
the old one or the new one. A SHA-256 tells what is damaged all the same; such a file is set aside (`.damaged`) and not
used. Nothing depends on it but time: whatever it says is in the journal too.
"""

import asyncio
import contextlib
import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from reference_impl._portfolio.errors import StorageError


class SnapshotFile:
    """The file of that name."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.problem = ""
        """Why the last one found was not used; empty if it was, or there was none."""

    async def load(self) -> Mapping[str, Any] | None:
        """Return what was saved; None if nothing was, or it is damaged."""
        try:
            content = await asyncio.to_thread(self.path.read_bytes)
        except FileNotFoundError:
            return None
        except OSError as error:
            self.problem = f"it cannot be read: {error}"
            return None
        state = self.decode(content)
        if state is None:
            self.problem = "it is damaged"
            with contextlib.suppress(OSError):  # on a full or read-only disk it stays where it is
                await asyncio.to_thread(self.path.replace, self.path.with_name(f"{self.path.name}.damaged"))
        return state

    async def save(self, state: Mapping[str, Any]) -> None:
        """Put the state in its place; durable when this returns. Raises `StorageError`; the old one is then in force.

        Each step is a job of a thread of its own, so that the loop runs on between them.
        """
        beside = self.path.with_name(f"{self.path.name}.new")
        try:
            await asyncio.to_thread(_write, beside, self.encode(state))
            await asyncio.to_thread(beside.replace, self.path)
            await asyncio.to_thread(_sync_directory, self.path.parent)
        except OSError as error:
            raise StorageError(f"the snapshot cannot be written: {error}") from error

    @staticmethod
    def encode(state: Mapping[str, Any]) -> bytes:
        """Return the file's content: the checksum of the second line, and that."""
        text = json.dumps(state, separators=(",", ":"), sort_keys=True).encode()
        return b"%b\n%b\n" % (hashlib.sha256(text).hexdigest().encode(), text)

    @staticmethod
    def decode(content: bytes) -> Mapping[str, Any] | None:
        """Return what was saved, or None if the content is damaged."""
        checksum, _, rest = content.partition(b"\n")
        text = rest.removesuffix(b"\n")
        if rest == text or checksum != hashlib.sha256(text).hexdigest().encode():
            return None
        state: Mapping[str, Any] = json.loads(text)
        return state


def _write(path: Path, content: bytes) -> None:
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _sync_directory(path: Path) -> None:
    directory = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
