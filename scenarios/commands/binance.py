"""An order executor that is a program of its own, as the port `binance`. Figures travel as text."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, Final, Literal

from scenarios.commands.program import Program
from scenarios.ports.binance import BinanceAdapter

_MORE_S: Final = 2.0
"""On top of a deadline, before the program counts as one that does not answer."""


@dataclass(frozen=True, slots=True)
class _Report:
    intent: str
    status: Literal["filled", "partial", "rejected", "abandoned", "unknown"]
    filled: Decimal
    missing: Decimal
    average_price: Decimal | None
    reason: str
    attempts: int


class CommandAdapter:
    """Asks the program for each thing that the port has."""

    def __init__(self, program: Program) -> None:
        self._program = program

    async def start(self) -> None:
        """Start the program."""
        await self._program.start()

    async def execute_order(
        self,
        symbol: str,
        side: Literal["BUY", "SELL"],
        quantity: Decimal,
        *,
        intent: str | None = None,
        decision_price: Decimal | None = None,
        max_slippage_bps: int = 50,
        reduce_only: bool = False,
        deadline_s: float = 30.0,
    ) -> _Report:
        """`POST /execute`."""
        body = {
            "symbol": symbol,
            "side": side,
            "quantity": str(quantity),
            "intent": intent,
            "decision_price": None if decision_price is None else str(decision_price),
            "max_slippage_bps": max_slippage_bps,
            "reduce_only": reduce_only,
        }
        return _report(await self._ask("/execute", body, deadline_s))

    async def place_limit(
        self, symbol: str, side: Literal["BUY", "SELL"], quantity: Decimal, price: Decimal, *, deadline_s: float = 30.0
    ) -> str:
        """`POST /limit`."""
        body = {"symbol": symbol, "side": side, "quantity": str(quantity), "price": str(price)}
        return str((await self._ask("/limit", body, deadline_s))["client_order_id"])

    async def cancel_order(self, symbol: str, client_order_id: str, *, deadline_s: float = 30.0) -> Decimal:
        """`POST /cancel`."""
        body = {"symbol": symbol, "client_order_id": client_order_id}
        return Decimal(str((await self._ask("/cancel", body, deadline_s))["executed"]))

    async def get(self, path: str, params: Mapping[str, Any], *, signed: bool = False, deadline_s: float = 30.0) -> Any:
        """`POST /get`."""
        answer = await self._ask("/get", {"path": path, "params": dict(params), "signed": signed}, deadline_s)
        return answer["body"]

    async def reconcile(self, *, deadline_s: float = 30.0) -> Mapping[str, _Report]:
        """`POST /reconcile`."""
        answer = await self._ask("/reconcile", {}, deadline_s)
        return {one["intent"]: _report(one) for one in answer["reports"]}

    async def close(self) -> None:
        """End the program."""
        await self._program.close()

    async def _ask(self, path: str, body: Mapping[str, Any], deadline_s: float) -> Any:
        return await self._program.ask(path, {**body, "deadline_s": deadline_s}, within_s=deadline_s + _MORE_S)


def _report(told: Mapping[str, Any]) -> _Report:
    price = told.get("average_price")
    return _Report(
        intent=str(told["intent"]),
        status=told["status"],
        filled=Decimal(str(told["filled"])),
        missing=Decimal(str(told["missing"])),
        average_price=None if price is None else Decimal(str(price)),
        reason=str(told.get("reason", "")),
        attempts=int(told.get("attempts", 1)),
    )


def make(
    *, base_url: str, api_key: str, api_secret: str, directory: Path, name: str, command: Sequence[str]
) -> BinanceAdapter:
    """Return the adapter that this command is."""
    program = Program(command, name=name, directory=directory, addresses={"BINANCE_BASE_URL": base_url})
    program.variables |= {"BINANCE_API_KEY": api_key, "BINANCE_API_SECRET": api_secret}
    return CommandAdapter(program)
