"""The parts of the retry policy that need no exchange: error codes, symbol rules, pauses, timestamps, signatures."""

import hashlib
import hmac
import json
from decimal import Decimal
from urllib.parse import parse_qs

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.dependencies.binance.gate import errors as table
from reference_impl._binance.actions import Finish, Query, Send, Wait
from reference_impl._binance.execution import Execution
from reference_impl._binance.order_view import view
from reference_impl._binance.outcome import Outcome, classify
from reference_impl._binance.report import Order
from reference_impl._binance.server_time import MAX_AGE, Sample, ServerTime
from reference_impl._binance.signing import Signer, encode
from reference_impl._binance.symbols import SymbolRules, worst_price
from reference_impl._binance.weights import weight
from reference_impl.retry import RetryPolicy, equal_jitter, full_jitter

RULES = SymbolRules(
    tick=Decimal("0.10"),
    step=Decimal("0.001"),
    min_quantity=Decimal("0.001"),
    max_quantity=Decimal(100),
    min_notional=Decimal(5),
)
ORDER = Order(intent="i", symbol="BTCUSDT", side="BUY", quantity=Decimal(1), limit=Decimal("100.5"))
NOT_TERMINAL = {
    -1000: "unknown",
    -1001: "failed",
    -1003: "limited",
    -1006: "unknown",
    -1007: "unknown",
    -1008: "failed",
    -1015: "limited",
    -1021: "clock",
    -2011: "absent",
    -2013: "absent",
    -4116: "duplicate",
}


@pytest.mark.parametrize("code", sorted(table.ERRORS))
def test_every_error_of_the_exchange_has_a_meaning(code):
    """All codes that are not known to pass are terminal: what is not understood is not sent again."""
    error = table.ERRORS[code]
    body = json.dumps({"code": code, "msg": error.text}).encode()
    assert classify(error.status, body).kind == NOT_TERMINAL.get(code, "rejected")


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (503, b'{"msg":"Unknown error, please check your request or try again later."}', "unknown"),
        (503, b'{"code":-1016,"msg":"Service Unavailable."}', "failed"),
        (503, b'{"msg":"Service Unavailable."}', "failed"),
        (503, b'{"msg":"Internal error; unable to process your request. Please try again."}', "failed"),
        (502, b"<html>Service Unavailable</html>", "unknown"),
        (504, b"", "unknown"),
        (408, b"", "unknown"),
        (403, b"<html>", "blocked"),
        (418, b"", "limited"),
        (429, b"", "limited"),
        (400, b'{"code":-1015,"msg":"Too many new orders"}', "limited"),
        (400, b'{"code":-2010,"msg":"Duplicate order sent."}', "duplicate"),
        (400, b'{"code":-2010,"msg":"Account has insufficient balance for requested action."}', "rejected"),
        (404, b"", "rejected"),
        (302, b"", "unknown"),
        (200, b"<html>", "unknown"),
        (200, b"[]", "done"),
    ],
)
def test_an_answer_means(status, body, kind):
    """Variants of 503, answers of proxies, and codes that come with several meanings."""
    assert classify(status, body).kind == kind


@given(status=st.integers(100, 599), body=st.binary(max_size=60) | st.sampled_from([b"1", b"[1]", b'{"code":"x"}']))
def test_no_answer_upsets(status, body):
    """Whatever a proxy says: an outcome, never an exception; done only for a 2xx."""
    assert (classify(status, body).kind == "done") <= (200 <= status < 300)


@given(
    side=st.sampled_from(["BUY", "SELL"]),
    price=st.decimals("0.5", "90000", places=4),
    bps=st.integers(0, 500),
    quantity=st.decimals("0", "500", places=6),
)
def test_fitted_prices_and_quantities_stay_within_what_was_asked_for(side, price, bps, quantity):
    """EX1 and EX5 start here: never a worse price, never more."""
    limit = worst_price(side, price, bps)
    fitted = RULES.price(side, limit)
    assert fitted % RULES.tick == 0
    assert 0 <= (limit - fitted if side == "BUY" else fitted - limit) < RULES.tick
    amount = RULES.quantity(quantity)
    assert amount % RULES.step == 0
    assert amount <= min(quantity, RULES.max_quantity)
    assert amount == RULES.max_quantity or quantity - amount < RULES.step


