"""The control API: what it passes on, and how it refuses."""

import contextlib
import json
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.dependencies.binance.arms import KINDS, Arm
from harness.dependencies.binance.control_api import ControlApi, as_json, parse_arm
from harness.dependencies.binance.wire import Request
from harness.errors import UsageError


@pytest.fixture
async def ask(served):
    """Ask a served control API over HTTP; returns (status, JSON)."""
    served.server.control = ControlApi(served.server, token="secret")
    wire = await served.wire()

    async def ask(method, route, body=None, *, authorization="Bearer secret"):
        data = b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
        length = f"Content-Length: {len(data)}\r\n" if data else ""
        head = f"{method} /__control__/{route} HTTP/1.1\r\nHost: h\r\nAuthorization: {authorization}\r\n{length}\r\n"
        wire.send(head.encode() + data)
        status, _, answer = await wire.answer()
        return status, json.loads(answer)

    return ask


async def test_a_fault_is_armed_with_all_it_takes_and_disarmed(ask, served):
    """What is in the JSON is in the arm, its name comes back, and disarming records what it did."""
    full = {
        "kind": "latency",
        "share": 0.25,
        "count": 7,
        "methods": ["POST"],
        "paths": ["/fapi/v1/order"],
        "symbols": ["BTCUSDT"],
        "options": {"ms": 5},
    }
    assert await ask("POST", "arm", full) == (200, {"name": "latency-1"})
    assert served.core.armed["latency-1"] == Arm(
        kind="latency",
        share=0.25,
        count=7,
        methods=("POST",),
        paths=("/fapi/v1/order",),
        symbols=("BTCUSDT",),
        options={"ms": 5},
    )
    assert await ask("POST", "disarm", {"name": "latency-1"}) == (200, {})
    assert served.records.flushed[-1][1:] == ("exchange_fault", {"fault": "latency"})


@pytest.mark.parametrize(("route", "kind"), [("tenants", "tenant"), ("limits", "limits")])
async def test_short_ways_to_arm(route, kind, ask, served):
    """Other tenants and lower limits are armed by their options alone."""
    assert await ask("POST", route, {"factor": 0.5}) == (200, {"name": f"{kind}-1"})
    assert served.core.armed[f"{kind}-1"] == Arm(kind=kind, options={"factor": 0.5})


async def test_book_price_and_reset_reach_the_exchange(ask, served):
    """The book is refilled, the price is moved exactly, and a reset makes another exchange."""
    assert (await ask("POST", "book", {"symbol": "BTCUSDT"}))[0] == 200
    assert (await ask("POST", "price", {"symbol": "BTCUSDT", "price": "60000.10"}))[0] == 200
    assert served.core.calls == [("refill", "BTCUSDT"), ("price", "BTCUSDT", Decimal("60000.10"))]
    before = served.core
    assert (await ask("POST", "reset"))[0] == 200
    assert served.core is not before


async def test_ledger_state_and_kinds_are_told(ask, served):
    """The ledger is the exchange's with the server's errors; the state has both clocks; the kinds are all."""
    assert await ask("GET", "ledger") == (200, {"requests": 0, "internal_errors": 0})
    _, state = await ask("GET", "state")
    assert state["wall_ms"] == 1_700_000_000_123
    assert state["control_requests"] == 2
    assert state["requests"] == 0
    assert await ask("GET", "kinds") == (200, {"kinds": list(KINDS)})


