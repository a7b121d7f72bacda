"""The routing table against the facts page: weights, order slots, who may call."""

import pytest

from harness.dependencies.binance.gate.routes import METHODS, ROUTES, market_of


def weight(method: str, path: str, **params: str) -> int:
    """The weight of such a request."""
    return ROUTES[method, path].weigh(params)


@pytest.mark.parametrize(
    ("method", "path", "expected"),
    [
        ("POST", "/fapi/v1/order", 0),
        ("PUT", "/fapi/v1/order", 0),
        ("GET", "/fapi/v1/order", 1),
        ("DELETE", "/fapi/v1/order", 1),
        ("POST", "/fapi/v1/listenKey", 1),
        ("GET", "/fapi/v1/ping", 1),
        ("GET", "/fapi/v1/time", 1),
        ("GET", "/fapi/v1/exchangeInfo", 1),
        ("GET", "/fapi/v2/account", 5),
        ("GET", "/fapi/v3/account", 5),
        ("GET", "/fapi/v2/balance", 5),
        ("GET", "/fapi/v3/positionRisk", 5),
        ("GET", "/fapi/v1/allOrders", 5),
        ("GET", "/fapi/v1/userTrades", 5),
        ("POST", "/fapi/v1/batchOrders", 5),
        ("GET", "/api/v3/exchangeInfo", 20),
        ("GET", "/api/v3/account", 20),
        ("GET", "/api/v3/order", 4),
        ("GET", "/api/v3/allOrders", 20),
        ("POST", "/api/v3/order", 0),
        ("DELETE", "/api/v3/order", 0),
    ],
)
def test_fixed_weights(method: str, path: str, expected: int) -> None:
    """As the facts page has them."""
    assert weight(method, path) == expected


@pytest.mark.parametrize(
    ("limit", "expected"),
    [("5", 2), ("50", 2), ("51", 5), ("100", 5), ("101", 10), ("500", 10), ("501", 20), ("1000", 20), ("99999", 20)],
)
def test_depth_weighs_by_its_limit(limit: str, expected: int) -> None:
    """<=50: 2, 100: 5, 500: 10, 1000: 20."""
    assert weight("GET", "/fapi/v1/depth", limit=limit) == expected


@pytest.mark.parametrize("limit", ["", "x", "-1", "1e3", "\u0665", "9" * 40])
def test_a_limit_that_is_no_number_weighs_as_the_default(limit: str) -> None:
    """The weight is counted before anybody finds the parameter invalid."""
    assert weight("GET", "/fapi/v1/depth", limit=limit) == weight("GET", "/fapi/v1/depth") == 10


@pytest.mark.parametrize(
    ("limit", "expected"), [("1", 1), ("99", 1), ("100", 2), ("499", 2), ("500", 5), ("1000", 5), ("1001", 10)]
)
def test_klines_weigh_by_their_limit(limit: str, expected: int) -> None:
    """1 to 10."""
    assert weight("GET", "/fapi/v1/klines", limit=limit) == expected
    assert weight("GET", "/api/v3/klines", limit=limit) == 2


@pytest.mark.parametrize(
    ("path", "one", "every"),
    [
        ("/fapi/v1/openOrders", 1, 40),
        ("/fapi/v1/ticker/24hr", 1, 40),
        ("/fapi/v1/ticker/price", 1, 2),
        ("/fapi/v1/ticker/bookTicker", 2, 5),
        ("/api/v3/openOrders", 6, 80),
        ("/api/v3/ticker/24hr", 2, 80),
    ],
)
def test_asking_for_all_symbols_is_dear(path: str, one: int, every: int) -> None:
    """The classic way to be banned."""
    assert (weight("GET", path, symbol="BTCUSDT"), weight("GET", path)) == (one, every)


@pytest.mark.parametrize(("count", "expected"), [(1, 2), (20, 2), (21, 40), (100, 40), (101, 80)])
def test_spot_tickers_weigh_by_how_many_symbols(count: int, expected: int) -> None:
    """Documented steps at 20 and 100."""
    symbols = "[" + ",".join('"A"' for _ in range(count)) + "]"
    assert weight("GET", "/api/v3/ticker/24hr", symbols=symbols) == expected


@pytest.mark.parametrize(
    ("method", "path", "expected"),
    [
        ("POST", "/fapi/v1/order", (1, 1)),
        ("PUT", "/fapi/v1/order", (1, 1)),
        ("POST", "/fapi/v1/batchOrders", (5, 1)),
        ("DELETE", "/fapi/v1/order", (0, 0)),
        ("GET", "/fapi/v1/order", (0, 0)),
        ("POST", "/api/v3/order", (1, 1)),
        ("POST", "/api/v3/order/test", (0, 0)),
    ],
)
def test_order_slots(method: str, path: str, expected: tuple[int, int]) -> None:
    """1 on each counter; a batch 5 on the short one and 1 on the long."""
    assert ROUTES[method, path].orders == expected


def test_who_may_call() -> None:
    """Market data for everybody, listen keys with a key, the account with a signature."""
    assert ROUTES["GET", "/fapi/v1/depth"].security == "NONE"
    assert ROUTES["POST", "/fapi/v1/listenKey"].security == "USER_STREAM"
    assert not ROUTES["POST", "/api/v3/userDataStream"].signed
    changing = [route for route in ROUTES.values() if route.method != "GET" and route.security != "USER_STREAM"]
    assert {route.security for route in changing} == {"TRADE"}
    assert all(route.signed for route in changing)


def test_every_path_of_the_facts_page_is_there() -> None:
    """What the emulator must serve."""
    paths = {
        *(
            f"/fapi/v1/{name}"
            for name in (
                "ping",
                "time",
                "exchangeInfo",
                "depth",
                "openOrders",
                "allOrders",
                "userTrades",
                "leverageBracket",
            )
        ),
        *(f"/fapi/v{version}/{name}" for version in (2, 3) for name in ("account", "balance", "positionRisk")),
        *(f"/api/v3/{name}" for name in ("ping", "time", "exchangeInfo", "depth", "openOrders", "account")),
    }
    assert all("GET" in METHODS[path] for path in paths)
    assert METHODS["/fapi/v1/order"] == {"POST", "PUT", "GET", "DELETE"}
    assert METHODS["/api/v3/order"] == {"POST", "GET", "DELETE"}
    assert METHODS["/fapi/v1/listenKey"] == {"POST", "PUT", "DELETE"}


def test_a_path_counts_against_its_market() -> None:
    """Also one that does not exist."""
    assert market_of("/fapi/v9/x") == "futures"
    assert market_of("/api/v9/x") == "spot"
    assert market_of("/x") is None
