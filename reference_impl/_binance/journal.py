"""The journal of intents: an append-only file that knows of every order before the exchange does.

A line is one batch that was synced as a whole: `<crc32 of the rest, 8 hex digits> <JSON>`, {at_ms, records}; `at_ms` is
the wall clock when it was written, for whoever has to explain an order later, and decides nothing. A program or machine
that dies while it writes leaves a last line without an end: the file is cut off before it at the next start, as nothing
that was being written had been sent. Any other bad line is damage that nobody can explain away, and is refused: an
order might be unknown in it.

Appending is durable when it returns (fsync, in a thread); what is appended meanwhile goes with the next batch. The file
is written anew when it has grown to several times of what it must hold: beside the old one, then renamed over it.

Opening writes it anew, too, and that is what fences off an adapter of the same name that is still alive: its file is
not the one of that name any more, and it writes no more, so it sends no more. A lock is held while something is read
or written, not longer: what one adapter was told is durable, the next one has read. There is no lock for a lifetime,
as who restarts a program that hangs wants the new one to trade.
"""

import asyncio
import contextlib
import fcntl
import json
import logging
import os
import time
import zlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final

from reference_impl._binance.faults import BinanceError
from reference_impl._binance.intents import Intents, Record

log = logging.getLogger(__name__)

_COMPACT_AT: Final = 4 * 1024 * 1024
"""Bytes below which a file is never written anew."""
_GROWTH: Final = 4
_DIGITS: Final = 8


def encode(records: Iterable[Record], at_ms: int) -> bytes:
    """Return the line of a batch."""
    text = json.dumps({"at_ms": at_ms, "records": list(records)}, separators=(",", ":")).encode()
    return b"%08x %b\n" % (zlib.crc32(text), text)


def read(content: bytes, intents: Intents) -> int:
    """Apply the records of a file; return how many of its bytes are good.

    Raises `ValueError` if a bad line is not the last, or has an end, or a good line makes no sense.
    """
    good = position = 0
    broken = False
    for line in content.splitlines(keepends=True):
        position += len(line)
        records = _decode(line)
        if records is None:
            broken = True
        elif broken:
            raise ValueError(f"the journal is damaged at byte {good}")
        else:
            try:
                for record in records:
                    intents.apply(record)
            except (KeyError, TypeError, ArithmeticError) as error:
                raise ValueError(f"a record of the journal makes no sense at byte {good}") from error
            good = position
    if broken and content.endswith(b"\n"):
        raise ValueError(f"the journal is damaged at byte {good}")
    return good


def _decode(line: bytes) -> list[Record] | None:
    checksum, space, text = line[:_DIGITS], line[_DIGITS : _DIGITS + 1], line[_DIGITS + 1 : -1]
    if not line.endswith(b"\n") or space != b" " or checksum != b"%08x" % zlib.crc32(text):
        return None
    records: list[Record] = json.loads(text)["records"]
    return records


