"""One market of the exchange behind one method: `Venue.call(endpoint, params, wall_ms)`; no I/O, no clock.

Authentication, limits and faults come before it; a request that gets here has been accepted. Parameters are the decoded
ones of query and body, without `signature`; unknown ones are ignored, as `timestamp` and `recvWindow`.

Endpoints by name (F: futures only, S: spot only), so that the routing table maps (method, path) to them:

    public    ping  time  exchange_info  depth  trades  agg_trades  klines  ticker_price  book_ticker  ticker_24hr
              avg_price (S)  premium_index (F)  funding_rate (F)  funding_info (F)  open_interest (F)
              mark_price_klines (F)  index_price_klines (F)
    trade     new_order  test_order  cancel_order  cancel_all
              modify_order  batch_orders  batch_modify  batch_cancel  countdown_cancel (F)
              leverage  margin_type  set_position_mode  set_multi_assets_mode (F)
    account   query_order  open_orders  all_orders  user_trades (spot: myTrades)  commission_rate
              account (spot; futures v2)  account_v3 (F)  balance (F, v2)  balance_v3 (F)
              position_risk (F, v2)  position_risk_v3 (F)  open_order  leverage_bracket  position_mode
              multi_assets_mode  income  account_config  symbol_config  adl_quantile  api_trading_status  (all F)
    stream    new_listen_key  keep_listen_key  close_listen_key

Interface:

    Venue(market, settings, *, record, streams: streams.UserStreams)
    .limits                                     tuple[Limit, ...] that exchange_info says; assign when they change
    .call(endpoint, params, wall_ms, *, move_bps=0) -> Outcome    (move_bps: what a `price_move` arm that hits does)
    .thin(symbols, factor, refill_ms, wall_ms)  .restore(symbols, wall_ms)        (`thin_book`; no symbols: all)
    .fall(symbols, share, wall_ms)                                                (`price_fall`)
    .set_price(symbol, price, wall_ms)  .refill(symbols, wall_ms)                 (control API)
    .advance(wall_ms)                           what time alone does: orders that expire; `call` does it, too
    .ledger() -> dict                           all the truth there is, as plain JSON values

`call` raises `gate.errors.Reject`. `Outcome.payload` is JSON-able, or `bytes` that are JSON already.
"""

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

from harness.dependencies.binance.market.book import Book
from harness.dependencies.binance.market.futures import FuturesAccount
from harness.dependencies.binance.market.listing import max_price
from harness.dependencies.binance.market.matching import Matching
from harness.dependencies.binance.market.neighbours import neighbours
from harness.dependencies.binance.market.orders import Orders
from harness.dependencies.binance.market.outcome import Outcome
from harness.dependencies.binance.market.quotes import Quotes, Read
from harness.dependencies.binance.market.reads import FuturesReads, OrderReads, SpotReads
from harness.dependencies.binance.market.reporting import Told
from harness.dependencies.binance.market.request import need
from harness.dependencies.binance.market.spot import SpotAccount
from harness.dependencies.binance.market.symbols import INSTRUMENTS, text
from harness.dependencies.binance.market.trading import Desk
from harness.dependencies.binance.settings import Market, Settings
from harness.dependencies.binance.streams import UserStreams
from harness.errors import WorldError

__all__ = ["Outcome", "Venue"]

FIRST_ORDER_ID: Final[Mapping[Market, int]] = {"futures": 8_000_000_000, "spot": 30_000_000_000}
"""Ids are beyond 32 bits, as the real ones are."""


