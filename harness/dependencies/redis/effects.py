"""What goes into the log instead of the command itself, where running it again could come out differently.

Nearly every command is deterministic given the keyspace and the clock, and both are restored at replay. The exceptions
draw lots (SPOP) or read fakeredis' own clock (expiry of hash fields); XADD replaces its own id (stream_commands.py).
"""

from typing import Final

import hiredis

from harness.dependencies.redis.commands import parse_int

UNSTABLE: Final = frozenset((b"spop", b"hexpire", b"hpexpire"))
"""The names of those commands, in lower case."""


def resolved_effect(argv: list[bytes], now_ms: int, reply: bytes) -> list[bytes]:
    """Return the arguments of a command that has the same effect whenever it is run."""
    name = argv[0].lower()
    if name == b"spop":
        reader = hiredis.Reader()
        reader.feed(reply)
        popped = reader.gets()
        if not isinstance(popped, bytes):
            return [b"SREM", argv[1], *sorted(popped)]
        return [b"SREM", argv[1], popped]
    if name == b"hexpire":
        return [b"HPEXPIREAT", argv[1], b"%d" % (now_ms + parse_int(argv[2]) * 1000), *argv[3:]]
    if name == b"hpexpire":
        return [b"HPEXPIREAT", argv[1], b"%d" % (now_ms + parse_int(argv[2])), *argv[3:]]
    return argv
