"""Connections that end before they have begun: before their client is wrapped, or while upstream is being dialled.

The first state lasts for one turn of the loop. So there the proxy runs in the test's own loop: making it deaf accepts
who waits at once, and whatever the test does next comes before the loop's next turn.
"""

import asyncio
import socket
import time
from contextlib import ExitStack

import pytest

from harness.toxics.base import Active
from harness.toxics.catalog import parse
from harness.toxiproxy.dice import dice_of
from harness.toxiproxy.proxy import Proxy, ProxySpec

pytestmark = pytest.mark.real

PATIENCE_S = 10.0


def active(kind):
    """Return a toxic."""
    return Active(name=kind, stream="downstream", toxic=parse(kind, {}))


@pytest.mark.parametrize(
    ("end", "is_reset"),
    [
        (Proxy.reset_connections, True),
        (lambda proxy: proxy.add_toxic(active("abort")), True),
        (Proxy.stop, False),
        (Proxy.remove, False),
    ],
    ids=["reset", "abort", "stop", "remove"],
)
async def test_a_client_that_was_never_wrapped(end, is_reset, reset):
    """It is accepted and at once ended: it learns so in the way that was asked for, upstream never hears of it."""
    with ExitStack() as stack:
        upstream = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        spec = ProxySpec(name="p", listen="127.0.0.1:0", upstream=f"127.0.0.1:{upstream.getsockname()[1]}")
        proxy = Proxy(spec, lambda connection: dice_of(1, "p", connection))
        await proxy.start()
        host, _, port = proxy.listen.rpartition(":")
        client = stack.enter_context(socket.create_connection((host, int(port)), PATIENCE_S))
        proxy.add_toxic(active("partition"))
        assert proxy.live == 1, "accepted, and still to be wrapped"
        end(proxy)
        async with asyncio.timeout(PATIENCE_S):
            while proxy.live:  # noqa: ASYNC110 - nobody tells
                await asyncio.sleep(0)
        assert reset(client) == is_reset
        proxy.remove()
        upstream.setblocking(False)
        with pytest.raises(BlockingIOError):
            upstream.accept()


def dialling(proxied):
    """Return a client whose proxy is dialling an upstream that does not answer: a second proxy, partitioned."""
    upstream = f"127.0.0.1:{proxied.upstream.getsockname()[1]}"
    call = proxied.server.call
    deaf = call("POST", "/proxies", {"name": "deaf", "listen": "127.0.0.1:0", "upstream": upstream}).json()["listen"]
    assert call("POST", "/proxies/deaf/toxics", {"type": "partition"}).status == 200
    assert call("POST", proxied.path, {"upstream": deaf}).status == 200
    client = proxied.dial()
    deadline = time.monotonic() + PATIENCE_S
    while proxied.effects()["connections"]["live"] < 1:
        assert time.monotonic() < deadline
    while call("GET", "/effects").json()["proxies"]["deaf"]["toxics"]["partition_downstream"].get("lost", 0) < 1:
        assert time.monotonic() < deadline
    return client


@pytest.mark.parametrize("has_spoken", [False, True])
def test_aborting_while_upstream_is_dialled(proxied, reset, has_spoken):
    """`abort_connections` counts that connection, resets its client and ends the dialling: nothing is left over."""
    client = dialling(proxied)
    if has_spoken:
        client.sendall(b"anybody there?")
    answer = proxied.server.call("POST", f"{proxied.path}/abort_connections")
    assert (answer.status, answer.body) == (200, b'{"aborted":1}')
    assert reset(client)
    assert proxied.left_over() == 0
    assert proxied.effects()["connections"]["unreached"] == 0
    assert proxied.server.call("DELETE", "/proxies/deaf/toxics/partition_downstream").status == 204
    assert proxied.server.call("GET", "/effects").json()["proxies"]["deaf"]["connections"]["accepted"] == 0


def test_the_toxic_abort_while_upstream_is_dialled(proxied, reset):
    """It resets such a client too, and counts it."""
    client = dialling(proxied)
    proxied.add("abort")
    assert reset(client)
    assert proxied.effects()["toxics"]["abort_downstream"]["reset"] == 1
    assert proxied.left_over() == 0


def test_disabling_while_upstream_is_dialled(proxied, reset):
    """The client is closed, not reset; nothing is left over."""
    client = dialling(proxied)
    proxied.enable(on=False)
    assert not reset(client)
    assert proxied.left_over() == 0
