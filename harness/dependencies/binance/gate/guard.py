"""What becomes of an IP that breaks limits: 429, and 418 for who goes on; a state machine, the time is passed in.

Binance publishes neither how many 429s earn a ban nor how bans grow; `Settings` says what is assumed. A request refused
with 429 is a strike. `strikes` of them within any span of `strike_window_ms` earn a ban, the last of them is answered
with it, and the count begins anew. Requests during a ban are strikes as well, and earn the next longer ban. How often
an IP was banned is never forgotten ("longer for repeat offenders").
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Ban:
    """A ban as it begins. `strikes`: requests that earned it; 0 for an imposed one."""

    length_ms: int
    until_ms: int
    earned: bool
    strikes: int


class Guard:
    """One IP's record. `until_ms` is when its ban ends (0: never banned); a ban includes all before that instant."""

    __slots__ = ("_bans_ms", "_earned_until_ms", "_imposed_until_ms", "_needed", "_recent", "_span_ms", "level")

    def __init__(self, *, strikes: int, strike_window_ms: int, bans_ms: Sequence[int]) -> None:
        self._needed = strikes
        self._span_ms = strike_window_ms
        self._bans_ms = tuple(bans_ms)
        self._recent: deque[int] = deque()
        self._earned_until_ms = 0
        self._imposed_until_ms = 0
        self.level = 0

    @property
    def until_ms(self) -> int:
        """When the ban ends, or ended."""
        return max(self._earned_until_ms, self._imposed_until_ms)

    def banned(self, wall_ms: int) -> bool:
        """Whether requests are answered with 418 now."""
        return wall_ms < self._earned_until_ms or wall_ms < self._imposed_until_ms

    def strike(self, wall_ms: int) -> Ban | None:
        """Count a request that was refused with 429, or sent in spite of a ban; return the ban that this earns."""
        recent = self._recent
        recent.append(wall_ms)
        while recent[0] <= wall_ms - self._span_ms:
            recent.popleft()
        if len(recent) < self._needed:
            return None
        recent.clear()
        length_ms = self._bans_ms[min(self.level, len(self._bans_ms) - 1)]
        self.level += 1
        self._earned_until_ms = max(self._earned_until_ms, wall_ms + length_ms)
        return Ban(length_ms=length_ms, until_ms=self._earned_until_ms, earned=True, strikes=self._needed)

    def impose(self, until_ms: int, wall_ms: int) -> Ban:
        """Ban it for nothing that it did, until `until_ms`, in place of any imposed before; 0 lifts that.

        This is no mark on its record, and earned bans stay.
        """
        self._imposed_until_ms = until_ms
        return Ban(length_ms=until_ms - wall_ms, until_ms=until_ms, earned=False, strikes=0)
