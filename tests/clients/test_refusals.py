"""How each client tells its user of what the exchange refuses: limits, bans, orders that it will not take.

These are the clients' own exceptions, as a team's code has to catch them: a new version that changes one is noticed
here. Whether an order took effect all the same is asked of the exchange.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

pytestmark = [pytest.mark.real, pytest.mark.timeout(180)]


@dataclass(frozen=True, slots=True)
class Raised:
    """An exception, by its class, some of its attributes, and parts of its text."""

    name: str
    attributes: Mapping[str, Any] = field(default_factory=dict)
    texts: tuple[str, ...] = ()


Expected = Callable[[int, int | None], Raised]
"""Takes the status and the code of the answer."""


def _connector(status: int, code: int | None) -> Raised:
    """Binance's older connectors: one class up to 499, one from 500."""
    if status < 500:
        return Raised("ClientError", {"status_code": status, "error_code": code})
    return Raised("ServerError", {"status_code": status})


def _python_binance(status: int, code: int | None) -> Raised:
    return Raised("BinanceAPIException", {"status_code": status, "code": code})


_CCXT_CLASSES: Mapping[tuple[int, int | None], str] = {
    (429, -1003): "DDoSProtection",
    (418, -1003): "DDoSProtection",
    (429, -1015): "DDoSProtection",
    (400, -1015): "RateLimitExceeded",
    (400, -1021): "InvalidNonce",
    (400, -2010): "InvalidOrder",
    (400, -2011): "OrderNotFound",
    (400, -2013): "OrderNotFound",
    # ccxt's table of futures says InvalidOrder, but it is not looked at unless the URL is Binance's.
    (400, -4116): "ExchangeError",
    (503, None): "ExchangeNotAvailable",
    (503, -1008): "ExchangeError",
    (408, -1007): "RequestTimeout",
    (400, -1006): "OperationFailed",
}


def _ccxt(status: int, code: int | None) -> Raised:
    texts = () if code is None or (status, code) == (400, -1021) else (f'"code":{code}',)
    return Raised(_CCXT_CLASSES[status, code], texts=texts)


_SDK_CLASSES = {400: "BadRequestError", 418: "RateLimitBanError", 429: "TooManyRequestsError", 503: "ServerError"}


def _sdk(status: int, code: int | None) -> Raised:
    """The modular SDK: `status_code` is the exchange's code, but for 5xx; 408 has no class, and no code left."""
    if status == 408:
        return Raised("ClientError", texts=("Timeout waiting for response from backend server.",))
    return Raised(_SDK_CLASSES[status], {"status_code": status if status >= 500 else code})


def _expected(client: Any, status: int, code: int | None) -> Raised:
    families: Mapping[str, Expected] = {
        "ccxt": _ccxt,
        "python-binance": _python_binance,
        "futures-connector": _connector,
        "spot-connector": _connector,
        "modular-sdk": _sdk,
    }
    return next(made for name, made in families.items() if client.name.startswith(name))(status, code)


def _check(client: Any, raised: Mapping[str, Any], status: int, code: int | None) -> None:
    expected = _expected(client, status, code)
    assert raised["class"] == expected.name
    assert {name: raised["attributes"].get(name) for name in expected.attributes} == expected.attributes
    assert [text for text in expected.texts if text not in raised["text"]] == []


def _order(client: Any, client_id: str) -> Any:
    return client.driver.ask("order", type="MARKET", side="BUY", quantity="0.01", client_id=client_id)


def test_too_many_requests(client: Any) -> None:
    """A -1003 storm comes out of each client as its own exception, and is over when it is over."""
    client.driver.do("open_orders")
    client.emulator.control("arm", kind="too_many_requests", count=1)
    raised = client.driver.fail("open_orders")

    _check(client, raised, 429, -1003)
    assert client.driver.do("open_orders") == []