class Venue:
    """One market; see the module."""

    def __init__(
        self,
        market: Market,
        settings: Settings,
        *,
        record: Callable[[str, dict[str, Any]], None],
        streams: UserStreams,
    ) -> None:
        self.market: Market = market
        self.limits = settings.limits(market)
        self._streams = streams
        self._books = {symbol: Book(each, settings.refill_ms) for symbol, each in INSTRUMENTS[market].items()}
        self._orders = Orders(FIRST_ORDER_ID[market])
        balance = Decimal(settings.balance)
        assets = sorted({asset for each in INSTRUMENTS[market].values() for asset in (each.base, each.quote)})
        account: FuturesAccount | SpotAccount
        account = FuturesAccount(balance, self._books) if market == "futures" else SpotAccount(balance, assets)
        self._account = account
        self._before_fall: dict[str, Decimal] = {}
        self._matching = Matching(market, self._books, self._orders, account, Told(account, record, streams))
        self._desk = Desk(market, self._books, self._orders, self._matching)
        fills = self._matching.fills_of
        own = FuturesReads(account, fills) if isinstance(account, FuturesAccount) else SpotReads(account)
        self._reads: dict[str, Read] = (
            Quotes(market, self._books, self._orders, fills, lambda: self.limits).handlers
            | OrderReads(market, self._orders, fills, self._desk.find).handlers
            | own.handlers
            | (neighbours(assets) if market == "spot" else {})
            | {
                "new_listen_key": lambda _, now_ms: {"listenKey": streams.create(market, now_ms)},
                "keep_listen_key": self._keep_listen_key,
                "close_listen_key": self._close_listen_key,
            }
        )
        self.endpoints = frozenset(self._reads) | frozenset(self._desk.handlers)

    def call(self, endpoint: str, params: Mapping[str, str], wall_ms: int, *, move_bps: int = 0) -> Outcome:
        """Answer a request that was let in. Raises `Reject`; `KeyError` for a name that is no endpoint here.

        `move_bps`: the price moves by so much against an order that this places, just before it is matched.
        """
        self.advance(wall_ms)
        trade = self._desk.handlers.get(endpoint)
        if trade is not None:
            return trade(params, wall_ms, Decimal(move_bps))
        return Outcome(self._reads[endpoint](params, wall_ms))

    def advance(self, wall_ms: int) -> None:
        """Let time do its work: orders expire, countdowns end."""
        self._matching.advance(wall_ms)
        self._desk.advance(wall_ms)

    def thin(self, symbols: Sequence[str], factor: float, refill_ms: int, wall_ms: int) -> None:
        """Leave `factor` of every level of those books (none named: all); what is taken is away for `refill_ms`."""
        for book in self._chosen(symbols):
            book.advance(wall_ms)
            book.thin(Decimal(str(factor)), refill_ms)

    def restore(self, symbols: Sequence[str], wall_ms: int) -> None:
        """End `thin`: the books are whole at once."""
        for book in self._chosen(symbols):
            book.advance(wall_ms)
            book.restore()

    def refill(self, symbols: Sequence[str], wall_ms: int) -> None:
        """Bring back at once what was taken from those books (none named: all).

        Raises `WorldError` for a symbol that is not traded here.
        """
        for symbol in symbols:
            self._book(symbol)
        for book in self._chosen(symbols):
            book.advance(wall_ms)
            book.refill()

    def set_price(self, symbol: str, price: Decimal, wall_ms: int) -> None:
        """Move a price; resting orders that it reaches are filled.

        Raises `WorldError` for an unknown symbol, or for what no order could have as its price.
        """
        book = self._book(symbol)
        if not price.is_finite() or not book.instrument.tick <= price <= max_price(book.instrument):
            raise WorldError(f"not a price of {symbol}: {price}")
        self.advance(wall_ms)
        self._matching.reprice(symbol, price, wall_ms)

    def fall(self, symbols: Sequence[str], share: float, wall_ms: int) -> None:
        """Move prices (none named: all) to that share below what they were before; resting orders are filled."""
        self.advance(wall_ms)
        for book in self._chosen(symbols):
            symbol = book.instrument.symbol
            before = self._before_fall.setdefault(symbol, book.price)
            self._matching.reprice(symbol, before * (1 - Decimal(str(share))), wall_ms)
            if not share:
                del self._before_fall[symbol]

    def price(self, symbol: str) -> Decimal:
        """Return a symbol's price. Raises `WorldError` for an unknown one."""
        return self._book(symbol).price

    def ledger(self) -> dict[str, Any]:
        """Return orders, fills, balances and positions as plain JSON values."""
        told: dict[str, Any] = {
            "orders": [
                order.observation()
                | {"executed_quantity": text(order.executed), "time_in_force": order.time_in_force,
                   "price": text(order.price), "quote": text(order.quote), "created_ms": order.created_ms,
                   "updated_ms": order.updated_ms}
                for order in self._orders.by_id.values()
            ],
            "fills": [
                {
                    "symbol": fill.symbol,
                    "side": fill.side,
                    "order_id": fill.order_id,
                    "client_id": fill.client_id,
                    "price": text(fill.price),
                    "quantity": text(fill.quantity),
                    "trade_id": fill.trade_id,
                    "maker": fill.maker,
                    "commission": text(fill.booked.commission),
                    "commission_asset": fill.booked.asset,
                    "realised": text(fill.booked.realised),
                    "time_ms": fill.time_ms,
                }
                for fill in self._matching.fills
            ],
            "prices": {symbol: text(book.price) for symbol, book in self._books.items()},
        }  # fmt: skip
        account = self._account
        if isinstance(account, FuturesAccount):
            told["balances"] = {"USDT": {"wallet": text(account.wallet), "held": text(account.held)}}
            told["positions"] = {
                each.instrument.symbol: {
                    "amount": text(each.amount), "cost": text(each.cost), "realised": text(each.realised)
                }
                for each in account.positions.values()
                if each.amount or each.realised
            }  # fmt: skip
        else:
            told["balances"] = {
                asset: {"free": text(free), "locked": text(account.locked[asset])}
                for asset, free in account.free.items()
                if free or account.locked[asset]
            }
        return told

    def _book(self, symbol: str) -> Book:
        if symbol not in self._books:
            raise WorldError(f"{symbol} is not traded on {self.market}")
        return self._books[symbol]

    def _chosen(self, symbols: Sequence[str]) -> list[Book]:
        """Return those books of the ones named that this market has, or all."""
        return [book for symbol, book in self._books.items() if not symbols or symbol in symbols]

    def _keep_listen_key(self, params: Mapping[str, str], wall_ms: int) -> dict[str, Any]:
        key = self._streams.keep(self.market, self._named_key(params), wall_ms)
        return {"listenKey": key} if self.market == "futures" else {}

    def _close_listen_key(self, params: Mapping[str, str], wall_ms: int) -> dict[str, Any]:
        self._streams.drop(self.market, self._named_key(params), wall_ms)
        return {}

    def _named_key(self, params: Mapping[str, str]) -> str | None:
        """Futures know the account's key by the API key; spot wants it named."""
        return params.get("listenKey") if self.market == "futures" else need(params, "listenKey")
