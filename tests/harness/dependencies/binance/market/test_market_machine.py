"""Any sequence of requests, price moves and faults leaves a market that adds up, by a model in exact fractions.

The model does not match orders. It hears what was recorded (orders and fills, in order) and works out from it alone
what positions, balances and open orders must then be; and it judges each fill by what it knows at that moment.
"""

import json
from collections.abc import Iterator
from decimal import Decimal
from fractions import Fraction
from math import ceil
from typing import Any

import pytest
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from harness.dependencies.binance.gate.errors import Reject
from harness.dependencies.binance.market.venue import Venue
from harness.dependencies.binance.settings import Market, Settings
from harness.dependencies.binance.streams import UserStreams

BALANCE = 100_000
SYMBOL = "BTCUSDT"
TICK = {"futures": Fraction(1, 10), "spot": Fraction(1, 100)}
STEP = {"futures": Fraction(1, 1_000), "spot": Fraction(1, 100_000)}
FEES = {("futures", False): Fraction(5, 10_000), ("futures", True): Fraction(2, 10_000)}
SPOT_FEE = Fraction(1, 1_000)
CENT = Fraction(1, 10**8)
OPEN = {"NEW", "PARTIALLY_FILLED"}
AFTER = {
    None: {"NEW"},
    "NEW": OPEN | {"FILLED", "CANCELED", "EXPIRED", "EXPIRED_IN_MATCH"},
    "PARTIALLY_FILLED": {"PARTIALLY_FILLED", "FILLED", "CANCELED", "EXPIRED", "EXPIRED_IN_MATCH"},
}


class Unheard:
    """No session is ever opened here."""

    def send(self, key: str, text: str) -> None:
        raise AssertionError(key, text)

    def close(self, key: str, code: int) -> None:
        raise AssertionError(key, code)


class ModelOrder:
    """What the model knows of an order; `price` None for a market order; `rank` orders those that rest at one price."""

    def __init__(self, fields: dict[str, Any], request: dict[str, str], rank: int) -> None:
        self.side = fields["side"]
        self.client_id = fields["client_id"]
        self.quantity = Fraction(fields["quantity"])
        self.price = Fraction(request["price"]) if "price" in request else None
        self.reduce_only = fields.get("reduce_only", False)
        self.status: str | None = None
        self.executed = Fraction(0)
        self.rank = rank
        self.dearest = Fraction(0)

    @property
    def left(self) -> Fraction:
        return self.quantity - self.executed


class Model:
    """Positions and orders by what was recorded."""

    def __init__(self, market: Market) -> None:
        self.market = market
        self.orders: dict[int, ModelOrder] = {}
        self.request: dict[str, str] = {}
        self.position = Fraction(0)
        self.cash = Fraction(0)
        self.cost = Fraction(0)
        self.fees = {"USDT": Fraction(0), "BTC": Fraction(0)}
        self.fills = 0
        self.ranks = 0

    def record(self, name: str, fields: dict[str, Any]) -> None:
        if name == "order":
            self.take_order(fields)
        elif name == "fill":
            self.take_fill(fields)

    def take_order(self, fields: dict[str, Any]) -> None:
        order = self.orders.get(fields["order_id"])
        if order is None:
            self.ranks += 1
            order = self.orders[fields["order_id"]] = ModelOrder(fields, self.request, self.ranks)
            taken = [other.client_id for other in self.open() if other is not order]
            assert order.client_id not in taken
        assert fields["status"] in AFTER.get(order.status, set()), (order.status, fields)
        order.status = fields["status"]
        assert Fraction(fields.get("executed_quantity", 0)) == order.executed
        assert (order.status == "FILLED") == (order.left == 0)

    def take_fill(self, fields: dict[str, Any]) -> None:
        order = self.orders[fields["order_id"]]
        price, quantity = Fraction(fields["price"]), Fraction(fields["quantity"])
        sign = 1 if order.side == "BUY" else -1
        assert quantity > 0
        order.executed += quantity
        assert order.executed <= order.quantity, "filled more than was asked for"
        if order.price is not None:
            assert sign * price <= sign * order.price, "filled beyond the limit"
        for other in self.open():
            if other is order or other.side != order.side or not other.left or other.price is None:
                continue
            if fields.get("maker"):
                assert order.price is not None
                assert price == order.price, "a resting order is filled at its own price"
                ahead = (-sign * other.price, other.rank) < (-sign * order.price, order.rank)
                assert not ahead, "a resting order was overtaken"
            else:
                assert sign * other.price < sign * price, "a taker was filled at a resting order's price"
        before = self.position
        self.position += sign * quantity
        if order.reduce_only:
            assert abs(self.position) < abs(before), "reduce-only opened a position"
            assert self.position * before >= 0, "reduce-only turned a position"
        self.cash -= sign * quantity * price
        self.average(before, sign * quantity, price)
        self.fills += 1

    def average(self, before: Fraction, amount: Fraction, price: Fraction) -> None:
        """Keep what the position cost, at the average price of its opening."""
        if before * amount >= 0:
            self.cost += amount * price
        elif abs(amount) <= abs(before):
            self.cost *= 1 + amount / before
        else:
            self.cost = (before + amount) * price

    def open(self) -> Iterator[ModelOrder]:
        return (order for order in self.orders.values() if order.status in OPEN)


