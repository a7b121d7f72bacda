"""Patch 7: an emergency stop, its gate for orders, and its HTTP API."""

from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, Literal, Protocol, TypeAlias

from harness.ports import Port

StateName: TypeAlias = Literal["DISABLED", "ARMED", "TRIPPED", "COOLING_DOWN"]


class Status(Protocol):
    """What an emergency stop says of itself."""

    @property
    def state(self) -> StateName:
        """Where it stands."""

    @property
    def transition(self) -> str:
        """The id of the transition that led there; opaque, and never used twice."""

    @property
    def trip(self) -> str:
        """The id of the last trip; empty if there was none."""


class AuditRow(Protocol):
    """One transition in the audit trail."""

    @property
    def id(self) -> str:
        """The id of the transition."""

    @property
    def trip(self) -> str:
        """The trip that it is, or that came last before it."""

    @property
    def source(self) -> StateName:
        """The state before."""

    @property
    def target(self) -> StateName:
        """The state after."""

    @property
    def actor(self) -> str:
        """Who did it; `system` for what nobody asked for."""

    @property
    def reason(self) -> str:
        """Why."""

    @property
    def at_ms(self) -> int:
        """When, by the wall clock."""


class Incident(Protocol):
    """Something else in the audit trail; `refused_call` is one that the HTTP API refused."""

    @property
    def kind(self) -> str:
        """What it is."""

    @property
    def actor(self) -> str:
        """Who; empty if that is unknown."""

    @property
    def source(self) -> str:
        """From where."""

    @property
    def code(self) -> str:
        """Why it was refused, as in the body of the answer."""

    @property
    def count(self) -> int:
        """How many calls it tells of; more than one in a flood."""


class Tripped(Protocol):
    """The answer to a trip."""

    @property
    def trip(self) -> str:
        """Its id."""

    @property
    def state(self) -> StateName:
        """The state now."""


class Gate(Protocol):
    """What every order goes out through."""

    def order(self) -> AbstractAsyncContextManager[None]:
        """Return the block in which one order goes out.

        Entering raises if orders are stopped; the block is cancelled by a trip, and leaving it then raises.
        """


class EmergencyStop(Protocol):
    """Patch 7. The factory is `make(*, directory, name, cancel_all, publish, tokens, **options)`.

    `directory` survives a kill, `name` is stable over restarts. `cancel_all()` cancels working orders, `publish(event
    type, payload)` publishes: both are awaited, and called again when they raise; `payload` has the `transition`'s and
    the `trip`'s ids and the state `to` which it led. `tokens` are operators' bearer tokens. Options in use are
    `cooldown_s`, `metrics_max_age_s` and `checkpoint_s`.

    `app()` is an ASGI application with `GET /api/ess/status`, `POST /api/ess/trigger` {reason} and
    `POST /api/ess/reset` {trip, reason}; the last two want an `X-Request-Id` that is good once.
    """

    @property
    def gate(self) -> Gate:
        """What every order goes out through."""

    async def start(self) -> None:
        """Go on from where the last life ended, or safer."""

    async def update_metrics(self, *, daily_drawdown: float, open_loss: float) -> StateName:
        """Take figures as fractions of equity; return the state, TRIPPED only once orders are stopped."""

    async def record_execution(self, *, ok: bool) -> StateName:
        """Take note of an executed order or one that failed; return the state, as `update_metrics` does."""

    async def trip(self, reason: str, *, actor: str = ...) -> Tripped:
        """Stop; return once no order is under way or can begin, and the trip is durable."""

    async def manual_reset(self, *, trip: str, operator: str, reason: str) -> AuditRow:
        """Arm it again after that trip; raises if that may not be."""

    async def arm(self, *, operator: str, reason: str) -> AuditRow:
        """Put a new one into service; raises if that may not be."""

    def can_execute_orders(self) -> bool:
        """Say whether an order may go out now."""

    def status(self) -> Status:
        """Return the present figures."""

    async def audit(self) -> Sequence[AuditRow]:
        """Return all transitions, oldest first."""

    async def incidents(self) -> Sequence[Incident]:
        """Return what else happened, oldest first."""

    def app(self) -> Any:
        """Return the ASGI application."""

    async def close(self) -> None:
        """Stop cleanly; the state stays as it is."""


CancelAll: TypeAlias = Callable[[], Awaitable[object]]


PORT = Port(
    name="ess",
    shape=EmergencyStop,
    keywords=(
        "directory",
        "name",
        "cancel_all",
        "publish",
        "tokens",
        "cooldown_s",
        "metrics_max_age_s",
        "checkpoint_s",
    ),
    trial="scenarios.trials.ess:talk",
)
