"""All intents that are known, as the journal's records tell of them: pure, and rebuilt from those records.

A record is a JSON object with `t`, its type:

- `intent` {intent, symbol, side, quantity, limit, reduce_only}: what is wanted; again with another limit when it is
  asked for again.
- `attempt` {intent, n, id, quantity, price, expires_ms}: an order is about to be sent. It may or may not have been.
- `fate` {intent, n, executed, quote}: what became of it, for good.
- `end` {intent, status, reason}: the intent was reported on. Anything after it takes it back.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any, Final, TypeAlias

from reference_impl._binance.report import Attempt, End, ExecutionReport, Order, report

Record: TypeAlias = Mapping[str, Any]

_KEPT: Final = 10_000
"""Finished intents that are remembered, the latest; asked for again later than that, one would be executed again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Intent:
    """One intent's story. `end` is None while it is going on, or was when the program died."""

    order: Order
    attempts: tuple[Attempt, ...] = field(default=())
    end: End | None = None

    @property
    def finished(self) -> bool:
        """Whether it was reported on, and nothing is unknown."""
        return self.end is not None and self.end.status != "unknown"

    def report(self) -> ExecutionReport:
        """Return the report as it stands; `unknown` if it has not ended."""
        return report(self.order, self.attempts, self.end or End(status="unknown", reason="unknown"))


class Intents:
    """Intents by name, the least lately touched first."""

    def __init__(self, kept: int = _KEPT) -> None:
        self._kept = kept
        self._intents: dict[str, Intent] = {}

    def __iter__(self) -> Iterator[Intent]:
        return iter(self._intents.values())

    def get(self, name: str) -> Intent | None:
        """Return the intent of that name."""
        return self._intents.get(name)

    def apply(self, record: Record) -> None:
        """Take a record.

        Raises `KeyError`, `ValueError`, `TypeError` or `ArithmeticError` for one that makes no sense.
        """
        name = record["intent"]
        known = self._intents.pop(name, None)
        if record["t"] == "intent":
            changed = replace(known, order=_order(record), end=None) if known else Intent(order=_order(record))
        elif known is None:
            raise ValueError(f"a record of {record['t']} without its intent")
        else:
            changed = _applied(known, record)
        self._intents[name] = changed
        if len(self._intents) > self._kept:
            self._forget()

    def records(self) -> Iterator[Record]:
        """Return the fewest records that tell the same."""
        for intent in self._intents.values():
            yield intent_record(intent.order)
            for attempt in intent.attempts:
                yield attempt_record(intent.order.intent, attempt)
                if attempt.settled:
                    yield fate_record(intent.order.intent, attempt)
            if intent.end is not None:
                yield end_record(intent.order.intent, intent.end)

    def _forget(self) -> None:
        """Drop the oldest that is finished; one that is not is never dropped."""
        for name, intent in self._intents.items():
            if intent.finished:
                del self._intents[name]
                return


def intent_record(order: Order) -> Record:
    """Write down what is wanted."""
    return {
        "t": "intent",
        "intent": order.intent,
        "symbol": order.symbol,
        "side": order.side,
        "quantity": str(order.quantity),
        "limit": str(order.limit),
        "reduce_only": order.reduce_only,
    }


def attempt_record(intent: str, attempt: Attempt) -> Record:
    """Write down what is about to be sent."""
    return {
        "t": "attempt",
        "intent": intent,
        "n": attempt.number,
        "id": attempt.client_id,
        "quantity": str(attempt.quantity),
        "price": str(attempt.price),
        "expires_ms": attempt.expires_ms,
    }


def fate_record(intent: str, attempt: Attempt) -> Record:
    """Write down what became of it."""
    quote = None if attempt.quote is None else str(attempt.quote)
    return {"t": "fate", "intent": intent, "n": attempt.number, "executed": str(attempt.executed), "quote": quote}


def end_record(intent: str, end: End) -> Record:
    """Write down what is reported."""
    return {"t": "end", "intent": intent, "status": end.status, "reason": end.reason}


def _applied(intent: Intent, record: Record) -> Intent:
    match record["t"]:
        case "attempt":
            attempt = Attempt(
                number=int(record["n"]),
                client_id=record["id"],
                quantity=Decimal(record["quantity"]),
                price=Decimal(record["price"]),
                expires_ms=int(record["expires_ms"]),
            )
            others = tuple(old for old in intent.attempts if old.number != attempt.number)
            return replace(intent, attempts=(*others, attempt), end=None)
        case "fate":
            quote = None if record["quote"] is None else Decimal(record["quote"])
            executed = Decimal(record["executed"])
            attempts = tuple(
                replace(old, settled=True, executed=executed, quote=quote) if old.number == record["n"] else old
                for old in intent.attempts
            )
            return replace(intent, attempts=attempts)
        case "end":
            return replace(intent, end=End(status=record["status"], reason=record["reason"]))
        case other:
            raise ValueError(f"a record of type {other!r}")


def _order(record: Record) -> Order:
    return Order(
        intent=record["intent"],
        symbol=record["symbol"],
        side=record["side"],
        quantity=Decimal(record["quantity"]),
        limit=Decimal(record["limit"]),
        reduce_only=bool(record["reduce_only"]),
    )
