"""What an execution may want to be done next, and how orders are named."""

import hashlib
from dataclasses import dataclass
from decimal import Decimal
from typing import TypeAlias

from reference_impl._binance.report import Attempt, End


@dataclass(frozen=True, slots=True)
class Send:
    """Send this order. Call `begun` once it is written down and stamped, then `answered`; else `not_sent`."""

    number: int
    client_id: str
    quantity: Decimal
    price: Decimal

    def attempt(self, expires_ms: int) -> Attempt:
        """Return it as an attempt that nothing is known of yet."""
        return Attempt(
            number=self.number,
            client_id=self.client_id,
            quantity=self.quantity,
            price=self.price,
            expires_ms=expires_ms,
        )


@dataclass(frozen=True, slots=True)
class Query:
    """Ask for the order of this client id; then `told`. `urgent`: an order may be alive; else only a price is asked."""

    client_id: str
    urgent: bool = True


@dataclass(frozen=True, slots=True)
class Cancel:
    """Cancel it; then `cancelled`."""

    client_id: str


@dataclass(frozen=True, slots=True)
class Wait:
    """Do nothing until then."""

    until: float


@dataclass(frozen=True, slots=True)
class Finish:
    """Nothing more to do. `unknown` may go on with a new deadline (`Execution` again, with `sending=False`)."""

    end: End


Action: TypeAlias = Send | Query | Cancel | Wait | Finish


def client_id(intent: str, number: int) -> str:
    """Return the client order id of an attempt: the same in every life of the program, 28 characters of the 36."""
    return f"x-{hashlib.blake2b(intent.encode(), digest_size=12).hexdigest()}-{number}"
