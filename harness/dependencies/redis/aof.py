"""The append-only file of a real server: where it was at a moment shortly before the crash."""

from pathlib import Path
from typing import Final

_STAMP: Final = b"#TS:"


def incremental_files(directory: Path) -> list[Path]:
    """Return the files that hold commands, oldest first; `directory` is the server's `appendonlydir`."""
    return sorted(directory.glob("*.incr.aof"), key=lambda path: int(path.name.split(".")[-3]))


def lose_since(directory: Path, since_s: int) -> int:
    """Drop every command executed at or after that unix second, as a power failure would; return the bytes lost.

    The server notes each new second before its first command (`aof-timestamp-enabled`), so the file is cut right
    there. Commands older than `since_s` stay, however rare writes were.
    """
    lost = 0
    cut = False
    for path in incremental_files(directory):
        content = path.read_bytes()
        at = 0 if cut else offset_of(content, since_s)
        if at < len(content):
            cut = True
            lost += len(content) - at
            with path.open("r+b") as file:
                file.truncate(at)
    return lost


def offset_of(content: bytes, since_s: int) -> int:
    """Return where the commands of that second or later begin; the length of the content if there are none.

    A command that was cut off in the middle counts as not there.
    """
    position = 0
    while position < len(content):
        end = content.find(b"\r\n", position)
        if end < 0:
            return position
        line = content[position:end]
        if line.startswith(b"#"):
            if line.startswith(_STAMP) and int(line[len(_STAMP) :]) >= since_s:
                return position
            position = end + 2
            continue
        following = _skip_command(content, end + 2, int(line[1:]))
        if following > len(content):
            return position
        position = following
    return position


def _skip_command(content: bytes, position: int, arguments: int) -> int:
    for _ in range(arguments):
        end = content.find(b"\r\n", position)
        if end < 0:
            return len(content) + 1
        position = end + 2 + int(content[position + 1 : end]) + 2
    return position
