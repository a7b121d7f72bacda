"""What the adapter needs of a rate limiter."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol


class Permit(Protocol):
    """Leave to send one request. Exactly one of the three methods is called."""

    @property
    def revoked(self) -> bool:
        """Whether the exchange has said to wait since; then it is `unused`."""

    def answered(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        """Take the answer: what is used up, and whether to wait."""

    def lost(self) -> None:
        """Take that it was sent and not answered: it may count."""

    def unused(self) -> None:
        """Take it back: it was not sent."""


class Limiter(Protocol):
    """See `reference_impl.rate_limiter`."""

    @property
    def limited_at(self) -> float:
        """When the exchange last said, to anybody who shares the limiter, that a limit is broken; `-inf` for never.

        A limit may have been lowered then, or be lowered by what was said; only `use_limits` raises it again.
        """

    async def acquire(
        self, weight: int = 1, *, orders: int = 0, risk: bool = False, deadline: float | None = None
    ) -> Permit:
        """Return when a request may be sent. Raises an error with a `reason`; `deadline` is monotonic seconds."""

    def set_server_time(self, server_ms: int, at_monotonic: float, *, sent_at: float | None = None) -> None:
        """Take the exchange's time, from an answer received and sent at these monotonic seconds."""

    def close(self) -> None:
        """Refuse all who wait and come."""

    def use_limits(self, rate_limits: Sequence[Mapping[str, Any]]) -> None:
        """Take exchangeInfo's `rateLimits`."""
