"""What the emergency stop is made of: states, limits, where it stands, and the records of what happened."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

SYSTEM: Final = "system"
"""The actor of what nobody asked for: a limit, a silence, the end of a cooldown."""


class State(StrEnum):
    """DISABLED: out of service. Orders may go out in ARMED only."""

    DISABLED = "DISABLED"
    ARMED = "ARMED"
    TRIPPED = "TRIPPED"
    COOLING_DOWN = "COOLING_DOWN"


class EssError(Exception):
    """What the emergency stop raises."""


class StoreError(EssError):
    """The disk did not take it. Nothing was armed; what was to be stopped is stopped all the same."""


class RefusedError(EssError):
    """A person asked for what may not be done now. `code` is one of `CODES`."""

    CODES: Final[Mapping[str, str]] = {
        "not_tripped": "There is no trip to be reset.",
        "wrong_trip": "That trip is not the last one.",
        "stopping": "The stop is still being carried out.",
        "breached": "A limit is breached.",
        "no_metrics": "There are no fresh metrics.",
        "not_disabled": "It is in service already.",
        "not_armed": "Only what is armed can be taken out of service.",
    }

    def __init__(self, code: str) -> None:
        super().__init__(self.CODES[code])
        self.code = code


class OrdersStoppedError(EssError):
    """The order was not let out, or was cut off on its way: whether it went out must then be found out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """When to trip, and for how long. Shares are fractions of equity; a value on the limit breaches it.

    Raises `ValueError` for a limit that could never trip, or always would.
    """

    daily_drawdown: float = 0.05
    open_loss: float = 0.10
    consecutive_errors: int = 5
    cooldown_s: float = 900.0
    metrics_max_age_s: float = 10.0
    checkpoint_s: float = 5.0
    """How much of a cooldown a crash may cost: it is written down this often."""

    def __post_init__(self) -> None:
        shares = (self.daily_drawdown, self.open_loss)
        if not all(0 < share < 1 for share in shares):
            raise ValueError(f"limits are fractions between 0 and 1, not {shares}")
        spans = (self.cooldown_s, self.metrics_max_age_s, self.checkpoint_s)
        if not all(0 < span < float("inf") for span in spans) or self.consecutive_errors < 1:
            raise ValueError("spans must be positive seconds, and at least one error must be allowed for")


@dataclass(frozen=True, slots=True)
class Reading:
    """The last metrics: what they breach, and when they came (seconds on this process's monotonic clock)."""

    breaches: tuple[str, ...]
    at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """Where the emergency stop stands. What `saved` returns is durable; `reading` and `since` are this process's.

    `origin` names the file's first life: with the number of a transition it makes an id that is never used again, also
    when the file was lost. `since` is when the state was entered, or when the process or the last checkpoint began.
    """

    origin: str
    state: State = State.DISABLED
    number: int = 0
    trip: str = ""
    reason: str = ""
    errors: int = 0
    cooled_s: float = 0.0
    reading: Reading | None = None
    since: float = 0.0

    @property
    def transition(self) -> str:
        """The id of the last transition."""
        return f"{self.origin}-{self.number}"

    def saved(self) -> dict[str, Any]:
        """Return what is to survive a crash."""
        names = ("origin", "state", "number", "trip", "reason", "errors", "cooled_s")
        return {name: getattr(self, name) for name in names}


@dataclass(frozen=True, slots=True, kw_only=True)
class Transition:
    """One row of the audit trail. `at_ms` is the wall clock, for people; it decides nothing."""

    number: int
    id: str
    trip: str
    source: State
    target: State
    actor: str
    reason: str
    at_ms: int = 0

    def payload(self) -> dict[str, Any]:
        """Return what subscribers are told; `transition` is the same however often it is."""
        return {
            "transition": self.id,
            "trip": self.trip,
            "from": self.source,
            "to": self.target,
            "actor": self.actor,
            "reason": self.reason,
            "at_ms": self.at_ms,
        }

    @property
    def event_type(self) -> str:
        """`ess.tripped` and the like."""
        return f"ess.{self.target.lower()}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Incident:
    """Something else that people should find: a refused call or reset, a cancel of working orders that failed.

    `kind`: refused_call, refused_reset, cancel_failed, orders_linger.
    """

    kind: str
    actor: str
    detail: str
    source: str = ""
    code: str = ""
    count: int = 1
    at_ms: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Tripped:
    """The answer to a trip. `durable`: it survives a crash; if not, the disk refused and the log says so."""

    trip: str
    state: State
    durable: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class EssStatus:
    """The present figures; ages in seconds, None: never."""

    state: State
    transition: str
    trip: str
    reason: str
    breaches: tuple[str, ...]
    cooldown_left_s: float
    metrics_age_s: float | None
    consecutive_errors: int
    durable: bool
    unheard: int
