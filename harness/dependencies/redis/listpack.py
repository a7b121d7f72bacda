"""The sizes of a real server's listpacks: they say where a stream's nodes end, and so what `MAXLEN ~` may remove."""

from collections.abc import Sequence
from typing import Final

NODE_ENTRIES_MAX: Final = 100
NODE_BYTES_MAX: Final = 4096
_LISTPACK_EMPTY_BYTES: Final = 7


def listpack_bytes(element: bytes) -> int:
    """Return what an element takes in a listpack: integers are packed, strings carry their length twice."""
    size = len(element)
    if size < 20 and element.isdigit() and (size == 1 or element[0] != 48):  # noqa: PLR2004 - 64 bits, ord("0")
        number = int(element)
        for limit, packed in ((127, 2), (4095, 3), (32767, 4), (8388607, 5), (2147483647, 6)):
            if number <= limit:
                return packed
        return 10
    encoded = size + (1 if size < 64 else 2 if size < 4096 else 5)  # noqa: PLR2004 - listpack's string headers
    return encoded + (1 if encoded < 128 else 2 if encoded < 16384 else 3)  # noqa: PLR2004 - its back lengths


class Node:
    """What one listpack of a real server would hold: the unit of approximate trimming."""

    __slots__ = ("fields", "last_id", "live", "size", "total")

    def __init__(self, fields: Sequence[bytes]) -> None:
        self.fields = tuple(fields)
        self.last_id = 0
        self.live = 0
        self.total = 0
        self.size = _LISTPACK_EMPTY_BYTES + 8 + sum(map(listpack_bytes, fields))

    def takes(self, fields: Sequence[bytes]) -> bool:
        """Tell whether an entry (field, value, field, value, ...) still goes in, by the rules of a real server."""
        return self.total < NODE_ENTRIES_MAX and self.size + sum(map(len, fields)) < NODE_BYTES_MAX

    def add(self, entry_id: int, fields: Sequence[bytes]) -> None:
        """Count an entry in."""
        names = fields[::2]
        same_fields = len(names) == len(self.fields) and tuple(names) == self.fields
        # Flags, two id differences and the element count; a plain guess of two bytes each suits all but odd clocks.
        self.size += 9 + sum(map(listpack_bytes, fields[1::2] if same_fields else fields))
        self.live += 1
        self.total += 1
        self.last_id = entry_id
