"""The public endpoints: books, tickers, candles, trades, exchangeInfo."""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from harness.dependencies.binance.gate.errors import Reject
from harness.dependencies.binance.market import prices, request
from harness.dependencies.binance.market.account import Fill
from harness.dependencies.binance.market.book import Book
from harness.dependencies.binance.market.listing import exchange_info
from harness.dependencies.binance.market.matching import FIRST_TRADE_ID
from harness.dependencies.binance.market.orders import Orders
from harness.dependencies.binance.market.symbols import INSTRUMENTS, Instrument, text
from harness.dependencies.binance.settings import Limit, Market

Read = Callable[[Mapping[str, str], int], Any]

FUTURES_DEPTHS: Final = (5, 10, 20, 50, 100, 500, 1_000)
DEPTH_MAX: Final = 5_000
"""Spot's; a book here has a thousand levels all the same."""
FIRST_UPDATE_ID: Final = 1_000_000_000


class Quotes:
    """Handlers by endpoint name; each takes the parameters and the exchange's clock, and returns the payload."""

    def __init__(
        self,
        market: Market,
        books: Mapping[str, Book],
        orders: Orders,
        fills: Mapping[str, Sequence[Fill]],
        limits: Callable[[], Sequence[Limit]],
    ) -> None:
        self._market: Market = market
        self._books = books
        self._orders = orders
        self._fills = fills
        self._limits = limits
        self._depths: dict[tuple[str, int], tuple[int, int, str]] = {}
        self.handlers: dict[str, Read] = {
            "ping": lambda _params, _wall_ms: {},
            "time": lambda _params, wall_ms: {"serverTime": wall_ms},
            "exchange_info": self._exchange_info,
            "depth": self._depth,
            "trades": lambda params, _: [prices.public_trade(fill, market) for fill in self._recent(params)],
            "agg_trades": lambda params, _: [prices.aggregate_trade(fill, market) for fill in self._recent(params)],
            "klines": self._klines,
            "ticker_price": self._of_symbols(self._ticker),
            "book_ticker": self._of_symbols(self._book_ticker),
            "ticker_24hr": self._of_symbols(self._day),
        }
        if market == "spot":
            self.handlers["avg_price"] = self._average
            return
        self.handlers |= {
            "mark_price_klines": self._klines,
            "index_price_klines": self._klines,
            "premium_index": self._of_symbols(lambda what, now_ms: prices.mark(what, self._price(what), now_ms)),
            "funding_rate": self._funding,
            "funding_info": lambda _params, _wall_ms: [],
            "open_interest": self._open_interest,
        }

    def _what(self, params: Mapping[str, str]) -> Instrument:
        if self._market == "futures" and "symbol" not in params and "pair" in params:
            params = {"symbol": params["pair"]}  # indexPriceKlines
        return request.instrument(params, self._market)

    def _price(self, what: Instrument) -> Any:
        return self._books[what.symbol].price

    def _exchange_info(self, params: Mapping[str, str], wall_ms: int) -> dict[str, Any]:
        wanted: list[str] = []
        if self._market == "spot":
            wanted = self._symbols(params) or ([params["symbol"]] if params.get("symbol") else [])
        if any(symbol not in self._books for symbol in wanted):
            raise Reject(-1121)
        return exchange_info(self._market, self._limits(), wall_ms, wanted)

    def _symbols(self, params: Mapping[str, str]) -> list[str]:
        if "symbols" not in params:
            return []
        try:
            found = json.loads(params["symbols"])
        except (ValueError, RecursionError):
            found = None
        if not isinstance(found, list) or not found or not all(isinstance(each, str) for each in found):
            raise Reject(-1100, name="symbols", range=r'^\\[("[A-Z0-9-_.]{1,20}"(,"[A-Z0-9-_.]{1,20}"){0,}){0,1}\\]$')
        return found

    def _of_symbols(self, one: Callable[[Instrument, int], dict[str, Any]]) -> Read:
        """Return a handler that answers one entry for `symbol`, else a list of them."""

        def handler(params: Mapping[str, str], wall_ms: int) -> Any:
            if params.get("symbol"):
                return one(request.instrument(params, self._market), wall_ms)
            wanted = self._symbols(params) if self._market == "spot" else []
            if any(symbol not in self._books for symbol in wanted):
                raise Reject(-1121)
            return [one(INSTRUMENTS[self._market][symbol], wall_ms) for symbol in wanted or self._books]

        return handler

    def _depth(self, params: Mapping[str, str], wall_ms: int) -> bytes:
        what = request.instrument(params, self._market)
        limit = request.integer(params, "limit")
        if self._market == "futures":
            limit = 500 if limit is None else limit
            if limit not in FUTURES_DEPTHS:
                raise Reject(-4021, limit=limit)
        else:
            limit = min(limit or 100, DEPTH_MAX)
        book = self._books[what.symbol]
        book.advance(wall_ms)
        version = book.version + self._orders.version(what.symbol)
        levels = self._levels(book, limit, version)
        times = f'"E":{wall_ms},"T":{wall_ms},' if self._market == "futures" else ""
        return f'{{"lastUpdateId":{FIRST_UPDATE_ID + version},{times}{levels}}}'.encode()

    def _levels(self, book: Book, limit: int, version: int) -> str:
        symbol = book.instrument.symbol
        known = self._depths.get((symbol, limit))
        if known is not None and known[0] == version:
            return known[2]
        bids, asks = self._orders.resting(symbol, "BUY"), self._orders.resting(symbol, "SELL")
        buying, selling = self._orders.best(symbol, "BUY"), self._orders.best(symbol, "SELL")
        bid_levels = book.depth("SELL", limit, [(order.price, order.left) for order in bids], selling)
        ask_levels = book.depth("BUY", limit, [(order.price, order.left) for order in asks], buying)
        levels = f'"bids":[{bid_levels}],"asks":[{ask_levels}]'
        self._depths[symbol, limit] = (version, limit, levels)
        return levels

    def _touch(self, what: Instrument, wall_ms: int) -> dict[str, str]:
        book = self._books[what.symbol]
        book.advance(wall_ms)
        levels = json.loads(f"{{{self._levels(book, 1, book.version + self._orders.version(what.symbol))}}}")
        nothing = [["0", "0"]]
        bid, ask = (levels["bids"] or nothing)[0], (levels["asks"] or nothing)[0]
        return {"bidPrice": bid[0], "bidQty": bid[1], "askPrice": ask[0], "askQty": ask[1]}

    def _ticker(self, what: Instrument, wall_ms: int) -> dict[str, Any]:
        answer: dict[str, Any] = {"symbol": what.symbol, "price": text(self._price(what))}
        if self._market == "futures":
            answer["time"] = wall_ms
        return answer

    def _book_ticker(self, what: Instrument, wall_ms: int) -> dict[str, Any]:
        answer: dict[str, Any] = {"symbol": what.symbol, **self._touch(what, wall_ms)}
        if self._market == "futures":
            answer |= {"time": wall_ms, "lastUpdateId": FIRST_UPDATE_ID + self._books[what.symbol].version}
        return answer

    def _day(self, what: Instrument, wall_ms: int) -> dict[str, Any]:
        best = self._touch(what, wall_ms) if self._market == "spot" else {}
        own = self._fills[what.symbol]
        return prices.day(
            what, self._price(what), best, (FIRST_TRADE_ID, own[-1].trade_id if own else FIRST_TRADE_ID), wall_ms
        )

    def _recent(self, params: Mapping[str, str]) -> Sequence[Fill]:
        what = request.instrument(params, self._market)
        count = min(request.integer(params, "limit") or 500, 1_000)
        return self._fills[what.symbol][-count:]

    def _klines(self, params: Mapping[str, str], wall_ms: int) -> list[list[Any]]:
        what = self._what(params)
        interval = request.need(params, "interval")
        count = min(request.integer(params, "limit") or 500, 1_500 if self._market == "futures" else 1_000)
        return prices.candles(what, self._price(what), interval, count, _span(params), wall_ms)

    def _average(self, params: Mapping[str, str], wall_ms: int) -> dict[str, Any]:
        what = request.instrument(params, self._market)
        return {"mins": 5, "price": text(self._price(what)), "closeTime": wall_ms}

    def _funding(self, params: Mapping[str, str], wall_ms: int) -> list[dict[str, Any]]:
        count = min(request.integer(params, "limit") or 100, 1_000)
        chosen = [request.instrument(params, self._market)] if params.get("symbol") else [
            book.instrument for book in self._books.values()
        ]  # fmt: skip
        each = count if len(chosen) == 1 else 1
        return [
            entry for what in chosen for entry in prices.funding(what, self._price(what), each, _span(params), wall_ms)
        ]

    def _open_interest(self, params: Mapping[str, str], wall_ms: int) -> dict[str, Any]:
        what = request.instrument(params, self._market)
        return {"symbol": what.symbol, "openInterest": text(what.max_quantity), "time": wall_ms}


def _span(params: Mapping[str, str]) -> tuple[int | None, int | None]:
    return request.integer(params, "startTime"), request.integer(params, "endTime")