def test_what_the_rules_refuse():
    """Reduce-only orders are exempt from the minimum notional, not from the lot."""
    assert RULES.refuses(Decimal("0.04"), Decimal(100), reduce_only=False) == "min_notional"
    assert RULES.refuses(Decimal("0.04"), Decimal(100), reduce_only=True) == ""
    assert RULES.refuses(Decimal(0), Decimal(100), reduce_only=True) == "lot_size"
    assert RULES.refuses(Decimal("0.05"), Decimal(100), reduce_only=False) == ""


def test_rules_are_read_from_both_markets_filters():
    """Spot calls the filter and its field otherwise; broken numbers are an error, not a zero."""
    symbol = {"symbol": "S", "filters": [{"filterType": "NOTIONAL", "minNotional": "10"}]}
    assert SymbolRules.parse(symbol) == SymbolRules(min_notional=Decimal(10))
    with pytest.raises(ValueError, match="filters of S"):
        SymbolRules.parse({"symbol": "S", "filters": [{"filterType": "PRICE_FILTER", "tickSize": "x"}]})


@given(times=st.integers(0, 5_000))
def test_pauses_are_bounded(times):
    """Full jitter starts at nothing, equal jitter at the half; neither passes its bound."""
    assert full_jitter(0.2, times, 4.0, lambda low, high: low) == 0.0
    highest = full_jitter(0.2, times, 4.0, lambda low, high: high)
    assert highest == equal_jitter(0.2, times, 4.0, lambda low, high: high) == min(4.0, 0.2 * 2 ** min(times, 30))
    assert equal_jitter(0.2, times, 4.0, lambda low, high: low) == highest / 2


@given(
    offset=st.floats(-1e6, 1e9),
    there=st.floats(0, 2),
    back=st.floats(0, 2),
    later=st.floats(0, 500),
    trips=st.integers(1, 3),
)
def test_the_exchanges_time_is_never_believed_to_be_later_than_it_is(offset, there, back, later, trips):
    """The lower end is what makes "does not exist" final, so it must hold for any asymmetry of the way."""
    clock = ServerTime()
    now = 1_000.0
    samples = []
    for _ in range(trips):
        samples.append(Sample(now, now + there + back, int((now + there + offset) * 1_000)))
        now += there + back
    clock.learn(samples)
    now += later
    truth = (now + offset) * 1_000
    earliest = clock.earliest_ms(now)
    assert earliest is not None
    assert earliest <= truth + 1
    assert abs(clock.stamp_ms(now) - truth) <= (there + back) * 500 + 2 + later * 0.1
    assert not clock.due(now)
    assert clock.due(now + MAX_AGE + 1)


def test_a_refused_timestamp_is_forgotten_once():
    """A refusal that is about an older reading must not throw away a newer one."""
    clock = ServerTime()
    assert (clock.due(0.0), clock.earliest_ms(0.0)) == (True, None)
    clock.learn([Sample(0.0, 0.1, 5_000)])
    before = clock.epoch
    clock.learn([Sample(1.0, 1.1, 6_000)])
    clock.doubt(before)
    assert clock.known
    clock.doubt(clock.epoch)
    assert clock.due(1.1)


def test_a_signature_is_over_the_very_query():
    """As the exchange makes it: HMAC-SHA256 of everything before it."""
    query = Signer("secret").sign(
        {"symbol": "BTCUSDT", "quantity": Decimal("1E+2"), "reduceOnly": None, "x": True, "n": 3, "id": "a/b c"},
        timestamp_ms=5,
        recv_window_ms=2_000,
    )
    payload, _, signature = query.rpartition("&signature=")
    assert signature == hmac.new(b"secret", payload.encode(), hashlib.sha256).hexdigest()
    assert parse_qs(payload) == {
        "symbol": ["BTCUSDT"],
        "quantity": ["100"],
        "x": ["true"],
        "n": ["3"],
        "id": ["a/b c"],
        "recvWindow": ["2000"],
        "timestamp": ["5"],
    }


