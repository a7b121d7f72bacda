"""The whole exchange behind respx: what plain unit tests get of it, by sync and async clients, without any waiting."""

import asyncio
import doctest
import hashlib
import hmac
import time
from urllib.parse import urlencode

import httpx
import pytest
import respx
from respx.models import AllMockedAssertionError

from harness.dependencies.binance import respx_emulator
from harness.dependencies.binance.arms import Arm
from harness.dependencies.binance.respx_emulator import ManualClock, RoutedExchange, binance_routes, route_to_emulator
from harness.dependencies.binance.respx_routes import storm_routes
from harness.dependencies.binance.settings import API_KEY, API_SECRET, Settings
from harness.dependencies.binance.wire import Answer
from harness.errors import WorldError
from harness.units import ms, seconds

FUTURES = "https://fapi.binance.com"
SPOT = "https://api.binance.com"


@pytest.fixture(params=["sync", "async"])
def send(request):
    """Sends one request by a client of either kind, and returns its answer. Certificates would only take time."""

    def sync(method, url, **options):
        with httpx.Client(verify=False) as client:
            return client.request(method, url, **options)

    async def later(method, url, **options):
        async with httpx.AsyncClient(verify=False) as client:
            return await client.request(method, url, **options)

    return sync if request.param == "sync" else lambda *args, **options: asyncio.run(later(*args, **options))


def signed(now_s, **params):
    """A signed request's URL part and headers."""
    query = urlencode({**params, "timestamp": int(now_s * 1_000)})
    signature = hmac.new(API_SECRET.encode(), query.encode(), hashlib.sha256).hexdigest()
    return {"params": f"{query}&signature={signature}", "headers": {"X-MBX-APIKEY": API_KEY}}


def buy(now_s, name):
    """A signed order at the market."""
    params = {"symbol": "BTCUSDT", "side": "BUY", "type": "MARKET", "quantity": "0.01", "newOrderRespType": "RESULT"}
    return signed(now_s, **params, newClientOrderId=name)


def test_examples_of_the_docstring():
    """They are executed as they stand."""
    results = doctest.testmod(respx_emulator)
    assert (results.failed, results.attempted) == (0, 4)


