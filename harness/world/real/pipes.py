"""Reading ends of the pipes between the harness and its hosts, drained by the event loop as data arrives."""

import asyncio
import fcntl
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

from harness.world.real.secrets_mask import masked

_CAPACITY: Final = 1 << 20
_READ_MAX: Final = 1 << 18
_LINE_MAX: Final = 1 << 16


class PipeReader:
    """Hands what arrives on a pipe to `feed`, in order, until end of file or `close`.

    What a process wrote is in the pipe when it dies, so `close` after its death misses nothing, and need not
    wait for end of file, which something that the process started may put off for ever. If `feed` raises, the
    error is kept in `error`, and what comes after is drained and dropped.
    """

    def __init__(self, feed: Callable[[bytes], None]) -> None:
        self.error: Exception | None = None
        self._feed = feed
        self._open = True
        self._loop = asyncio.get_running_loop()
        self._descriptor, self.write_end = os.pipe()
        os.set_blocking(self._descriptor, False)
        with suppress(OSError):  # beyond the user's allowance of pipe memory: then it stays at 64 KiB
            fcntl.fcntl(self.write_end, fcntl.F_SETPIPE_SZ, _CAPACITY)
        self._loop.add_reader(self._descriptor, self._readable)

    def release_write_end(self) -> None:
        """Close our copy of the write end, once the child has its own: then its death is our end of file."""
        os.close(self.write_end)

    def drain(self) -> None:
        """Hand over all that is in the pipe at this moment; no more than it can hold, though others go on writing."""
        left = _CAPACITY
        while left > 0 and (count := self._readable()):
            left -= count

    def close(self) -> None:
        """Hand over what is there and read no further."""
        self.drain()
        self._shut()

    def _shut(self) -> None:
        if self._open:
            self._open = False
            self._loop.remove_reader(self._descriptor)
            os.close(self._descriptor)

    def _readable(self) -> int:
        """Hand over what one read gives; return how many bytes that was."""
        if not self._open:
            return 0
        try:
            data = os.read(self._descriptor, _READ_MAX)
        except BlockingIOError:
            return 0
        if not data:
            self._shut()
        elif self.error is None:
            try:
                self._feed(data)
            except Exception as error:  # noqa: BLE001 - whoever owns the pipe decides what it means
                self.error = error
        return len(data)


class LineSplitter:
    """Cuts a stream into lines; what comes after the last newline is kept for the next time."""

    __slots__ = ("rest",)

    def __init__(self) -> None:
        self.rest = b""

    def feed(self, data: bytes) -> list[bytes]:
        """Return the lines that are complete now, without their newlines."""
        *lines, self.rest = (self.rest + data).split(b"\n") if self.rest else data.split(b"\n")
        return lines


class BoundedLog:
    """Appends text to a log file up to `bytes_max`, credentials masked; what comes after is only counted."""

    def __init__(self, path: Path, *, bytes_max: int) -> None:
        self._file = path.open("ab", buffering=0)
        self._left = bytes_max - path.stat().st_size
        self._splitter = LineSplitter()
        self._dropped = 0

    def feed(self, data: bytes) -> None:
        """Append what was read; an unfinished line waits for its end, lest a credential be cut in two."""
        lines = self._splitter.feed(data)
        if len(self._splitter.rest) > _LINE_MAX:
            lines.append(self._splitter.rest)
            self._splitter.rest = b""
        if lines:
            self._write(b"\n".join(lines) + b"\n")

    def close(self) -> None:
        """Write the unfinished line and how much was dropped."""
        if self._splitter.rest:
            self._write(self._splitter.rest + b"\n")
        if self._dropped:
            self._file.write(f"... {self._dropped} bytes more were not kept\n".encode())
        self._file.close()

    def _write(self, data: bytes) -> None:
        text = masked(data.decode(errors="replace")).encode()
        kept = text[: max(self._left, 0)]
        self._left -= len(kept)
        self._dropped += len(text) - len(kept)
        if kept:
            self._file.write(kept)
