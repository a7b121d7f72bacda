"""What the adapter raises, and what its callers can tell apart: every error bears a `reason`.

| reason | what happened | sent? |
|---|---|---|
| `rate_limited`, `banned` | the exchange said to wait for longer than the deadline allows | no |
| `deadline` | the time was up before there was an answer | perhaps |
| `unreachable` | no connection, or it broke before the answer | perhaps |
| `unavailable` | the exchange answered that it cannot serve just now | yes |
| `blocked` | its firewall answered (403) | not past it |
| `rejected` | a definite no; `code` is the exchange's | yes |
| `unknown` | an order may be alive that could not be asked about | yes |
| `journal` | intents cannot be written down (disk full); nothing is sent without that | no |
| `closed` | the adapter is not open | no |
"""

from typing import Final, Literal, TypeAlias

Reason: TypeAlias = Literal[
    "rate_limited",
    "banned",
    "deadline",
    "unreachable",
    "unavailable",
    "blocked",
    "rejected",
    "unknown",
    "journal",
    "closed",
]

LIMITER_REASONS: Final = frozenset({"rate_limited", "banned", "deadline", "closed"})


class BinanceError(Exception):
    """Base of all errors of the adapter. `reason` is one of `Reason`; `code` is the exchange's, where it gave one.

    No text of these errors holds a signature, a key or a request's parameters.
    """

    def __init__(self, reason: Reason, text: str, *, code: int | None = None) -> None:
        super().__init__(f"{reason}: {text}")
        self.reason: Reason = reason
        self.code = code


class RejectedError(BinanceError):
    """The exchange said no for good (`rejected`): asking again would not help."""

    def __init__(self, text: str, *, code: int | None = None) -> None:
        super().__init__("rejected", text, code=code)


class UnsettledError(BinanceError):
    """An order may be alive (`unknown`); `client_order_id` is its name."""

    def __init__(self, text: str, *, client_order_id: str) -> None:
        super().__init__("unknown", text)
        self.client_order_id = client_order_id
