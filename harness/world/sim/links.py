"""Directed links between machines. `Link.fate` is the one place that decides what happens to a segment."""

from typing import TYPE_CHECKING, Final

from harness.tape import Stream
from harness.units import MILLISECOND

if TYPE_CHECKING:
    from harness.world.sim.host_link import HostLink

LATENCY_MIN_NS: Final = 100_000
LATENCY_MAX_NS: Final = MILLISECOND
LOOPBACK_MIN_NS: Final = 10_000
LOOPBACK_MAX_NS: Final = 40_000

LOST: Final = -1
"""A segment's fate: it does not arrive, and TCP has to send it again."""


class Link:
    """Everything from one machine to another, in one direction. `back` is the same in the other direction.

    `host_link` is the faults' handle of the way from a host to a dependency, if this is one. `refusing` and `deaf` are
    about connecting that way: answered by a reset, or not at all. `held_bytes` and `lost_connects` count, since the run
    began, the payload that cuts stopped and the handshake segments that they lost.
    """

    __slots__ = (
        "_below",
        "_low_ns",
        "_span",
        "back",
        "cut",
        "deaf",
        "destination_code",
        "held_bytes",
        "host_link",
        "lost_connects",
        "name",
        "refusing",
        "source_code",
    )

    back: "Link"

    def __init__(self, name: str, draws: Stream, source_code: int, destination_code: int) -> None:
        self.name = name
        self.source_code = source_code
        self.destination_code = destination_code
        self.cut = False
        self.refusing = False
        self.deaf = False
        self.held_bytes = 0
        self.lost_connects = 0
        self.host_link: HostLink | None = None
        self._below = draws.below
        self._low_ns = LATENCY_MIN_NS
        self._span = LATENCY_MAX_NS - LATENCY_MIN_NS + 1

    def set_latency(self, low_ns: int, high_ns: int) -> None:
        """Draw the latency of each segment from `[low_ns, high_ns]`."""
        if not 0 <= low_ns <= high_ns:
            raise ValueError(f"a latency between {low_ns} and {high_ns} ns")
        self._low_ns = low_ns
        self._span = high_ns - low_ns + 1

    def latency(self) -> tuple[int, int]:
        """Return the bounds of the latency in ns."""
        return self._low_ns, self._low_ns + self._span - 1

    def fate(self, size: int) -> int:  # noqa: ARG002 - bandwidth will need it
        """Return the time in ns that a segment of `size` bytes takes, or `LOST`."""
        if self.cut:
            return LOST
        return self._low_ns + self._below(self._span)
