"""toxiproxy-python as the harness calls it: aimed, bounded in time, every failure told, nobody else disturbed."""

import asyncio
import os
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

import pytest
import toxiproxy.api
from embedded_server import embedded

from harness.world.real import proxy_api
from harness.world.real.proxy_api import ProxyApi, ProxyApiError, ProxyPlace

pytestmark = pytest.mark.real


@pytest.fixture(scope="module")
def place() -> Iterator[ProxyPlace]:
    """Run an embedded server for all tests of this file."""
    with embedded() as place:
        yield place


@pytest.fixture
async def api(place: ProxyPlace) -> AsyncIterator[ProxyApi]:
    """Return its API; what a test leaves there is deleted."""
    api = ProxyApi(place)
    yield api
    for name in await api.get("/proxies"):
        await api.delete(name)
    await api.close()


async def test_the_whole_life_of_a_proxy(api: ProxyApi) -> None:
    """Each call does what it says, as the server itself tells."""
    assert await api.version() == "2.12.0"
    await api.create("a.b", listen="127.0.0.1:0", upstream="127.0.0.1:1")
    await api.add_toxic("a.b", "slow", "latency", stream="upstream", toxicity=0.5, attributes={"latency": 7})
    await api.disable("a.b")
    shown = (await api.get("/proxies"))["a.b"]
    (toxic,) = shown["toxics"]
    assert (shown["enabled"], shown["upstream"]) == (False, "127.0.0.1:1")
    assert (toxic["name"], toxic["type"], toxic["stream"], toxic["toxicity"]) == ("slow", "latency", "upstream", 0.5)
    assert toxic["attributes"]["latency"] == 7
    await api.enable("a.b")
    await api.remove_toxic("a.b", "slow")
    shown = (await api.get("/proxies"))["a.b"]
    assert (shown["enabled"], shown["toxics"]) == (True, [])
    await api.delete("a.b")
    assert await api.get("/proxies") == {}


@pytest.mark.parametrize(
    ("call", "status", "words"),
    [
        (lambda api: api.create("here", listen="127.0.0.1:0", upstream="x:1"), 409, "already exists"),
        (lambda api: api.create("b", listen="127.0.0.1:99999", upstream="x:1"), 500, "99999"),
        (lambda api: api.disable("gone"), 404, "proxy not found"),
        (lambda api: api.enable("gone"), 404, "did not enable proxy gone"),
        (lambda api: api.delete("gone"), 404, "proxy not found"),
        (lambda api: api.remove_toxic("here", "gone"), 404, "toxic not found"),
        (lambda api: api.add_toxic("here", "t", "no", stream="upstream", toxicity=1, attributes={}), 400, "invalid"),
        (lambda api: api.get("/nowhere"), 404, "404"),
    ],
)
async def test_no_failure_passes_for_success(
    api: ProxyApi, call: Callable[[ProxyApi], Awaitable[object]], status: int, words: str
) -> None:
    """Also answers that the library itself takes for success are errors, with the server's own words."""
    await api.create("here", listen="127.0.0.1:0", upstream="127.0.0.1:1")
    with pytest.raises(ProxyApiError, match=words) as failure:
        await call(api)
    assert failure.value.status == status


async def test_proxy_variables_are_not_heeded_and_not_changed(api: ProxyApi, monkeypatch: pytest.MonkeyPatch) -> None:
    """Calls reach the loopback address though the environment names an HTTP proxy; hosts still inherit it."""
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.delenv("NO_PROXY", raising=False)
    before = dict(os.environ)
    assert await api.version() == "2.12.0"
    assert dict(os.environ) == before


async def test_two_servers_at_once_are_not_confused(api: ProxyApi) -> None:
    """The library keeps one address for the whole process; ours are kept apart, and its own is left as it was."""
    aimed_at = (toxiproxy.api.APIConsumer.host, toxiproxy.api.APIConsumer.port, toxiproxy.api.requests)
    with embedded() as place:
        other = ProxyApi(place)
        await asyncio.gather(
            *(api.create(f"one{n}", listen="127.0.0.1:0", upstream="127.0.0.1:1") for n in range(10)),
            *(other.create(f"two{n}", listen="127.0.0.1:0", upstream="127.0.0.1:1") for n in range(10)),
        )
        assert set(await api.get("/proxies")) == {f"one{n}" for n in range(10)}
        assert set(await other.get("/proxies")) == {f"two{n}" for n in range(10)}
        await other.close()
    assert (toxiproxy.api.APIConsumer.host, toxiproxy.api.APIConsumer.port, toxiproxy.api.requests) == aimed_at


async def test_a_cancelled_call_cannot_overtake_the_one_that_undoes_it(api: ProxyApi) -> None:
    """Calls take effect in the order in which they were made, whether or not somebody still waits for them."""
    await api.create("a", listen="127.0.0.1:0", upstream="127.0.0.1:1")
    for _ in range(50):
        disabling = asyncio.create_task(api.disable("a"))
        await asyncio.sleep(0)
        disabling.cancel()
        await api.enable("a")
        assert (await api.get("/proxies/a"))["enabled"]


async def test_a_server_that_never_answers_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """A call ends after its time limit, and says so in a few words."""
    monkeypatch.setattr(proxy_api, "ANSWER_S_MAX", 0.2)
    silent = socket.create_server(("127.0.0.1", 0))
    api = ProxyApi(ProxyPlace(host="127.0.0.1", port=silent.getsockname()[1]))
    await api.warm_up()
    began = time.monotonic()
    with pytest.raises(ProxyApiError, match=r"did not GET /version: no answer within 0\.2 s") as failure:
        await api.version()
    assert time.monotonic() - began < 5
    assert failure.value.status is None
    await api.close()
    silent.close()


async def test_nobody_there_is_told_in_two_words() -> None:
    """What urllib3 says in three lines is `connection refused`."""
    api = ProxyApi(ProxyPlace(host="127.0.0.1", port=1))
    with pytest.raises(ProxyApiError) as failure:
        await api.version()
    assert failure.value.reason == "connection refused"
    await api.close()


@pytest.mark.parametrize("url", ["127.0.0.1:8474", "https://127.0.0.1:8474", "http://", "http://h:1/x", "http://u@h:1"])
def test_what_is_no_place_is_refused(url: str) -> None:
    """Only `http://host[:port]` is a place."""
    with pytest.raises(ValueError, match=r"write http://127\.0\.0\.1:8474"):
        ProxyPlace.parse(url)


def test_the_port_of_a_place_is_toxiproxys_own_unless_given() -> None:
    """8474 is where a toxiproxy-server listens by itself."""
    assert ProxyPlace.parse("http://localhost") == ProxyPlace(host="localhost", port=8474)
    assert ProxyPlace.parse("http://127.0.0.1:99/").url == "http://127.0.0.1:99"