def test_ban(client: Any) -> None:
    """A ban is 418 to everything, and each client raises."""
    client.driver.do("open_orders")
    name = client.emulator.control("arm", kind="ban", options={"ms": 60_000})["name"]
    asked = client.driver.fail("open_orders")
    ordered = _order(client, "banned-1").raised
    client.emulator.control("disarm", name=name)

    for raised in (asked, ordered):
        _check(client, raised, 418, -1003)
    assert client.orders("banned-1") == []


def test_requests_during_a_storm_earn_a_ban(client: Any) -> None:
    """No client holds back by itself: asking on while told to wait is what turns 429 into 418."""
    client.driver.do("open_orders")
    client.emulator.control("arm", kind="too_many_requests")
    seen = [client.driver.fail("open_orders") for _ in range(14)]

    _check(client, seen[0], 429, -1003)
    _check(client, seen[-1], 418, -1003)


@pytest.mark.parametrize("status", [429, 400])
def test_too_many_orders(client: Any, status: int) -> None:
    """A -1015 storm is an exception, with either status, and the order does not exist."""
    client.driver.do("open_orders")
    client.emulator.control("arm", kind="too_many_orders", count=1, options={"status": status})

    _check(client, _order(client, "over-1").raised, status, -1015)
    assert client.orders("over-1") == []
    assert client.driver.do("order", type="MARKET", side="BUY", quantity="0.01", client_id="over-1")


def test_duplicate_client_id(client: Any) -> None:
    """The id of an order that is open cannot be taken again; there is one order."""
    price = str(int(client.best("BUY")[0] * 9 // 10))
    resting = {"type": "LIMIT", "side": "BUY", "quantity": "0.01", "price": price, "client_id": "twice-1"}
    client.driver.do("order", **resting)
    raised = client.driver.fail("order", **resting)

    _check(client, raised, 400, -4116 if client.market == "futures" else -2010)
    assert len(client.orders("twice-1")) == 1


def test_unknown_order(client: Any) -> None:
    """Cancelling and querying an order that never was are refused, each with its own code."""
    _check(client, client.driver.fail("cancel", client_id="never-1"), 400, -2011)
    _check(client, client.driver.fail("query", client_id="never-1"), 400, -2013)


@pytest.mark.parametrize("executed", [0, 1])
def test_unknown_outcome(client: Any, executed: int) -> None:
    """503 without a code looks the same whether the order was executed or not; only asking tells."""
    client.driver.do("open_orders")
    client.emulator.control("arm", kind="unknown_error", count=1, methods=["POST"], options={"executed": executed})

    _check(client, _order(client, "unknown-1").raised, 503, None)
    assert len(client.orders("unknown-1")) == executed
    found = client.driver.ask("query", client_id="unknown-1")
    if executed:
        assert found.told["status"] == "FILLED"
    else:
        _check(client, found.raised, 400, -2013)


@pytest.mark.parametrize(
    ("kind", "status", "code"),
    [
        ("service_unavailable", 503, None),
        ("throttled", 503, -1008),
        ("bus_unknown", 400, -1006),
        ("backend_timeout", 408, -1007),
    ],
)
def test_troubles(client: Any, kind: str, status: int, code: int | None) -> None:
    """Overload, with and without a code, and the two answers that say themselves that they do not know."""
    client.driver.do("open_orders")
    client.emulator.control("arm", kind=kind, count=1, methods=["POST"])

    _check(client, _order(client, "trouble-1").raised, status, code)


@pytest.mark.clients("modular-sdk")
def test_the_sdk_hands_on_how_long_to_wait(client: Any) -> None:
    """`Retry-After` of a 429 and of a 418 reaches the user of the only client that looks at it, in whole seconds."""
    client.emulator.control("arm", kind="too_many_requests", count=1, options={"retry_after_ms": 7_000})
    limited = client.driver.fail("open_orders")
    client.emulator.control("arm", kind="ban", options={"ms": 60_000})
    banned = client.driver.fail("open_orders")

    assert limited["attributes"]["retry_after"] == 7
    assert 50 <= banned["attributes"]["retry_after"] <= 60
