"""What one bus counts while it runs; `BusStats` is its frozen picture."""

import msgspec


class Counters(msgspec.Struct):
    """Each figure is explained at its namesake in `model.BusStats`."""

    dropped: int = 0
    published_direct: int = 0
    published_buffered: int = 0
    resynced: int = 0
    republished: int = 0
    fallbacks: int = 0
    delivered: int = 0
    duplicates_dropped: int = 0
    handler_failures: int = 0
    dead_lettered: int = 0
    reconnects: int = 0
