"""The Binance adapter: it reads, trades, rests an order and takes it back, and knows what became of everything."""

from decimal import Decimal

from harness.dependencies.binance.settings import API_KEY, API_SECRET
from harness.trial import Trial
from scenarios.ports.binance import BinanceAdapter

_SYMBOL = "BTCUSDT"
_QUANTITY = Decimal("0.01")
_FAR_BELOW = Decimal("0.9")


async def talk(trial: Trial) -> None:
    """Buy a little, rest an order far below the market, cancel it, reconcile."""
    adapter: BinanceAdapter = trial.make(
        base_url=trial.endpoints["binance"],
        api_key=API_KEY,
        api_secret=API_SECRET,
        directory=trial.disk,
        name="trial",
    )
    await trial.call("start()", adapter.start)
    book = await trial.call("get()", adapter.get, "/fapi/v1/depth", {"symbol": _SYMBOL, "limit": 5})
    price = Decimal(book["bids"][0][0])
    trade = adapter.execute_order
    report = await trial.call("execute_order()", trade, _SYMBOL, "BUY", _QUANTITY, intent="trial-1")
    trial.equal("status of what was executed", "filled", report.status)
    trial.equal("filled", _QUANTITY, report.filled)
    again = await trial.call("execute_order() of the same intent", trade, _SYMBOL, "BUY", _QUANTITY, intent="trial-1")
    trial.equal("filled in all, as an intent is executed once", _QUANTITY, again.filled)
    low = (price * _FAR_BELOW).quantize(Decimal(1))
    order = await trial.call("place_limit()", adapter.place_limit, _SYMBOL, "BUY", _QUANTITY, low)
    done = await trial.call("cancel_order()", adapter.cancel_order, _SYMBOL, order)
    trial.equal("executed of what was cancelled", Decimal(0), done)
    left = await trial.call("reconcile()", adapter.reconcile)
    trial.equal("intents that are unknown", [], [name for name, one in left.items() if one.status == "unknown"])
    error = await trial.refused("get() of nothing", adapter.get, "/fapi/v1/depth", {"symbol": "NOSUCH"})
    reason = getattr(error, "reason", None)
    trial.true(
        f"its error bears the reason {reason!r}",
        otherwise=f"the error {type(error).__name__} bears no `reason`, a short text that callers go by",
        when=isinstance(reason, str) and bool(reason),
    )
    await trial.call("close()", adapter.close)