class MarketMachine(RuleBasedStateMachine):
    """Requests as a client may send them, and what the exchange's operator may do, in any order."""

    market: Market = "futures"

    def __init__(self) -> None:
        super().__init__()
        self.model = Model(self.market)
        streams = UserStreams(Unheard(), record=self.model.record)
        self.venue = Venue(self.market, Settings(balance=BALANCE), record=self.model.record, streams=streams)
        self.now_ms = 1_700_000_000_000
        self.last_id = 0
        self.thinned = False

    def call(self, endpoint: str, **params: str) -> Any:
        """Return the outcome, or None if it was refused; a refusal changes nothing but time."""
        self.model.request = params
        orders, fills = len(self.model.orders), self.model.fills
        try:
            outcome = self.venue.call(endpoint, {"symbol": SYMBOL, **params}, self.now_ms)
        except Reject:
            assert (len(self.model.orders), self.model.fills) == (orders, fills)
            return None
        return outcome

    def price_at(self, ticks: int) -> str:
        tick = TICK[self.market]
        return text(Fraction(str(self.venue.price(SYMBOL))) + ticks * tick)

    def dearest(self, order: ModelOrder) -> Fraction:
        """Return the price that its margin may be reckoned with: its own, or the best one when it came."""
        return max(order.price or Fraction(0), Fraction(str(self.venue.price(SYMBOL))) * Fraction(101, 100))

    @rule(
        side=st.sampled_from(["BUY", "SELL"]),
        steps=st.sampled_from([1_000, 10, 200, 416, 3_000]),
        ticks=st.sampled_from([1, None, 61, -61, 0, 61, -61]),
        time_in_force=st.sampled_from(["GTC", "GTC", "GTC", "GTC", "IOC", "FOK", "GTX"]),
        reduce_only=st.sampled_from([False, False, True]),
        name=st.sampled_from(["", "", "", "one"]),
        wait_ms=st.sampled_from([0, 200]),
    )
    def place(
        self, side: str, steps: int, ticks: int | None, time_in_force: str, reduce_only: bool, name: str, wait_ms: int
    ) -> None:
        self.now_ms += wait_ms
        params = {"side": side, "quantity": text(steps * Fraction(1, 1_000)), "type": "MARKET"}
        if ticks is not None:
            params |= {"type": "LIMIT", "timeInForce": time_in_force, "price": self.price_at(ticks)}
        if reduce_only and self.market == "futures":
            params["reduceOnly"] = "true"
        if name:
            params["newClientOrderId"] = name
        outcome = self.call("new_order", **params)
        if outcome is not None:
            self.last_id = outcome.order_id
            order = self.model.orders[outcome.order_id]
            order.dearest = self.dearest(order)
            assert outcome.executed
            if order.price is None or time_in_force in ("IOC", "FOK"):
                assert order.status not in OPEN, "it may not rest"
            if order.price is not None and time_in_force == "FOK":
                assert order.executed in (0, order.quantity)

    @precondition(lambda self: self.last_id)
    @rule(back=st.integers(0, 3))
    def cancel(self, back: int) -> None:
        order = self.model.orders.get(self.last_id - back)
        was_open = order is not None and order.status in OPEN
        outcome = self.call("cancel_order", orderId=str(self.last_id - back))
        assert (outcome is not None) == was_open
        assert order is None or not was_open or order.status == "CANCELED"

    @precondition(lambda self: self.model.fills % 5 == 4)  # seldom, or little would ever rest for long
    @rule()
    def cancel_all(self) -> None:
        self.call("cancel_all")
        assert not list(self.model.open())

    @rule(ticks=st.sampled_from([-62, 62, -1, 1, -3_000, 3_000]))
    def set_price(self, ticks: int) -> None:
        self.venue.set_price(SYMBOL, Decimal(self.price_at(ticks)), self.now_ms)

    @precondition(lambda self: not self.thinned)
    @rule(factor=st.sampled_from([0.05, 0.0]))
    def thin(self, factor: float) -> None:
        self.venue.thin([], factor, 5_000, self.now_ms)
        self.thinned = True

    @precondition(lambda self: self.thinned)
    @rule()
    def restore(self) -> None:
        self.venue.restore([], self.now_ms)
        self.thinned = False

    @invariant()
    def orders_add_up(self) -> None:
        told = self.venue.ledger()["orders"]
        assert [order["order_id"] for order in told] == list(self.model.orders)
        for order in told:
            model = self.model.orders[order["order_id"]]
            assert (order["status"], Fraction(order["executed_quantity"])) == (model.status, model.executed)

    @invariant()
    def own_orders_do_not_cross(self) -> None:
        best = {"BUY": Fraction(0), "SELL": Fraction(10**9)}
        for order in self.model.open():
            assert order.price is not None
            pick = max if order.side == "BUY" else min
            best[order.side] = pick(best[order.side], order.price)
        assert best["BUY"] < best["SELL"]

    @invariant()
    def the_book_is_a_book(self) -> None:
        depth = json.loads(self.venue.call("depth", {"symbol": SYMBOL, "limit": "20"}, self.now_ms).payload)
        sides = {"BUY": depth["bids"], "SELL": depth["asks"]}
        bids, asks = ([Decimal(price) for price, _ in sides[side]] for side in ("BUY", "SELL"))
        assert bids == sorted(set(bids), reverse=True)
        assert asks == sorted(set(asks))
        assert not bids or not asks or bids[0] < asks[0]
        shown = {side: {Decimal(price): Decimal(quantity) for price, quantity in sides[side]} for side in sides}
        assert all(quantity > 0 for levels in shown.values() for quantity in levels.values())
        for order in self.model.open():
            assert order.price is not None
            prices, price = shown[order.side], Decimal(text(order.price))
            beyond = price < min(prices) if order.side == "BUY" else price > max(prices)
            assert beyond or prices[price] >= order.left, "a resting order stands in the book"


