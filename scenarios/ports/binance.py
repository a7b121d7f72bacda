"""Patches 2 and 9: an adapter that executes orders on Binance within its limits."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Literal, Protocol

from harness.ports import Port


class ExecutionReport(Protocol):
    """What became of one intent: as much as the adapter knows, and never more than the exchange confirmed."""

    @property
    def intent(self) -> str:
        """The intent that it reports on."""

    @property
    def status(self) -> Literal["filled", "partial", "rejected", "abandoned", "unknown"]:
        """How it ended.

        `filled`: at least 90 %; `partial`: less; `rejected`: a terminal error; `abandoned`: given up with little or
        nothing filled (slippage, deadline, too many attempts); `unknown`: an order may be alive that could not be asked
        about yet.
        """

    @property
    def filled(self) -> Decimal:
        """Confirmed by the exchange, over all attempts."""

    @property
    def missing(self) -> Decimal:
        """Asked for and not filled."""

    @property
    def average_price(self) -> Decimal | None:
        """Over all fills; None without any."""

    @property
    def reason(self) -> str:
        """Why something is missing: a short code (`slippage`, `deadline`, `min_notional`, `-2019`); else empty."""

    @property
    def attempts(self) -> int:
        """How many orders were sent."""


class BinanceAdapter(Protocol):
    """Patches 2 and 9. The factory is `make(*, base_url, api_key, api_secret, directory, name, **options)`.

    `directory` survives a kill, `name` is stable over restarts. An error that a method raises bears a `reason`, a short
    text such as `rate_limited`, `banned`, `deadline`, `unreachable`, `unavailable`, `rejected`; any other counts as
    none that a caller could handle. Deadlines are seconds from the call; a call ends by then, whatever happens.
    """

    async def start(self) -> None:
        """Begin working; must succeed while the exchange is away. Finds what an earlier life left unfinished."""

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
    ) -> ExecutionReport:
        """Buy or sell at the market, no worse than the decision price and the slippage; report, also when not done.

        `intent` names what is wanted: asked for again after a crash, it is not done twice.
        """

    async def place_limit(
        self, symbol: str, side: Literal["BUY", "SELL"], quantity: Decimal, price: Decimal, *, deadline_s: float = 30.0
    ) -> str:
        """Leave an order resting in the book; return its client order id."""

    async def cancel_order(self, symbol: str, client_order_id: str, *, deadline_s: float = 30.0) -> Decimal:
        """Cancel it; return how much of it had been executed. One that is not open any more is no error."""

    async def get(self, path: str, params: Mapping[str, Any], *, signed: bool = False, deadline_s: float = 30.0) -> Any:
        """Return the decoded answer of a GET, such as `/fapi/v1/depth`."""

    async def reconcile(self, *, deadline_s: float = 30.0) -> Mapping[str, ExecutionReport]:
        """Settle with the exchange whatever is unknown, as far as that can be done now.

        Return the report of each intent that `start` found unfinished or that was `unknown`.
        """

    async def close(self) -> None:
        """Stop; no task is left."""


PORT = Port(
    name="binance",
    shape=BinanceAdapter,
    keywords=(
        "base_url",
        "api_key",
        "api_secret",
        "directory",
        "name",
    ),
    trial="scenarios.trials.binance:talk",
    dependencies=("binance",),
    command="scenarios.commands.binance:make",
)
