"""Has a real server load for as long as wanted: it starts with padding to read before its own data.

The padding is an RDB of many keys. `key-load-delay`, a setting that servers have for their own tests, makes each key
take a while, and as each is longer than `loading-process-events-interval-bytes`, clients are answered (`-LOADING`)
between any two. Both settings can be changed while the server loads, so that the rest is read in an instant.

With an append-only file, the padding is an incremental file before the others in the manifest, and ends with commands
that delete what it brought, so nobody ever sees its keys. Without one it is an RDB file of keys that expired long ago,
which a server skips after reading them.
"""

import struct
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final, Literal

from harness.dependencies.redis.resp import bulks
from harness.errors import WorldError

LOADING_S_MAX: Final = 300
"""The longest that a server can be kept loading, in seconds."""

_KEY_DELAY_US: Final = 20_000
_INTERVAL_BYTES: Final = 1_024  # the least that servers accept
_KEYS: Final = LOADING_S_MAX * 1_000_000 // _KEY_DELAY_US
_NAME: Final = "loading-padding"
_FILES: Final = "appendonlydir"
_MANIFEST: Final = "appendonly.aof.manifest"

_RDB_BEGIN: Final = b"REDIS0009\xfe\x00"  # version 9, which all servers in use read; database 0
_RDB_END: Final = b"\xff" + bytes(8)  # no checksum
_EXPIRED_STRING: Final = b"\xfc" + struct.pack("<Q", 1) + b"\x00"  # expired at 1 ms since the epoch; type string

HURRY: Final = (b"CONFIG", b"SET", b"key-load-delay", b"0", b"loading-process-events-interval-bytes", b"2097152")
"""The command that ends it: load the rest as fast as you can."""


def prolong(directory: Path, persistence: Literal["aof", "none"]) -> Sequence[str]:
    """Put the padding into a stopped server's directory; return the arguments that it must be started with.

    Raises WorldError if there is no append-only file to go with.
    """
    slowly = (
        *("--key-load-delay", str(_KEY_DELAY_US)),
        *("--loading-process-events-interval-bytes", str(_INTERVAL_BYTES)),
    )
    if persistence == "none":
        (directory / _NAME).write_bytes(_rdb())
        return (*slowly, "--dbfilename", _NAME)
    manifest = directory / _FILES / _MANIFEST
    try:
        lines = manifest.read_text().splitlines()
    except OSError as problem:
        raise WorldError(f"the server has left no append-only file: {problem}") from problem
    (directory / _FILES / _NAME).write_bytes(_rdb() + bulks((b"SELECT", b"0")) + bulks((b"DEL", *_names())))
    manifest.write_text("".join(f"{line}\n" for line in with_padding(lines)))
    return slowly


def shorten(directory: Path) -> None:
    """Take the padding out of a stopped server's directory again, if it is there."""
    (directory / _NAME).unlink(missing_ok=True)
    padding = directory / _FILES / _NAME
    if padding.exists():
        manifest = directory / _FILES / _MANIFEST
        lines = manifest.read_text().splitlines()
        manifest.write_text("".join(f"{line}\n" for line in lines if f"file {_NAME} " not in line))
        padding.unlink()


def with_padding(manifest: Sequence[str]) -> list[str]:
    """Return the lines of a manifest with the padding before its incremental files, whose numbers must ascend."""
    changed: list[str] = []
    padded = False
    for line in manifest:
        words = line.split()
        if not words or words[-1] != "i":
            changed.append(line)
            continue
        number_at = words.index("seq") + 1
        number = int(words[number_at])
        if not padded:
            changed.append(f"file {_NAME} seq {number} type i")
            padded = True
        words[number_at] = str(number + 1)
        changed.append(" ".join(words))
    if not padded:
        raise WorldError(f"no incremental file in the manifest: {manifest}")
    return changed


def _names() -> Iterator[bytes]:
    return (b"\x00%s:%d" % (_NAME.encode(), number) for number in range(_KEYS))


def _rdb() -> bytes:
    value = _string(bytes(_INTERVAL_BYTES))
    keys = [_EXPIRED_STRING + _string(name) + value for name in _names()]
    return b"".join([_RDB_BEGIN, *keys, _RDB_END])


def _string(text: bytes) -> bytes:
    """Return a string as RDB has it: a length of 14 bits, then the bytes."""
    return struct.pack(">H", 0x4000 | len(text)) + text