class FuturesMachine(MarketMachine):
    """Futures: positions, margin, modification, moves against an order."""

    @precondition(lambda self: self.last_id)
    @rule(back=st.integers(0, 3), ticks=st.sampled_from([61, -61, 1]), steps=st.sampled_from([1_000, 10]))
    def modify(self, back: int, ticks: int, steps: int) -> None:
        order = self.model.orders.get(self.last_id - back)
        if order is None or order.status not in OPEN:
            return
        price, quantity = self.price_at(ticks), text(steps * STEP["futures"])
        before = order.quantity, order.price, order.rank
        dearest, order.dearest = order.dearest, self.dearest(order) + 100
        self.model.ranks += 1
        order.quantity, order.price, order.rank = Fraction(quantity), Fraction(price), self.model.ranks
        asked = {"orderId": str(self.last_id - back), "side": order.side, "price": price, "quantity": quantity}
        outcome = self.call("modify_order", **asked)
        if outcome is None or outcome.payload["status"] == "CANCELED":
            order.quantity, order.price, order.rank = before
            order.dearest = dearest

    @rule(side=st.sampled_from(["BUY", "SELL"]), bps=st.sampled_from([1, 80]))
    def place_while_the_price_moves(self, side: str, bps: int) -> None:
        self.model.request = {}
        params = {"symbol": SYMBOL, "side": side, "type": "MARKET", "quantity": "0.1"}
        before = Fraction(str(self.venue.price(SYMBOL)))
        first = self.model.fills
        try:
            self.last_id = self.venue.call("new_order", params, self.now_ms, move_bps=bps).order_id
        except Reject:
            return
        for fill in self.venue.ledger()["fills"][first:]:
            away = (Fraction(fill["price"]) - before) * (1 if side == "BUY" else -1)
            assert away >= before * bps / 10_000

    @invariant()
    def money_adds_up(self) -> None:
        ledger = self.venue.ledger()
        position = ledger["positions"].get(SYMBOL, {"amount": "0", "cost": "0", "realised": "0"})
        cost, realised = Fraction(position["cost"]), Fraction(position["realised"])
        fees = sum((Fraction(fill["commission"]) for fill in ledger["fills"]), Fraction(0))
        assert Fraction(position["amount"]) == self.model.position
        assert realised == self.model.cash + cost, "what was paid and received is profit, or the position's cost"
        assert Fraction(ledger["balances"]["USDT"]["wallet"]) == BALANCE + realised - fees
        assert abs(cost - self.model.cost) <= CENT * self.model.fills
        for fill in ledger["fills"]:
            due = Fraction(fill["price"]) * Fraction(fill["quantity"]) * FEES["futures", fill["maker"]]
            assert abs(Fraction(fill["commission"]) - due) <= CENT / 2

    @invariant()
    def margin_is_held_for_open_orders_only(self) -> None:
        held = Fraction(self.venue.ledger()["balances"]["USDT"]["held"])
        most = sum((order.left * order.dearest / 20 + CENT * 10 for order in self.model.open()), Fraction(0))
        assert 0 <= held <= most

    @invariant()
    def the_account_says_the_same(self) -> None:
        account = self.venue.call("account", {}, self.now_ms).payload
        told = {each["symbol"]: each for each in account["positions"]}[SYMBOL]
        assert Fraction(told["positionAmt"]) == self.model.position
        mark = Fraction(str(self.venue.price(SYMBOL)))
        entry = Fraction(told["entryPrice"])
        profit = Fraction(told["unrealizedProfit"])
        assert abs(profit - self.model.position * (mark - entry)) <= abs(self.model.position) / 10**5 + CENT