REFUSED = {
    "unknown route": ("POST", "amr", {"kind": "ban"}, 404, "did you mean 'arm'?"),
    "wrong method": ("GET", "reset", None, 405, "reset is asked for with POST, not GET"),
    "unknown kind": ("POST", "arm", {"kind": "firewal"}, 400, "did you mean 'firewall'?"),
    "no kind": ("POST", "arm", {}, 400, "an arm needs a kind"),
    "kind of another type": ("POST", "arm", {"kind": ["ban"]}, 400, "unknown kind of fault"),
    "unknown field": ("POST", "arm", {"kind": "ban", "shares": 1}, 400, "did you mean 'share'?"),
    "wrong type": ("POST", "arm", {"kind": "ban", "count": "1"}, 400, "not an arm: Expected `int`, got `str`"),
    "share beyond one": ("POST", "arm", {"kind": "ban", "share": 1.5}, 400, "the share of an arm is from 0 to 1"),
    "what the exchange refuses": ("POST", "arm", {"kind": "ban", "options": {"bad": 1}}, 400, "it does not take bad"),
    "unknown name": ("POST", "disarm", {"name": "x"}, 400, "nothing armed is named 'x'"),
    "missing field": ("POST", "disarm", {}, 400, "the field 'name' is missing or no text"),
    "no JSON": ("POST", "arm", b"{", 400, "the body is no JSON"),
    "deep JSON": ("POST", "arm", b"[" * 100_000, 400, "the body is no JSON"),
    "no object": ("POST", "arm", [1], 400, "the body is no JSON object"),
    "no price": ("POST", "price", {"symbol": "B", "price": "NaN"}, 400, "not a price: 'NaN'"),
    "no number": ("POST", "price", {"symbol": "B", "price": "x"}, 400, "not a price: 'x'"),
}


@pytest.mark.parametrize("case", REFUSED)
async def test_what_is_wrong_is_named_in_one_line(case, ask, served):
    """A bad request is refused with its status and a text that helps, nothing is changed, nothing fails inside."""
    method, route, body, status, text = REFUSED[case]
    got, answer = await ask(method, route, body)
    assert (got, list(answer)) == (status, ["error"])
    assert text in answer["error"]
    assert "\n" not in answer["error"]
    assert (served.core.calls, served.core.armed) == ([], {})
    assert served.server.counters.internal_errors == 0


@pytest.mark.parametrize("authorization", ["", "Bearer wrong", "secret", "Bearer secret2"])
async def test_without_the_token_nothing_is_done(authorization, ask, served):
    """A missing or wrong token is a 401."""
    status, _ = await ask("POST", "arm", {"kind": "ban"}, authorization=authorization)
    assert (status, served.core.armed) == (401, {})


def test_other_machines_are_refused(served_type):
    """Only loopback addresses may ask."""
    api = ControlApi(served_type().server)
    request = Request(method="GET", path="/__control__/kinds")
    assert [api(request, peer).status for peer in ("127.0.0.1", "::1", "192.0.2.1", "")] == [200, 200, 403, 403]


async def test_without_a_control_api_its_paths_are_the_exchanges(served):
    """A server that was not given one passes those requests on like any other."""
    wire = await served.wire()
    wire.send(b"GET /__control__/ledger HTTP/1.1\r\nHost: h\r\n\r\n")
    assert (await wire.told())["path"] == "/__control__/ledger"


arms = st.builds(
    Arm,
    kind=st.sampled_from(KINDS),
    share=st.floats(0, 1),
    count=st.integers(0, 10**9),
    methods=st.lists(st.text(max_size=5), max_size=3).map(tuple),
    paths=st.lists(st.text(max_size=5), max_size=3).map(tuple),
    symbols=st.lists(st.text(max_size=5), max_size=3).map(tuple),
    options=st.dictionaries(st.text(max_size=5), st.integers() | st.text(max_size=5), max_size=3),
)


@given(arm=arms)
def test_an_arm_survives_its_json(arm):
    """What is sent as JSON is parsed into the same arm."""
    assert parse_arm(json.loads(json.dumps(as_json(arm)))) == arm


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@given(body=st.dictionaries(st.sampled_from([*Arm.__dataclass_fields__, "other"]), json_values, max_size=5))
def test_any_json_is_an_arm_or_a_usage_error(body):
    """Nothing but `UsageError` comes out for JSON of any shape."""
    with contextlib.suppress(UsageError):
        assert parse_arm(body).kind in KINDS
