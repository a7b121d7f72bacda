"""What leaves an exchange."""

from harness.toxics.base import Item


class Outlet:
    """Bytes and signals by direction, in order."""

    __slots__ = ("downstream", "upstream")

    upstream: list[Item]
    downstream: list[Item]

    def __init__(self) -> None:
        self.upstream = []
        self.downstream = []
