"""One service's state, from its checks. Pure: times are passed in, on any clock that does not step.

- A state changes only when `fall` checks in a row say worse, or `rise` say better, so that one lost packet alarms
  nobody. It changes to what all of them prove: the mildest of those that said worse, the worst of those that said
  better.
- Of a service never checked, or not for long (`stale_after`: the monitor was dead, frozen or starved), nothing is
  known. The first good check ends that; a bad one has to be confirmed like any other.
"""

from reference_impl._health.model import SEVERITY, Change, Options, Reading, State


class Machine:
    """What is known of one service."""

    __slots__ = ("_checked_at", "_options", "_service", "_state", "_streak", "changed_at", "reason")

    def __init__(self, service: str, options: Options) -> None:
        self._service = service
        self._options = options
        self._state = State.UNKNOWN
        self._streak: list[Reading] = []
        self._checked_at: float | None = None
        self.changed_at: float | None = None
        """When the state became what it is; None before the first check."""
        self.reason = ""
        """Why it is not healthy."""

    def state(self, now: float) -> State:
        """Return the state as it is known at that time."""
        return State.UNKNOWN if self._is_stale(now) else self._state

    @property
    def checked_at(self) -> float | None:
        """When the last check ended; None before the first."""
        return self._checked_at

    @property
    def in_doubt(self) -> bool:
        """True while the last check contradicts the state, or nothing is known: the next check should come soon."""
        return bool(self._streak) or self._state is State.UNKNOWN

    def take(self, reading: Reading, now: float) -> Change | None:
        """Take the result of a check that ended now; return the change, if this makes one."""
        if self._is_stale(now):
            self._state = State.UNKNOWN
            self._streak = []
        self._checked_at = now
        if reading.state is self._state:
            self._streak = []
            self.reason = reading.reason
            return None
        if self._streak and self._is_worse(self._streak[-1]) != self._is_worse(reading):
            self._streak = []
        self._streak.append(reading)
        return self._change(now) if len(self._streak) >= self._needed(reading) else None

    def _is_stale(self, now: float) -> bool:
        return self._checked_at is None or now - self._checked_at > self._options.stale_after

    def _is_worse(self, reading: Reading) -> bool:
        return SEVERITY[reading.state] > SEVERITY.get(self._state, SEVERITY[State.DEGRADED])

    def _needed(self, reading: Reading) -> int:
        if self._is_worse(reading):
            return self._options.fall
        return 1 if self._state is State.UNKNOWN else self._options.rise

    def _change(self, now: float) -> Change:
        pick = min if self._is_worse(self._streak[-1]) else max
        proven = pick(reversed(self._streak), key=lambda one: SEVERITY[one.state])
        before, self._state = self._state, proven.state
        self._streak = []
        self.changed_at = now
        self.reason = proven.reason
        return Change(self._service, before, proven.state, proven.reason, now)
