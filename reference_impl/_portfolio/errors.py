"""What the portfolio raises.

PortfolioError
├── EntryError      a trade or an income entry makes no sense
├── ConflictError   an id that is known came again with other figures
├── PriceError      a position or an asset has no price to be valued at
├── StorageError    the disk refuses, or somebody else uses the journal
└── ClosedError     the portfolio was not started, or is closed

With all of them it is certain that nothing was changed. `reason` is a short word for logs and counters.

UnfinishedError     something was changed before it failed; bears no `reason`, and is none of the above
"""

from collections.abc import Sequence
from typing import ClassVar


class PortfolioError(Exception):
    """Base of all errors of the portfolio."""

    reason: ClassVar[str] = "error"


class EntryError(PortfolioError, ValueError):
    """A field is missing, of the wrong type, not finite, or out of bounds. Nothing of its batch was taken."""

    reason = "invalid"


class ConflictError(PortfolioError):
    """Two different trades cannot have one id: one of the sources is wrong. Nothing of its batch was taken."""

    reason = "conflict"


class PriceError(PortfolioError):
    """Equity was asked for without a price of something that is held, or owed."""

    reason = "no_price"


class StorageError(PortfolioError):
    """The journal or the snapshot cannot be written or read."""

    reason = "storage"


class ClosedError(PortfolioError):
    """The portfolio was not started, or is closed."""

    reason = "closed"


class UnfinishedError(Exception):
    """It failed when trades had been taken, which stay; `__cause__` says why.

    `backfilled`: those that a comparison took, symbol and id. Empty if a batch is in the journal, but not in the
    figures: such a portfolio does nothing more, and its next start knows the batch.
    """

    def __init__(self, message: str, backfilled: Sequence[tuple[str, int]] = ()) -> None:
        super().__init__(message)
        self.backfilled = tuple(backfilled)
