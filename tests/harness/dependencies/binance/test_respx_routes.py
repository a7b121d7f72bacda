"""Faults as respx routes: what httpx users meet, sync and async, and that the rest of a test's routes goes on."""

import asyncio
import doctest
import json

import httpx
import pytest
import respx

from harness.dependencies.binance import respx_routes
from harness.dependencies.binance.gate.errors import ERRORS, UNAVAILABLE

URL = "https://fapi.binance.com"
ORDER = "/fapi/v1/order"
SECOND = 1_000_000_000


@pytest.fixture
def router():
    """A test's own router, with a route of its own behind the faults that are added first."""
    with respx.mock(base_url=URL, assert_all_called=False) as router:
        yield router


@pytest.fixture(params=["sync", "async"])
def send(request):
    """Sends one request by a client of either kind, and returns its answer. Certificates would only take time."""

    def sync(method, path, **options):
        with httpx.Client(base_url=URL, verify=False) as client:
            return client.request(method, path, **options)

    async def later(method, path, **options):
        async with httpx.AsyncClient(base_url=URL, verify=False) as client:
            return await client.request(method, path, **options)

    return sync if request.param == "sync" else lambda *args, **options: asyncio.run(later(*args, **options))


def fine(router):
    """What answers behind a fault."""
    return router.route().respond(200, json={"fine": True})


def test_examples_of_the_docstring():
    """They are executed as they stand."""
    assert doctest.testmod(respx_routes).attempted >= 3
    assert doctest.testmod(respx_routes).failed == 0


def test_a_storm_that_passes(router, send):
    """The first requests meet it with everything that the exchange tells; then the test's own routes answer."""
    storm = respx_routes.storm_routes(router, count=2, retry_after_s=7)
    fine(router)
    first, second, third = (send("GET", "/fapi/v1/depth", params={"symbol": "BTCUSDT"}) for _ in range(3))
    assert [first.status_code, second.status_code, third.status_code, storm.call_count] == [429, 429, 200, 2]
    assert (first.headers["Retry-After"], first.headers["X-MBX-USED-WEIGHT-1M"]) == ("7", "2401")
    assert first.json()["code"] == -1003
    assert "current limit of IP(203.0.113.7) is 2400 requests per minute." in first.json()["msg"]
    assert first.content == second.content


def test_a_storm_says_nothing_of_waiting_if_asked(router, send):
    """Then a client has to know by itself."""
    respx_routes.storm_routes(router, retry_after_s=None)
    assert "Retry-After" not in send("GET", "/fapi/v1/time").headers


def test_a_ban_ends_when_its_clock_says_so(router, send):
    """Until then it says the same instant and a wait that gets shorter, rounded up to whole seconds."""
    now_ns = 1_700_000_000 * SECOND
    respx_routes.ban_routes(router, length_s=2.5, clock=lambda: now_ns)
    fine(router)
    first = send("GET", "/fapi/v1/time")
    now_ns += 2 * SECOND
    second = send("GET", "/fapi/v1/time")
    now_ns += SECOND // 2
    assert send("GET", "/fapi/v1/time").json() == {"fine": True}
    assert [first.status_code, second.status_code] == [418, 418]
    assert [first.headers["Retry-After"], second.headers["Retry-After"]] == ["3", "1"]
    assert "banned until 1700000002500." in first.json()["msg"]
    assert first.content == second.content


@pytest.mark.parametrize("status", [429, 400])
def test_an_order_storm_takes_new_orders_only(router, send, status):
    """Cancels and reads pass, as the exchange counts orders apart."""
    respx_routes.order_storm_routes(router, status=status)
    fine(router)
    refused = send("POST", ORDER, params={"symbol": "BTCUSDT"})
    assert (refused.status_code, refused.json()["code"]) == (status, -1015)
    assert send("DELETE", ORDER).status_code == 200
    assert send("GET", ORDER).status_code == 200


@pytest.mark.parametrize("variant", UNAVAILABLE)
def test_unavailable_in_four_variants(router, send, variant):
    """Each with its own body; two of them have no code."""
    respx_routes.unavailable_routes(router, variant, count=1)
    fine(router)
    refused = send("POST", ORDER)
    assert (refused.status_code, refused.content) == (503, UNAVAILABLE[variant].body())
    assert ("code" in refused.json()) == (variant in "CD")
    assert send("POST", ORDER).status_code == 200


@pytest.mark.parametrize("code", [-1006, -1007, -1021, -2019, -4116, -2022])
def test_every_error_of_the_table(router, send, code):
    """With its usual status, on these methods and paths only."""
    respx_routes.error_routes(router, code, methods=("POST",), paths=(ORDER,))
    fine(router)
    refused = send("POST", ORDER, data={"symbol": "BTCUSDT"})
    assert (refused.status_code, json.loads(refused.content)["code"]) == (ERRORS[code].status, code)
    assert refused.headers["Content-Type"] == "application/json"
    assert send("POST", "/fapi/v1/listenKey").status_code == 200
    assert send("GET", ORDER).status_code == 200


def test_errors_have_fields_that_must_be_given(router, send):
    """A text that names the parameter; without its name there is none."""
    respx_routes.error_routes(router, -1102, name="symbol")
    assert "'symbol'" in send("GET", ORDER).json()["msg"]
    with pytest.raises(KeyError, match="name"):
        respx_routes.error_routes(router, -1102)
    with pytest.raises(KeyError, match="-7"):
        respx_routes.error_routes(router, -7)


def test_the_firewall_speaks_html(router, send):
    """Nothing of it is JSON."""
    respx_routes.firewall_routes(router, count=1)
    refused = send("GET", "/fapi/v1/time")
    assert (refused.status_code, refused.headers["Content-Type"]) == (403, "text/html")
    with pytest.raises(json.JSONDecodeError):
        refused.json()


def test_timeouts_and_resets_are_the_clients_own_exceptions(router, send):
    """At once, and then the rest of the routes answers."""
    respx_routes.timeout_routes(router, count=1)
    respx_routes.reset_routes(router, count=1)
    fine(router)
    with pytest.raises(httpx.ReadTimeout, match="within 5"):
        send("GET", "/fapi/v1/time")
    with pytest.raises(httpx.ReadError, match="reset"):
        send("GET", "/fapi/v1/time")
    assert send("GET", "/fapi/v1/time").status_code == 200


def test_a_client_without_a_timeout_fails_its_test(router, send):
    """It would wait for ever, and the test with it."""
    respx_routes.timeout_routes(router)
    with pytest.raises(AssertionError, match="GET /fapi/v1/time is never answered"):
        send("GET", "/fapi/v1/time", timeout=None)


def test_faults_with_the_same_pattern_follow_each_other(router, send):
    """By itself respx would let the second replace the first."""
    first = respx_routes.storm_routes(router, count=1)
    second = respx_routes.error_routes(router, -1007, count=2)
    fine(router)
    statuses = [send("GET", "/fapi/v1/time").status_code for _ in range(4)]
    assert (statuses, first.call_count, second.call_count) == ([429, 408, 408, 200], 1, 2)


def test_requests_that_an_effect_lets_pass_do_not_count(router, send):
    """Of an effect of one's own, `count` counts what it answered."""

    def no_orders(request):
        return httpx.Response(503) if request.method == "POST" else None

    route = respx_routes.fault_route(router, no_orders, count=1)
    fine(router)
    statuses = [send(method, ORDER).status_code for method in ("GET", "POST", "POST")]
    assert (statuses, route.call_count) == ([200, 503, 200], 1)
