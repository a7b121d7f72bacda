"""What neighbouring APIs answer: enough for a client to start, and nothing that could be traded there."""

from harness.dependencies.binance.gate.routes import ROUTES
from harness.dependencies.binance.market.neighbours import neighbours
from harness.dependencies.binance.market.symbols import INSTRUMENTS


def test_every_asset_is_a_coin_that_moves_nowhere() -> None:
    """All assets of spot are there, once, and none can be deposited or withdrawn."""
    assets = [asset for each in INSTRUMENTS["spot"].values() for asset in (each.base, each.quote)]
    coins = neighbours(set(assets))["coins"]({}, 0)

    assert [coin["coin"] for coin in coins] == sorted(set(assets))
    assert not any(coin["depositAllEnable"] or coin["withdrawAllEnable"] for coin in coins)


def test_nothing_else_is_offered() -> None:
    """No margin pairs, and no coin-margined symbols; the time is the exchange's."""
    made = neighbours(["BTC"])

    assert made["margin_pairs"]({}, 5) == []
    info = made["coin_margined_info"]({}, 5)
    assert (info["symbols"], info["serverTime"]) == ([], 5)


def test_their_routes_cost_nothing_here() -> None:
    """The real ones have limits of their own, so spot's are left alone; every handler has a route."""
    routes = [route for (_, path), route in ROUTES.items() if not path.startswith(("/api/", "/fapi/"))]

    assert {route.endpoint for route in routes} == set(neighbours([]))
    assert {route.weigh({}) for route in routes} == {0}