class SpotMachine(MarketMachine):
    """Spot: nothing below zero, and exactly as much locked as open orders may cost."""

    market: Market = "spot"

    @rule(amount=st.sampled_from(["4", "25000", "99999.99", "100000"]), side=st.sampled_from(["BUY", "SELL"]))
    def spend(self, amount: str, side: str) -> None:
        outcome = self.call("new_order", side=side, type="MARKET", quoteOrderQty=amount)
        if outcome is not None:
            self.last_id = outcome.order_id
            assert Fraction(outcome.payload["cummulativeQuoteQty"]) <= Fraction(amount)

    @invariant()
    def balances_add_up(self) -> None:
        ledger = self.venue.ledger()
        nothing = {"free": "0", "locked": "0"}
        told = {asset: ledger["balances"].get(asset, nothing) for asset in ("USDT", "BTC")}
        locked = {"USDT": Fraction(0), "BTC": Fraction(0)}
        for order in self.model.open():
            assert order.price is not None
            if order.side == "BUY":
                locked["USDT"] += ceil(order.price * order.left / CENT) * CENT
            else:
                locked["BTC"] += order.left
        fees = {"USDT": Fraction(0), "BTC": Fraction(0)}
        for fill in ledger["fills"]:
            fees[fill["commission_asset"]] += Fraction(fill["commission"])
            gained = Fraction(fill["quantity"]) * (1 if fill["side"] == "BUY" else Fraction(fill["price"]))
            assert abs(Fraction(fill["commission"]) - gained * SPOT_FEE) <= CENT / 2
        owned = {"USDT": BALANCE + self.model.cash - fees["USDT"], "BTC": self.model.position - fees["BTC"]}
        for asset, balance in told.items():
            assert Fraction(balance["free"]) >= 0
            assert Fraction(balance["locked"]) == locked[asset]
            assert Fraction(balance["free"]) + Fraction(balance["locked"]) == owned[asset]


def text(amount: Fraction) -> str:
    """Return an amount as a client would write it."""
    return format(Decimal(amount.numerator) / Decimal(amount.denominator), "f")


@pytest.mark.parametrize("machine", [FuturesMachine, SpotMachine])
def test_the_market_adds_up(machine: type[MarketMachine]) -> None:
    """Whatever is asked for, and whatever is done to the market meanwhile."""
    run_state_machine_as_test(  # type: ignore[no-untyped-call]
        machine, settings=hypothesis_settings(max_examples=40, stateful_step_count=25, deadline=None)
    )
