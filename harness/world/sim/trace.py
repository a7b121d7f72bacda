"""The trace: a digest over everything that happened in a run, and on demand the same as rows of text.

Two runs took the same course if, and for all practical purposes only if, their digests are equal. The digest covers
every step (whose, and which task), every jump of the clock, every segment with its bytes, and every change of a
host or link. It is fed on the hottest paths of the simulation, hence the plain bytearray that is hashed in batches.
"""

import hashlib
import struct
from collections.abc import Iterable
from itertools import zip_longest
from typing import Final

STEP: Final = struct.Struct("<HI").pack
"""Code of the incarnation, number of the task (0 = a plain callback)."""
JUMP: Final = struct.Struct("<cQ").pack
"""`t`, new time in ns."""
SEGMENT: Final = struct.Struct("<cQQHHI").pack
"""Kind, time sent, time due, code of source, code of destination, length; the bytes follow."""

_FLUSH_AT: Final = 1 << 16
_DIGEST_CHARS: Final = 32


class Trace:
    """A digest in the making. `rows` is None unless text rows are recorded (at most `rows_max` of them)."""

    __slots__ = ("_hash", "_rows_max", "buffer", "dropped_rows", "rows", "sealed")

    def __init__(self, *, rows_max: int = 0) -> None:
        self.buffer = bytearray()
        self.rows: list[str] | None = [] if rows_max else None
        self.dropped_rows = 0
        self.sealed: str | None = None
        self._rows_max = rows_max
        self._hash = hashlib.sha256()  # processors have instructions for it: 1.8 GB/s, Python's blake2b 0.26

    def flush_if_full(self) -> None:
        """Hash what has gathered, if that is worth a call."""
        if len(self.buffer) >= _FLUSH_AT:
            self.flush()

    def flush(self) -> None:
        """Hash what has gathered."""
        if self.sealed is None:
            self._hash.update(self.buffer)
        self.buffer.clear()

    def note(self, time_ns: int, text: str) -> None:
        """Record a rare event: a change of a host or a link."""
        self.buffer += b"n%d %s\n" % (time_ns, text.encode())
        self.row(time_ns, text)

    def row(self, time_ns: int, text: str) -> None:
        """Record a row of text, if rows are recorded at all. The digest does not depend on rows."""
        if self.rows is None or self.sealed is not None:
            return
        if len(self.rows) < self._rows_max:
            self.rows.append(f"{time_ns} {text}")
        else:
            self.dropped_rows += 1

    def seal(self) -> str:
        """Return the digest; nothing that happens later changes it."""
        if self.sealed is None:
            self.flush()
            self.sealed = self._hash.hexdigest()[:_DIGEST_CHARS]
        return self.sealed


def describe_difference(first: Iterable[str], second: Iterable[str]) -> str | None:
    """Return a text that shows the first row in which two recorded traces differ, after three before it, or None."""
    before: list[str] = []
    for number, (ours, theirs) in enumerate(zip_longest(first, second, fillvalue="(the trace ends)")):
        if ours != theirs:
            lines = [*(f"    {row}" for row in before), f"  - {ours}", f"  + {theirs}"]
            return "\n".join([f"the traces differ at row {number}:", *lines])
        before = [*before[-2:], ours]
    return None
