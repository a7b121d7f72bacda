"""One check over a real socket: bounded in time and size, and each trouble is one word."""

import asyncio

import pytest

from reference_impl._health.model import Options, Reading, Service, State
from reference_impl._health.probe import new_client, probe

from .conftest import answer

pytestmark = pytest.mark.real
OPTIONS = Options(interval=5.0, timeout=5.0, body_bytes_max=2_000)
QUICK = Options(interval=5.0, timeout=0.3)
DOWN = State.CRITICAL


async def check(url: str, options: Options = OPTIONS) -> Reading:
    """Check a service once."""
    async with new_client(options) as client:
        return await probe(client, Service(name="s", url=url), options)


async def test_a_good_answer(serve) -> None:
    """It is asked once, for what can be read as it comes, over a connection that is closed afterwards."""
    service = await serve()
    assert await check(service.url) == Reading(State.HEALTHY)
    (asked,) = service.asked
    assert asked.startswith(b"GET /health HTTP/1.1\r\n")
    assert b"accept-encoding: identity" in asked.lower()


@pytest.mark.parametrize(
    ("says", "reason"),
    [
        (answer(b"{}", "503 Busy"), "http_503"),
        (answer(b"", "302 Found", "Location: /login"), "http_302"),
        (answer(b"<html>"), "not_json"),
        (answer(b'{"status":"healthy"}' + b" " * 2_000), "too_large"),
        (answer(b"x" * 21, "200 OK", "Content-Encoding: gzip"), "encoded"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n{", "broken_answer"),
        (b"SSH-2.0-OpenSSH_9.6\r\n", "broken_answer"),
        (b"", "broken_answer"),
        (b"HTTP/1.1 200 OK\r\nX: " + b"x" * 300_000, "broken_answer"),
    ],
)
async def test_bad_answers(serve, says: bytes, reason: str) -> None:
    """None of them is health; a redirect is not followed, a large body not read to its end."""
    service = await serve(says)
    assert await check(service.url) == Reading(DOWN, reason)
    assert len(service.asked) == 1


async def test_nobody_there(dead_url: str) -> None:
    """Refused, by the kernel's word."""
    assert await check(dead_url) == Reading(DOWN, "refused")


async def test_a_name_that_does_not_resolve() -> None:
    """`.invalid` never does (RFC 6761)."""
    assert await check("http://risk.invalid/health") == Reading(DOWN, "unreachable")


async def test_silence_takes_no_longer_than_the_timeout(serve) -> None:
    """Accepted, and then nothing."""
    service = await serve(None)
    assert await check(service.url, QUICK) == Reading(DOWN, "timeout")


async def test_a_slow_drip_is_a_timeout(serve) -> None:
    """Each byte comes in time; all of them would take 3 s."""
    service = await serve(piece=1, pause=0.05)
    loop = asyncio.get_running_loop()
    began = loop.time()
    assert await check(service.url, QUICK) == Reading(DOWN, "timeout")
    assert loop.time() - began < 2.5


async def test_a_body_without_end_is_not_read_to_its_end(serve) -> None:
    """With no length given, what has come so far is enough to judge it."""
    service = await serve(b"HTTP/1.1 200 OK\r\n\r\n" + b" " * 5_000_000)
    assert await check(service.url) == Reading(DOWN, "too_large")


async def test_hung_services_do_not_use_up_the_client(serve) -> None:
    """A hundred and fifty that never answer, and the next one is answered."""
    hung, good = await serve(None), await serve()
    async with new_client(OPTIONS) as client:
        waiting = [asyncio.create_task(probe(client, Service(name="hung", url=hung.url), OPTIONS)) for _ in range(150)]
        while len(hung.asked) < 150:  # noqa: ASYNC110 - they are counted where they are
            await asyncio.sleep(0.01)
        assert await probe(client, Service(name="good", url=good.url), OPTIONS) == Reading(State.HEALTHY)
        for task in waiting:
            task.cancel()
        await asyncio.wait(waiting)