def test_ignored_storms_earn_a_ban_that_ends(send):
    """429 becomes 418 by the settings' threshold; when the clock has passed the ban, all is well. Nothing waits."""
    clock = ManualClock()
    settings = Settings(strikes=3, bans_ms=(120_000,))
    storm = Arm(kind="too_many_requests", count=3)
    with binance_routes(arms=[storm], settings=settings, clock=clock) as exchange:
        statuses = [send("GET", f"{FUTURES}/fapi/v1/time").status_code for _ in range(5)]
        clock.advance(119.9)
        statuses.append(send("GET", f"{FUTURES}/fapi/v1/time").status_code)
        clock.advance(0.2)
        answer = send("GET", f"{FUTURES}/fapi/v1/time")
    assert statuses == [429, 429, 418, 418, 418, 418]
    assert (answer.status_code, answer.json()["serverTime"]) == (200, clock.time_ns // ms(1))
    (ban,) = [record for record in exchange.records if record.name == "ban"]
    assert (ban.fields["earned"], ban.fields["length_ns"]) == (True, seconds(120))


def test_weight_runs_out_and_comes_back_with_the_minute(send):
    """Counted by the same windows as over a socket, and told in the same headers."""
    clock = ManualClock()
    clock.advance(59)
    with binance_routes(clock=clock):
        answers = [send("GET", f"{FUTURES}/fapi/v1/depth?symbol=BTCUSDT&limit=1000") for _ in range(121)]
        assert [answer.status_code for answer in answers] == [200] * 120 + [429]
        assert [answer.headers["X-MBX-USED-WEIGHT-1M"] for answer in answers[-2:]] == ["2400", "2420"]
        assert answers[-1].headers["Retry-After"] == "1"
        clock.advance(1)
        assert send("GET", f"{FUTURES}/fapi/v1/ping").headers["X-MBX-USED-WEIGHT-1M"] == "1"


def test_an_order_is_executed_although_its_answer_is_lost(send):
    """The client's timeout passes on the clock; the order is there, once, when it is asked about."""
    clock = ManualClock()
    with binance_routes(clock=clock) as exchange:
        with exchange.fault(Arm(kind="silent_after", methods=("POST",))), pytest.raises(httpx.ReadTimeout):
            send("POST", f"{FUTURES}/fapi/v1/order", **buy(clock.time(), "once"), timeout=2.5)
        assert clock.time_ns == ManualClock().time_ns + seconds(2.5)
        found = send(
            "GET", f"{FUTURES}/fapi/v1/order", **signed(clock.time(), symbol="BTCUSDT", origClientOrderId="once")
        )
    assert (found.json()["status"], found.json()["executedQty"]) == ("FILLED", "0.010")
    hit, query = exchange.requests
    assert (hit["fault"], hit["executed"], hit["after_ns"], hit["client_id"]) == ("silent_after", True, -1, "once")
    assert "fault" not in query
    (ended,) = [record.fields for record in exchange.records if record.name == "exchange_fault"]
    assert (ended["hits"], ended["executed"]) == (1, 1)


def test_answers_that_are_late_take_the_clocks_time(send):
    """Within the client's patience they come; beyond it, they are a timeout."""
    clock = ManualClock()
    begin_ns = clock.time_ns
    with binance_routes(arms=[Arm(kind="latency", options={"ms": 3_000})], clock=clock):
        assert send("GET", f"{FUTURES}/fapi/v1/ping", timeout=3.0).status_code == 200
        assert clock.time_ns - begin_ns == seconds(3)
        with pytest.raises(httpx.ReadTimeout):
            send("GET", f"{FUTURES}/fapi/v1/ping", timeout=2.0)
        assert clock.time_ns - begin_ns == seconds(5)
        assert send("GET", f"{FUTURES}/fapi/v1/ping", timeout=None).status_code == 200


def test_resets_are_the_clients_own_exception(send):
    """Before and after execution alike; a client without any timeout fails its test on silence."""
    with binance_routes(arms=[Arm(kind="reset_before", count=1), Arm(kind="silent_before")], clock=ManualClock()):
        with pytest.raises(httpx.ReadError):
            send("GET", f"{FUTURES}/fapi/v1/ping")
        with pytest.raises(AssertionError, match="never answered"):
            send("GET", f"{FUTURES}/fapi/v1/ping", timeout=None)


def test_the_machines_clock_is_the_default(send):
    """Clients sign by it; a late answer does not move it, nor take any time."""
    before = time.time()
    with binance_routes(arms=[Arm(kind="latency", options={"ms": 4_000})]):
        placed = send("POST", f"{FUTURES}/fapi/v1/order", **buy(time.time(), "now"))
        asked = send(
            "GET", f"{FUTURES}/fapi/v1/order", **signed(time.time(), symbol="BTCUSDT", origClientOrderId="now")
        )
    assert (placed.json()["status"], asked.status_code) == ("FILLED", 200)
    assert time.time() - before < 4


def test_signatures_are_of_the_raw_bytes(send):
    """In a body as in a query, however they are written; a bad one is refused."""
    clock = ManualClock()
    order = buy(clock.time(), "a:b/c")
    headers = {**order["headers"], "Content-Type": "application/x-www-form-urlencoded"}
    with binance_routes(clock=clock):
        placed = send("POST", f"{FUTURES}/fapi/v1/order", content=order["params"], headers=headers)
        forged = send("POST", f"{FUTURES}/fapi/v1/order", content=order["params"] + "0", headers=headers)
    assert (placed.status_code, placed.json()["clientOrderId"]) == (200, "a:b/c")
    assert (forged.status_code, forged.json()["code"]) == (400, -1022)


def test_both_markets_are_served_and_nothing_else(send):
    """Spot has its own limits; a request to anywhere else fails the test."""
    with binance_routes(clock=ManualClock()) as exchange:
        assert send("GET", f"{SPOT}/api/v3/exchangeInfo").headers["X-MBX-USED-WEIGHT-1M"] == "20"
        assert send("GET", f"{FUTURES}/fapi/v1/ping").headers["X-MBX-USED-WEIGHT-1M"] == "1"
        with pytest.raises(AllMockedAssertionError):
            send("GET", "https://example.com/")
    assert [request["market"] for request in exchange.requests] == ["spot", "futures"]


def test_behind_a_router_of_the_tests_own(send):
    """Faults added before it go first; the test's own routes behind it are never reached under its URL."""
    with respx.mock(assert_all_called=False) as router:
        storm_routes(router, count=1)
        exchange = route_to_emulator(router, base_url="http://exchange:8080", clock=ManualClock())
        other = router.get("https://example.com/").respond(204)
        statuses = [send("GET", "http://exchange:8080/fapi/v1/ping").status_code for _ in range(2)]
        assert send("GET", "https://example.com/").status_code == 204
    assert (statuses, other.call_count, len(exchange.requests)) == ([429, 200], 1, 1)


def test_the_same_seed_hits_the_same_requests(send):
    """A share is drawn from the seed: the same every time, another with another."""

    def hits(seed):
        arm = Arm(kind="firewall", share=0.5)
        with binance_routes(arms=[arm], seed=seed, clock=ManualClock()):
            return [send("GET", f"{FUTURES}/fapi/v1/ping").status_code for _ in range(30)]

    assert hits(1) == hits(1) != hits(2)
    assert set(hits(1)) == {200, 403}


def test_what_time_does_by_itself_is_done():
    """Other tenants use the limit while nobody asks; the limits are recorded at the start."""
    clock = ManualClock()
    with binance_routes(arms=[Arm(kind="tenant", options={"weight_per_s": 10})], clock=clock) as exchange:
        first = httpx.get(f"{FUTURES}/fapi/v1/ping")
        clock.advance(30)
        second = httpx.get(f"{FUTURES}/fapi/v1/ping")
    assert [answer.headers["X-MBX-USED-WEIGHT-1M"] for answer in (first, second)] == ["1", "302"]
    assert [record.name for record in exchange.records] == ["exchange", "request", "request"]
    assert exchange.requests[1]["others"] == 300
    assert exchange.ledger()["requests"] == 2


class Sleeper:
    """A core that wants to be woken every second, and answers how often it was."""

    def __init__(self):
        self.woken = []

    def due_ns(self):
        """One second after the last time."""
        return seconds(len(self.woken))

    def wake(self, now_ns, wall_ms):
        """Note the time."""
        self.woken.append((now_ns, wall_ms))

    def receive(self, request, now_ns, wall_ms):
        """Answer."""
        return Answer(status=200, body=b"%d" % len(self.woken))


def test_the_core_is_woken_before_it_is_asked():
    """As often as it wants to be, until nothing more is due."""
    core, clock = Sleeper(), ManualClock()
    exchange = RoutedExchange(clock, lambda record, streams: core)
    clock.advance(2.5)
    answer = exchange.answer(httpx.Request("GET", f"{FUTURES}/fapi/v1/ping"))
    assert (answer.content, core.woken) == (b"3", [(seconds(2.5), clock.time_ns // ms(1))] * 3)


def test_arms_that_mean_nothing_are_refused():
    """When the routes are made, with the nearest name."""
    with (
        pytest.raises(WorldError, match="retry_after_ms"),
        binance_routes(arms=[Arm(kind="too_many_requests", options={"retry_after": 1})]),
    ):
        raise AssertionError("it cannot have begun")


def test_a_head_request_has_no_body(send):
    """As over a socket."""
    with binance_routes(clock=ManualClock()):
        assert send("HEAD", f"{FUTURES}/fapi/v1/ping").content == b""
