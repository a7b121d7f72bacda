"""toxiproxy-python, unmodified, against a server in a process of its own: all of its API."""

import socket

import pytest
from toxiproxy import Toxiproxy
from toxiproxy.api import APIConsumer
from toxiproxy.exceptions import InvalidToxic, NotFound, ProxyExists

pytestmark = pytest.mark.real

UPSTREAM = "127.0.0.1:9"


@pytest.fixture
def toxiproxy(server, monkeypatch):
    """The client, pointed at the server; no HTTP proxy of this machine's comes between."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr(APIConsumer, "host", APIConsumer.host)  # restored afterwards: the client keeps it in a class
    monkeypatch.setattr(APIConsumer, "port", APIConsumer.port)
    client = Toxiproxy()
    client.update_api_consumer(server.host, server.port)
    return client


def test_running_and_version(toxiproxy):
    """It finds the server and reads its version."""
    assert toxiproxy.running()
    assert toxiproxy.version() == b'{"version": "2.12.0"}\n'


def test_create_list_get_and_destroy(toxiproxy):
    """Proxies are created, listed, found and destroyed."""
    made = toxiproxy.create(UPSTREAM, "one")
    assert (made.name, made.upstream, made.enabled) == ("one", UPSTREAM, True)
    assert made.listen.startswith("127.0.0.1:")
    off = toxiproxy.create(UPSTREAM, "two", listen="127.0.0.1:0", enabled=False)
    assert not off.enabled
    assert sorted(toxiproxy.proxies()) == ["one", "two"]
    assert toxiproxy.get_proxy("one").listen == made.listen
    assert toxiproxy.get_proxy("none") is None
    assert toxiproxy.destroy(made)
    assert list(toxiproxy.proxies()) == ["two"]
    toxiproxy.destroy_all()
    assert toxiproxy.proxies() == {}


def test_errors(toxiproxy):
    """What the client raises is told apart by status: 400, 404, 409."""
    proxy = toxiproxy.create(UPSTREAM, "one")
    with pytest.raises(ProxyExists):
        toxiproxy.create(UPSTREAM, "one")
    with pytest.raises(ProxyExists):
        APIConsumer.post("/proxies", json={"name": "one", "upstream": UPSTREAM})
    with pytest.raises(InvalidToxic):
        proxy.add_toxic(type="nonsense")
    with pytest.raises(NotFound):
        proxy.destroy_toxic("none")
    proxy.destroy()
    with pytest.raises(NotFound):
        proxy.destroy()


def test_toxics(toxiproxy):
    """Toxics are added with and without names, read back, and destroyed."""
    proxy = toxiproxy.create(UPSTREAM, "one")
    proxy.add_toxic(type="latency", attributes={"latency": 5})
    proxy.add_toxic(type="bandwidth", name="slow", stream="upstream", toxicity=0.5, attributes={"rate": 7})
    assert list(proxy.toxics()) == ["slow", "latency_downstream"]
    slow = proxy.get_toxic("slow")
    assert (slow.type, slow.stream, slow.toxicity, slow.attributes) == ("bandwidth", "upstream", 0.5, {"rate": 7})
    assert proxy.get_toxic("none") is None
    assert proxy.destroy_toxic("slow")
    assert list(proxy.toxics()) == ["latency_downstream"]


def test_disable_enable_and_down(toxiproxy):
    """A proxy refuses while it is disabled, and within `down`."""
    proxy = toxiproxy.create(UPSTREAM, "one")
    host, _, port = proxy.listen.rpartition(":")
    address = host, int(port)
    proxy.disable()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(address)
    proxy.enable()
    socket.create_connection(address).close()
    with proxy.down(), pytest.raises(ConnectionRefusedError):
        socket.create_connection(address)
    socket.create_connection(address).close()


def test_populate_and_reset(toxiproxy):
    """Populate creates what is missing and replaces what is other; reset enables and cleans."""
    first, second = toxiproxy.populate(
        [
            {"name": "one", "upstream": UPSTREAM, "listen": "127.0.0.1:0"},
            {"name": "two", "upstream": UPSTREAM, "listen": "127.0.0.1:0"},
        ]
    )
    second.add_toxic(type="timeout")
    second.disable()
    same = {"name": "one", "upstream": UPSTREAM, "listen": first.listen}
    other = {"name": "two", "upstream": "127.0.0.1:10", "listen": second.listen}
    assert [proxy.upstream for proxy in toxiproxy.populate([same, other])] == ["127.0.0.1:10"]
    two = toxiproxy.get_proxy("two")
    two.add_toxic(type="timeout")
    two.disable()
    assert toxiproxy.reset()
    assert toxiproxy.get_proxy("two").enabled
    assert toxiproxy.get_proxy("two").toxics() == {}
