"""The exchange's door, and the paths of a service."""

from collections.abc import AsyncIterator, Mapping
from typing import Any

import httpx
import pytest

from reference_impl._http.app import guarded
from reference_impl._stack.door import Door, DoorError, router
from reference_impl._stack.guarding import rules
from reference_impl._stack.paths import Paths

TOKEN = "a-token-of-the-services"


class BannedError(Exception):
    """As the adapter raises."""

    reason = "banned"


class Exchange:
    """Answers reads with what it was asked."""

    def __init__(self) -> None:
        self.error: Exception | None = None

    async def get(self, path: str, params: Mapping[str, Any], *, signed: bool, deadline_s: float) -> Any:
        """Answer."""
        if self.error is not None:
            raise self.error
        return {"path": path, "params": dict(params), "signed": signed, "deadline_s": deadline_s}


@pytest.fixture
def exchange() -> Exchange:
    """Return what is behind the door."""
    return Exchange()


@pytest.fixture
async def door(exchange: Exchange) -> AsyncIterator[Door]:
    """Return the door, its application called without a network."""
    app = guarded("door", [router(exchange)], rules({"services": TOKEN}))
    door = Door("http://execution", TOKEN)
    await door._client.aclose()
    door._client = httpx.AsyncClient(
        base_url="http://execution",
        headers={"Authorization": f"Bearer {TOKEN}"},
        transport=httpx.ASGITransport(app, raise_app_exceptions=False),
    )
    yield door
    await door.close()


async def test_it_reads_as_the_adapter_does(door: Door):
    """Parameters and the deadline go through; what must be signed is."""
    read = await door.get("/fapi/v1/userTrades", {"symbol": "BTCUSDT", "fromId": 7}, signed=True, deadline_s=3.0)
    assert read["params"] == {"symbol": "BTCUSDT", "fromId": "7"}
    assert (read["signed"], read["deadline_s"]) == (True, 3.0)
    assert (await door.get("/fapi/v1/ticker/price", {}))["signed"] is False


async def test_it_passes_the_adapters_reason_on(door: Door, exchange: Exchange):
    """Who reads through it knows why it cannot."""
    exchange.error = BannedError()
    with pytest.raises(DoorError) as raised:
        await door.get("/fapi/v2/account", {})
    assert raised.value.reason == "banned"


async def test_an_error_without_a_reason_tells_nothing(door: Door, exchange: Exchange):
    """Nothing of its text, that is."""
    exchange.error = RuntimeError("a secret")
    with pytest.raises(DoorError) as raised:
        await door.get("/fapi/v2/account", {})
    assert "secret" not in str(raised.value)


@pytest.mark.parametrize("path", ["", "/fapi/v1/order", "/fapi/v1/openOrders", "/sapi/v1/withdraw"])
async def test_nothing_else_can_be_read(door: Door, path: str):
    """And nothing ordered."""
    with pytest.raises(DoorError) as raised:
        await door.get(path, {})
    assert raised.value.reason == "invalid"


@pytest.mark.parametrize("deadline", ["0", "31", "soon", "nan"])
async def test_a_deadline_must_be_one(door: Door, deadline: str):
    """Seconds, at most thirty."""
    query = {"path": "/fapi/v2/account", "deadline_s": deadline}
    answer = await door._client.get("/api/exchange", params=query)
    assert answer.status_code == httpx.codes.UNPROCESSABLE_ENTITY


async def test_it_opens_with_the_services_token_only(door: Door):
    """A person's is none."""
    door._client.headers["Authorization"] = "Bearer another-token-altogether"
    with pytest.raises(DoorError) as raised:
        await door.get("/fapi/v2/account", {})
    assert raised.value.reason == "unauthorized"


async def test_paths_lead_to_their_applications_and_health_to_none():
    """The longest beginning counts, whole words only; anything else is 404."""

    def named(name: str) -> Any:
        async def app(_scope: Any, _receive: Any, send: Any) -> None:
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": name.encode()})

        return app

    paths = Paths("one", {"/api": named("api"), "/api/ess": named("ess")}, lambda: {"queued": 3})
    async with httpx.AsyncClient(base_url="http://one", transport=httpx.ASGITransport(paths)) as client:
        assert (await client.get("/api/ess/status")).text == "ess"
        assert (await client.get("/api/essential")).text == "api"
        assert (await client.get("/apis")).status_code == httpx.codes.NOT_FOUND
        told = (await client.get("/health")).json()
    assert told == {"status": "healthy", "service": "one", "details": {"queued": 3}}
