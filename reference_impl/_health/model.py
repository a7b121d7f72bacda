"""What there is to say about a service: its state, what a check found, what is told of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final
from urllib.parse import urlsplit

STALE_INTERVALS: Final = 2


class State(StrEnum):
    """How a service, or all of them, are. CRITICAL: it does not work. UNKNOWN: no recent check tells."""

    HEALTHY = "HEALTHY"
    DEGRADED = "DEGRADED"
    CRITICAL = "CRITICAL"
    UNKNOWN = "UNKNOWN"


SEVERITY: Final[Mapping[State, int]] = {State.HEALTHY: 0, State.DEGRADED: 1, State.CRITICAL: 2}
"""Of what a check can find. UNKNOWN has none: it is not found, it is the lack of a finding."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """One service: the URL of its health endpoint, whether all is lost without it, and what it cannot work without.

    Raises ValueError for a URL that is not HTTP or carries credentials: what is shown must be fit to be seen.
    """

    name: str
    url: str
    critical: bool = True
    depends_on: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        parts = urlsplit(self.url)
        if not self.name or parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(f"a service needs a name and an http(s) URL of its health endpoint: {self.name!r}")
        if parts.username or parts.password:
            raise ValueError(f"service {self.name!r}: credentials do not belong into a URL")


@dataclass(frozen=True, slots=True)
class Reading:
    """What one check found, and why: one of the few words of `verdict.py` and `probe.py`, never a service's text."""

    state: State
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Change:
    """A service's state changed. `at` is on the caller's clock."""

    service: str
    before: State
    after: State
    reason: str
    at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """What a person is told, once for each change that lasts.

    `kind`: `down`, `degraded`, `recovered`, or `flapping`: it changes so often that nothing more is told of it until it
    has been calm for a while. `affected` names what cannot work without it; of these nothing is told by itself.
    `id` stays the same if, after a crash, the same is told again. `at` is wall-clock time in seconds.
    """

    id: str
    service: str
    kind: str
    state: State
    reason: str
    affected: tuple[str, ...]
    at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How services are watched. Durations are seconds. Raises ValueError for what makes no sense.

    Args:
        interval: Between the beginnings of two checks of a service that is as it was.
        fast_interval: The same while its last check contradicts its state. HAProxy's `fastinter`.
        timeout: What a check may take altogether: connecting, waiting, and reading to the last byte.
        fall: So many checks in a row make it worse.
        rise: So many make it better.
        body_bytes_max: A longer answer is no health report.
        flap_changes: So many alerts of one service within `flap_window`, and the next is `flapping`.
        flap_window: See there. Without a change for half of it, the service is calm again.
        history_max: How many changes and alerts are remembered, each.

    """

    interval: float = 5.0
    fast_interval: float | None = None
    timeout: float = 2.0
    fall: int = 2
    rise: int = 2
    body_bytes_max: int = 65_536
    flap_changes: int = 3
    flap_window: float | None = None
    history_max: int = 1_000

    def __post_init__(self) -> None:
        if not 0 < self.timeout <= self.interval:
            raise ValueError(f"0 < timeout ({self.timeout}) <= interval ({self.interval}) does not hold")
        if not 0 < self.fast <= self.interval:
            raise ValueError(f"0 < fast_interval ({self.fast}) <= interval ({self.interval}) does not hold")
        if min(self.fall, self.rise, self.body_bytes_max, self.flap_changes, self.history_max) < 1:
            raise ValueError("fall, rise, body_bytes_max, flap_changes and history_max must be at least 1")
        if self.flap_span <= 0:
            raise ValueError(f"flap_window must be above 0, not {self.flap_window}")

    @property
    def fast(self) -> float:
        """The interval while a change is being confirmed: half of the ordinary one, unless given."""
        return self.interval / 2 if self.fast_interval is None else self.fast_interval

    @property
    def stale_after(self) -> float:
        """So long after the end of its last check nothing is known of a service: two were missed."""
        return STALE_INTERVALS * self.interval + self.timeout

    @property
    def flap_span(self) -> float:
        """The window in which alerts are counted: 15 intervals, unless given."""
        return 15 * self.interval if self.flap_window is None else self.flap_window


def check_services(services: Sequence[Service]) -> None:
    """Raise ValueError unless names are unique and dependencies are among them, without a circle."""
    by_name = {service.name: service for service in services}
    if len(by_name) < len(services) or not services:
        raise ValueError("there must be services to watch, each with a name of its own")
    for service in services:
        if unknown := [name for name in service.depends_on if name not in by_name]:
            raise ValueError(f"service {service.name!r} depends on {unknown}, which are not watched")
        if service.name in causes_of(service.name, by_name):
            raise ValueError(f"service {service.name!r} depends on itself")


def causes_of(name: str, services: Mapping[str, Service]) -> tuple[str, ...]:
    """Return everything that this service depends on, over however many others, each once."""
    found: dict[str, None] = {}
    todo = list(services[name].depends_on)
    while todo:
        one = todo.pop(0)
        if one not in found:
            found[one] = None
            todo += services[one].depends_on
    return tuple(found)


def overall(states: Mapping[str, State], services: Sequence[Service]) -> State:
    """Return the state of all together: the worst, CRITICAL only if a critical service is.

    UNKNOWN is worse than DEGRADED: it may be hiding anything.
    """
    rank = (State.HEALTHY, State.DEGRADED, State.UNKNOWN, State.CRITICAL)
    capped = (
        State.DEGRADED if states[one.name] is State.CRITICAL and not one.critical else states[one.name]
        for one in services
    )
    return max(capped, key=rank.index)
