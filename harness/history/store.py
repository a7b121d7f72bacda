"""Histories on disk: JSON lines, one event a line, readable after a crash and never quietly wrong.

Each line is a JSON object of its own, so that `grep` and `jq` work on it. Its last member, `crc`, is a
CRC-32 over the line's other bytes *continued from the line before*. A flipped byte, a line cut out,
doubled or moved therefore breaks the chain where it happened, even if what is left is valid JSON. A cut
at the end does not: the lines before it still check, only a torn last line (one without its newline) is
dropped, and the history says that it is truncated.

While a run goes on its file is called `<name>.partial`; closing the store gives it its name. A file that
still has the former name is what a dead run left. The same events always give the same bytes: keys are
sorted, nothing else varies. JSON has no NaN and no infinities: they become null.
"""

import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Final, Self

import msgspec

from harness.errors import HistoryError
from harness.history.events import SCHEMA, SCHEMAS, Event
from harness.history.history import History

BUFFER_BYTES: Final = 64 * 1024
LINE_BYTES_MAX: Final = 4 * 1024 * 1024
"""A longer line is refused, in writing and in reading: a file without newlines must not fill the memory."""

_CRC: Final = b',"crc":"%08x"}\n'
_CRC_BYTES: Final = len(_CRC % 0)
_BODY_BYTES_MAX: Final = LINE_BYTES_MAX - _CRC_BYTES


class _Head(msgspec.Struct):
    """As much of the first line as every schema number shares."""

    event: str
    schema: int


def partial_path(path: Path) -> Path:
    """Return where the history is kept until its store is closed."""
    return path.with_name(f"{path.name}.partial")


class Store:
    """Writes a history: a `Sink`. Events reach the operating system at the latest every 64 KiB, or on `flush`.

    Used as a context manager it closes itself; on an exception it leaves the file under its partial name.
    """

    def __init__(self, path: Path) -> None:
        """Begin `<path>.partial`, replacing an old one. Raises `HistoryError` if it cannot be created."""
        self.path = path
        self._crc = 0
        self._encoder = msgspec.json.Encoder(order="deterministic")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = partial_path(path).open("wb", buffering=BUFFER_BYTES)
        except OSError as error:
            raise HistoryError(f"{path}: cannot be written: {error.strerror}") from error

    def record(self, event: Event) -> None:
        """Append one event. Raises `HistoryError` if the store is closed, or JSON cannot hold the event."""
        self.record_all((event,))

    def record_all(self, events: Iterable[Event]) -> None:
        """Append events, as `record` does each. In one loop: a run's tens of thousands are stored at once."""
        if self._file.closed:
            raise HistoryError(f"{self.path}: is closed, and an event came afterwards")
        encode, write = self._encoder.encode, self._file.write
        for event in events:
            try:
                try:
                    body = encode(event)
                except UnicodeEncodeError:  # half a surrogate pair, as in an error about an undecodable path
                    body = encode(_encodable(msgspec.to_builtins(event)))
            except (TypeError, ValueError, OverflowError, RecursionError) as error:
                raise HistoryError(f"{self.path}: JSON cannot hold an event of {event.actor}: {error}") from error
            if len(body) > _BODY_BYTES_MAX:
                raise HistoryError(f"{self.path}: an event of {event.actor} takes {len(body)} bytes; keep values small")
            self._crc = crc = zlib.crc32(body, self._crc)
            write(body[:-1] + _CRC % crc)

    def flush(self) -> None:
        """Hand everything recorded so far to the operating system."""
        self._file.flush()

    def close(self) -> None:
        """Flush, and give the file its name. Doing it again does nothing."""
        if not self._file.closed:
            self._file.close()
            partial_path(self.path).replace(self.path)

    def abandon(self) -> None:
        """Flush, and leave the file under its partial name: the run died."""
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.close()
        else:
            self.abandon()


def load(path: Path) -> History:
    """Read a history, complete or cut short.

    Raises `HistoryError`, in one line with path and line number, if the file is missing, empty, no history, of another
    schema, or damaged anywhere but at its end.
    """
    try:
        with path.open("rb") as file:
            return _read(file, path)
    except FileNotFoundError:
        partial = partial_path(path)
        hint = f"; its run was cut short, see {partial.name}" if partial.exists() else ""
        raise HistoryError(f"{path}: no such file{hint}") from None
    except OSError as error:
        raise HistoryError(f"{path}: cannot be read: {error.strerror}") from error


def _read(file: BinaryIO, path: Path) -> History:
    first = file.readline(LINE_BYTES_MAX)
    _check_head(first, path)
    file.seek(0)
    events: list[Event] = []
    torn = False
    decoder = msgspec.json.Decoder(Event)
    crc = 0
    for number, line in enumerate(_lines(file), 1):
        if not line.endswith(b"\n"):
            if len(line) >= LINE_BYTES_MAX:
                raise HistoryError(f"{path}:{number}: a line of more than {LINE_BYTES_MAX} bytes")
            torn = True
            break
        body = line[:-_CRC_BYTES] + b"}"
        crc = zlib.crc32(body, crc)
        if line[-_CRC_BYTES:] != _CRC % crc:
            raise HistoryError(f"{path}:{number}: damaged: the checksum does not match")
        try:
            events.append(decoder.decode(body))
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise HistoryError(f"{path}:{number}: not an event: {error}") from error
    try:
        return History.of(events, torn=torn)
    except HistoryError as error:
        raise HistoryError(f"{path}: {error}") from error


def _lines(file: BinaryIO) -> Iterator[bytes]:
    while line := file.readline(LINE_BYTES_MAX):
        yield line


def _check_head(line: bytes, path: Path) -> None:
    """Tell what is no history at all, or one of another age, from one that is damaged."""
    if not line:
        raise HistoryError(f"{path}: is empty")
    try:
        head = msgspec.json.decode(line, type=_Head)
    except (msgspec.DecodeError, UnicodeDecodeError):
        what = "is not a history" if line.endswith(b"\n") else "is not a history, or was cut within its first line"
        raise HistoryError(f"{path}:1: {what}") from None
    if head.event != "run_started":
        raise HistoryError(f"{path}:1: is not a history: it begins with {head.event!r}, not with 'run_started'")
    if head.schema not in SCHEMAS:
        raise HistoryError(f"{path}:1: has schema {head.schema}; this harness reads up to schema {SCHEMA}")
    if not line.endswith(b"\n"):
        raise HistoryError(f"{path}:1: was cut within its first line")


def _encodable(value: object) -> object:
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode()
    if isinstance(value, dict):
        return {_encodable(key): _encodable(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_encodable(item) for item in value]
    return value
