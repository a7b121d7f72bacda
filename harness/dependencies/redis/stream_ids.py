"""Ids of stream entries: two 64-bit numbers that clients write `ms-seq`, here one integer, `ms << 64 | seq`."""

from functools import lru_cache
from typing import Final

from harness.dependencies.redis.resp import ReplyError

SEQ_BITS: Final = 64
SEQ_MAX: Final = (1 << 64) - 1
ID_MAX: Final = (1 << 128) - 1


def make_id(ms: int, seq: int) -> int:
    """Return the id of an entry from its two parts."""
    return ms << SEQ_BITS | seq


def format_id(entry_id: int) -> bytes:
    """Return an id as clients see it, `ms-seq`."""
    return b"%d-%d" % (entry_id >> SEQ_BITS, entry_id & SEQ_MAX)


@lru_cache(maxsize=4096)  # what one group acknowledges, the next one will too
def parse_id(text: bytes, seq_missing: int = 0) -> int:
    """Return the id that a client wrote, `ms` or `ms-seq`. Raises ReplyError."""
    ms, dash, seq = text.partition(b"-")
    if ms.isdigit() and (not dash or seq.isdigit()):
        ms_number = int(ms)
        seq_number = int(seq) if dash else seq_missing
        if ms_number <= SEQ_MAX and seq_number <= SEQ_MAX:
            return ms_number << SEQ_BITS | seq_number
    raise ReplyError("ERR Invalid stream ID specified as stream command argument")
