"""Reading a body of a bounded size in bounded time."""

import asyncio
from typing import Final

from starlette.requests import ClientDisconnect
from starlette.types import Message, Receive

from reference_impl._http.refusals import Refusal

_DIGITS_MAX: Final = 18


def check_declared(lengths: list[bytes], limit: int) -> None:
    """Refuse a declared length that is too large before a byte of it is read. Raises `Refusal`."""
    for length in lengths:
        if not length.isdigit() or len(length) > _DIGITS_MAX or int(length) > limit:
            raise too_large(limit)


async def read_body(receive: Receive, limit: int, timeout: float) -> bytes:  # noqa: ASYNC109 - part of the contract
    """Return the whole body, whatever was declared and in however many pieces it comes.

    Raises `Refusal` if it is larger than `limit` bytes or takes longer than `timeout` seconds, and `ClientDisconnect`.
    """
    body = bytearray()
    try:
        async with asyncio.timeout(timeout):
            more = True
            while more:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise ClientDisconnect
                body += message.get("body", b"")
                if len(body) > limit:
                    raise too_large(limit)
                more = message.get("more_body", False)
    except TimeoutError:
        raise Refusal(408, "too_slow", "The body did not arrive in time.") from None
    return bytes(body)


def replayed(body: bytes, receive: Receive) -> Receive:
    """Return what an application can receive that body from, and then whatever comes after it."""
    waiting: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def replay() -> Message:
        return waiting.pop() if waiting else await receive()

    return replay


def too_large(limit: int) -> Refusal:
    """Return the refusal of a body of more than that many bytes."""
    return Refusal(413, "too_large", f"The body is larger than {limit} bytes.")