def test_amounts_are_never_floats():
    """A float would be sent as whatever its repr is."""
    with pytest.raises(TypeError, match="Decimal"):
        encode({"quantity": 0.1})


@pytest.mark.parametrize(
    ("method", "path", "params", "expected"),
    [
        ("POST", "/fapi/v1/order", {}, 0),
        ("GET", "/fapi/v1/order", {}, 1),
        ("DELETE", "/fapi/v1/order", {}, 1),
        ("GET", "/fapi/v1/openOrders", {}, 40),
        ("GET", "/fapi/v1/openOrders", {"symbol": "S"}, 1),
        ("GET", "/fapi/v1/depth", {"limit": 5}, 2),
        ("GET", "/fapi/v1/depth", {"limit": 100}, 5),
        ("GET", "/fapi/v1/depth", {}, 10),
        ("GET", "/fapi/v1/depth", {"limit": 1000}, 20),
        ("GET", "/fapi/v2/account", {}, 5),
        ("GET", "/fapi/v1/klines", {"limit": 1500}, 10),
    ],
)
def test_weights_are_those_of_the_documentation(method, path, params, expected):
    """A weight too low gets the IP banned, one too high wastes the limit."""
    assert weight(method, path, params) == expected


@pytest.mark.parametrize(
    "data",
    [None, [], {}, {"clientOrderId": "other", "status": "FILLED", "executedQty": "1"}]
    + [{"clientOrderId": "id", "status": status, "executedQty": "x"} for status in ("FILLED", "NONSENSE")],
)
def test_an_answer_about_something_else_is_no_answer(data):
    """It settles nothing; the order is asked for again."""
    assert view(data, "id") is None


def machine(deadline=30.0, **options):
    return Execution(ORDER, RULES, RetryPolicy(), deadline=deadline, dice=lambda low, high: high, **options)


def begun(execution, now=0.0):
    send = execution.next(now, 0)
    assert isinstance(send, Send)
    execution.begun(send, 2_000)
    return send


def test_absence_is_final_only_after_the_window():
    """Asked when the exchange's clock shows the order's expiry and the settling time, not a moment earlier."""
    execution = machine()
    send = begun(execution)
    execution.answered(Outcome("unknown"), 1.0)
    absent = Outcome("absent", -2013)
    for server_ms in (None, 0, 2_000, 2_499):
        query = execution.next(5.0, server_ms)
        assert query == Query(send.client_id)
        execution.told(query, absent, 4.0)
        assert execution.unsettled is not None
    query = execution.next(6.0, 2_500)
    assert isinstance(query, Query)
    execution.told(query, absent, 6.0)
    assert execution.unsettled is None
    assert isinstance(execution.next(6.0, 2_500), Send)


def test_an_order_seen_open_is_never_absent():
    """It exists; that it cannot be found later proves nothing."""
    execution = machine()
    send = begun(execution)
    data = {"clientOrderId": send.client_id, "status": "NEW", "executedQty": "0"}
    execution.answered(Outcome("done", data=data), 0.1)
    query = execution.next(5.0, 10_000)
    assert isinstance(query, Query)
    execution.told(query, Outcome("absent", -2013), 5.0)
    assert execution.unsettled is not None


def test_no_order_is_begun_without_time_to_learn_its_end():
    """But the first always is: the caller's deadline may be short."""
    execution = machine(deadline=2.0)
    begun(execution)
    execution.answered(Outcome("failed", text="no"), 0.1)
    end = execution.next(1.0, 0)
    assert isinstance(end, Finish)
    assert (end.end.status, end.end.reason) == ("abandoned", "unavailable")


def test_the_deadline_ends_everything():
    """Even an open question: the answer is `unknown`, and nothing is awaited beyond it."""
    execution = machine()
    begun(execution)
    execution.answered(Outcome("unknown"), 1.0)
    query = execution.next(29.9, 0)
    assert isinstance(query, Query)
    execution.told(query, Outcome("failed"), 29.95)
    assert execution.next(29.95, 0) == Wait(30.0)
    end = execution.next(30.0, 0)
    assert isinstance(end, Finish)
    assert end.end.status == "unknown"
