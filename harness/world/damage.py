"""Damage to the files of a host that is down, as a power cut, a dying disk or a person leaves them. For both worlds.

A program that dies has the kernel write what it wrote; a machine that dies has not. What such a machine finds when it
starts again is not simulated write by write but drawn from what is known to happen: a file cut off where the write
stopped, empty (created, renamed, its data never written), a stretch of zeros (allocated, never written), a stretch of
something else, or no file.
"""

import os
from collections.abc import Callable, Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Final, TypeAlias

from harness.history.events import Fields
from harness.tape import Stream

_STRETCH_BYTES_MAX: Final = 4_096
_BYTE_VALUES: Final = 256

_Damage: TypeAlias = Callable[[Path, bytes, Stream], None]


def damage(disk: Path, pattern: str, mode: str, stream: Stream) -> list[Fields]:
    """Damage every file on the disk whose path from there matches the glob `pattern`, in the order of their names.

    Return for each that is not what it was `{file, mode, bytes, changed}`: its size before, and how many of these bytes
    are gone or different. Empty files cannot be damaged but by removing them.
    """
    files = sorted(path for path in disk.rglob("*") if path.is_file() and not path.is_symlink())
    done = [_damage(disk, path, mode, stream) for path in files if fnmatchcase(str(path.relative_to(disk)), pattern)]
    return [one for one in done if one["changed"] or mode == "removed"]


def _damage(disk: Path, path: Path, mode: str, stream: Stream) -> Fields:
    before = path.read_bytes()
    DAMAGES[mode](path, before, stream)
    after = path.read_bytes() if path.exists() else b""
    same = sum(old == new for old, new in zip(before, after, strict=False))
    return {
        "file": str(path.relative_to(disk)),
        "mode": mode,
        "bytes": len(before),
        "changed": len(before) - same,
    }


def _truncated(path: Path, before: bytes, stream: Stream) -> None:
    if before:
        os.truncate(path, stream.below(len(before)))


def _emptied(path: Path, before: bytes, stream: Stream) -> None:
    del before, stream
    os.truncate(path, 0)


def _zeroed(path: Path, before: bytes, stream: Stream) -> None:
    start, length = _stretch(before, stream)
    path.write_bytes(before[:start] + bytes(length) + before[start + length :])


def _garbled(path: Path, before: bytes, stream: Stream) -> None:
    """No byte of the stretch keeps its value."""
    start, length = _stretch(before, stream)
    other = bytes((byte + 1 + stream.below(_BYTE_VALUES - 1)) % _BYTE_VALUES for byte in before[start : start + length])
    path.write_bytes(before[:start] + other + before[start + length :])


def _removed(path: Path, before: bytes, stream: Stream) -> None:
    del before, stream
    path.unlink()


def _stretch(before: bytes, stream: Stream) -> tuple[int, int]:
    """Draw where a stretch begins and how long it is; of an empty file, nothing."""
    if not before:
        return 0, 0
    start = stream.below(len(before))
    return start, 1 + stream.below(min(_STRETCH_BYTES_MAX, len(before) - start))


DAMAGES: Final[Mapping[str, _Damage]] = {
    "truncated": _truncated,
    "emptied": _emptied,
    "zeroed": _zeroed,
    "garbled": _garbled,
    "removed": _removed,
}
"""What can be done to a file, by mode."""