class JournalFile:
    """The file. Blocking; one thread at a time.

    All that write raise `OSError`, also if another adapter has opened the journal since.
    """

    def __init__(self, path: Path, *, compact_at: int = _COMPACT_AT) -> None:
        self._path = path
        self._compact_at = compact_at
        self._file = -1
        self._identity = (0, 0)
        self._size = 0
        self._compacted = 0
        self._torn = False

    def open(self, intents: Intents) -> None:
        """Read what there is, and write it anew without what is over. Raises `OSError`, `ValueError`."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        while not self._seized():
            pass  # another adapter opened it in the same moment; the last one has it
        try:
            content = self._path.read_bytes()
            good = read(content, intents)
            if good < len(content):
                log.warning("journal %s: %d bytes of a torn write dropped", self._path.name, len(content) - good)
            self._replace(intents.records())
        except BaseException:
            self.close()
            raise

    def append(self, lines: bytes) -> None:
        """Write and sync. Raises `OSError`; then nothing of it is in the file, at the latest before the next one is."""
        with self._locked():
            if self._torn:
                self._cut_off()
            try:
                _write(self._file, lines)
                os.fsync(self._file)
            except OSError:
                self._torn = True
                with contextlib.suppress(OSError):
                    self._cut_off()
                raise
            self._size += len(lines)

    def rewrite(self, records: Iterable[Record]) -> None:
        """Have the file hold exactly these. Raises `OSError`; the old one is then in force."""
        with self._locked():
            self._replace(records)

    @property
    def grown(self) -> bool:
        """Whether it is worth being written anew."""
        return self._size > max(self._compact_at, self._compacted * _GROWTH)

    def put_off(self) -> None:
        """Do not try to write it anew before it has grown again."""
        self._compacted = self._size

    def close(self) -> None:
        """Close it."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def _seized(self) -> bool:
        """Open and lock it; return whether it still is the journal now that it is locked."""
        self._hold(os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600))
        fcntl.flock(self._file, fcntl.LOCK_EX)
        if self._current():
            return True
        self.close()
        return False

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        file = self._file
        fcntl.flock(file, fcntl.LOCK_EX)
        try:
            if not self._current():
                raise OSError("the journal is another file now (opened by another adapter?); this one must not write")
            yield
        finally:
            if file == self._file:  # else it was replaced, and closing it took the lock with it
                fcntl.flock(file, fcntl.LOCK_UN)

    def _current(self) -> bool:
        """Return whether ours is the file of that name; as it is open, no other one can have its number."""
        try:
            there = self._path.stat()
        except FileNotFoundError:
            return False
        return (there.st_dev, there.st_ino) == self._identity

    def _hold(self, file: int) -> None:
        self.close()
        self._file = file
        status = os.fstat(file)
        self._identity = (status.st_dev, status.st_ino)

    def _replace(self, records: Iterable[Record]) -> None:
        fresh = self._path.with_name(f"{self._path.name}.new")
        content = b"".join(encode([record], _wall_ms()) for record in records)
        file = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            _write(file, content)
            os.fsync(file)
            fresh.replace(self._path)
            _sync_directory(self._path.parent)
        except OSError:
            os.close(file)
            raise
        self._hold(file)
        self._size = self._compacted = len(content)
        self._torn = False

    def _cut_off(self) -> None:
        os.ftruncate(self._file, self._size)
        self._torn = False


class Journal:
    """The file, its thread, and the intents that it tells of."""

    def __init__(self, path: Path, *, compact_at: int = _COMPACT_AT) -> None:
        self.intents = Intents()
        self._journal_file = JournalFile(path, compact_at=compact_at)
        self._waiting: list[tuple[Sequence[Record], asyncio.Future[None]]] = []
        self._writer: asyncio.Task[None] | None = None
        self._open = False

    async def open(self) -> None:
        """Read it. Raises `BinanceError` (`journal`)."""
        try:
            await asyncio.to_thread(self._journal_file.open, self.intents)
        except (OSError, ValueError) as error:
            raise BinanceError("journal", str(error)) from error
        self._open = True

    async def append(self, records: Sequence[Record]) -> None:
        """Return when they are durable and taken into account. Raises `BinanceError` (`journal`, `closed`)."""
        if not self._open:
            raise BinanceError("closed", "the journal is not open")
        written: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((records, written))
        if self._writer is None:
            self._writer = asyncio.create_task(self._write(), name="binance-journal")
        await written

    async def close(self) -> None:
        """Write what is waiting, and close."""
        self._open = False
        if self._writer is not None:
            await self._writer
        await asyncio.to_thread(self._journal_file.close)

    async def _write(self) -> None:
        try:
            while self._waiting:
                batch, self._waiting = self._waiting, []
                records = [record for told, _ in batch for record in told]
                error = await self._write_batch(records)
                for _, written in batch:
                    if written.done():  # its waiter was cancelled; the record stands all the same
                        continue
                    if error is None:
                        written.set_result(None)
                    else:
                        written.set_exception(BinanceError("journal", error))
                if self._journal_file.grown:
                    await self._compact()
        finally:
            self._writer = None

    async def _write_batch(self, records: Sequence[Record]) -> str | None:
        try:
            await asyncio.to_thread(self._journal_file.append, encode(records, _wall_ms()))
        except OSError as error:
            return str(error)
        for record in records:
            self.intents.apply(record)
        return None

    async def _compact(self) -> None:
        records = list(self.intents.records())
        try:
            await asyncio.to_thread(self._journal_file.rewrite, records)
        except OSError as error:
            log.warning("journal: not written anew: %s", error)
            self._journal_file.put_off()


def _wall_ms() -> int:
    return int(time.time() * 1_000)


def _write(file: int, content: bytes) -> None:
    rest = memoryview(content)
    while rest:
        rest = rest[os.write(file, rest) :]


def _sync_directory(path: Path) -> None:
    directory = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
