"""One check: a GET over a connection of its own, in bounded time and of bounded size.

- *Of its own*: that new clients still get in is half of what is to be known; and a connection that a firewall forgot
  would make the next check fail.
- *Bounded time* covers the whole check. httpx's timeouts are for each read, and a service that sends a byte now and
  then keeps within them for ever.
- *Bounded size*: `identity` only, so that what is read is what came.

Whatever goes wrong is one of a few words. The text of an exception may hold an address, a path or a secret, and is
not for those who look at a status page.
"""

import asyncio
import errno
import logging
from typing import Final

import httpx

from reference_impl._health.model import Options, Reading, Service, State
from reference_impl._health.verdict import read_answer

log = logging.getLogger(__name__)

_HEADERS: Final = {"accept": "application/json", "accept-encoding": "identity", "user-agent": "health-monitor"}


def new_client(options: Options) -> httpx.AsyncClient:
    """Return a client that keeps no connection, follows no redirect and reads no proxy settings.

    There is no limit on connections: one that hung services could use up would let them delay the others.
    """
    return httpx.AsyncClient(
        timeout=options.timeout,
        limits=httpx.Limits(max_connections=None, max_keepalive_connections=0),
        headers=_HEADERS,
        follow_redirects=False,
        trust_env=False,
    )


async def probe(client: httpx.AsyncClient, service: Service, options: Options) -> Reading:
    """Check a service; return within `options.timeout` and a bit. Raises only for what is the monitor's own fault."""
    try:
        async with asyncio.timeout(options.timeout):
            return await _ask(client, service.url, options.body_bytes_max)
    except (TimeoutError, httpx.TimeoutException):
        return Reading(State.CRITICAL, "timeout")
    except httpx.ConnectError as error:
        return Reading(State.CRITICAL, "refused" if _is_refusal(error) else "unreachable")
    except httpx.TransportError:
        return Reading(State.CRITICAL, "broken_answer")


async def _ask(client: httpx.AsyncClient, url: str, body_bytes_max: int) -> Reading:
    async with client.stream("GET", url) as response:
        if response.headers.get("content-encoding", "identity") != "identity":
            return Reading(State.CRITICAL, "encoded")
        body = bytearray()
        async for piece in response.aiter_raw():
            body += piece
            if len(body) > body_bytes_max:
                return Reading(State.CRITICAL, "too_large")
        return read_answer(response.status_code, bytes(body))


def _is_refusal(error: BaseException | None) -> bool:
    while error is not None:
        if isinstance(error, OSError) and error.errno == errno.ECONNREFUSED:
            return True
        error = error.__cause__ or error.__context__
    return False
