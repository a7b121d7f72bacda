"""HTTP answers as bytes, and the answers that the HTTP layer gives by itself; pure.

Binance sits behind a load balancer, so what is wrong with HTTP itself (and not with the request) is answered in HTML.
"""

from email.utils import formatdate
from functools import lru_cache
from http import HTTPStatus
from typing import Final

from harness.dependencies.binance.wire import Answer

CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"

_PHRASES: Final = {int(status): status.phrase for status in HTTPStatus} | {418: "I'm a teapot"}
_BODILESS: Final = frozenset((204, 304))


def encode(answer: Answer, *, wall_s: int, keep_alive: bool, is_http10: bool, is_head: bool) -> bytes:
    """Return the whole answer. `wall_s` is the exchange's clock; `Connection` is said where it is not the default."""
    body = answer.body
    lines = [_head(answer.status, answer.content_type), _date(wall_s)]
    if answer.status not in _BODILESS:
        lines.append(f"Content-Length: {len(body)}\r\n")
    if answer.headers:
        lines += [f"{name}: {value}\r\n" for name, value in answer.headers.items()]
    if not keep_alive:
        lines.append("Connection: close\r\n")
    elif is_http10:
        lines.append("Connection: keep-alive\r\n")
    lines.append("\r\n")
    head = "".join(lines).encode("latin-1")
    return head if is_head or answer.status in _BODILESS else head + body


def refusal(status: int) -> Answer:
    """Return the answer to what is not acceptable as HTTP: 400, 405, 408, 413, 414, 431, 505."""
    phrase = _PHRASES[status]
    page = f"<html>\r\n<head><title>{status} {phrase}</title></head>\r\n<body>\r\n<h1>{status} {phrase}</h1>\r\n</body>"
    return Answer(status=status, body=f"{page}\r\n</html>\r\n".encode(), content_type="text/html")


def internal_error() -> Answer:
    """Return the answer when the emulator itself failed: Binance's words for not knowing what happened."""
    text = b'{"code":-1000,"msg":"An unknown error occured while processing the request."}'
    return Answer(status=500, body=text)


@lru_cache(maxsize=256)
def _head(status: int, content_type: str) -> str:
    phrase = _PHRASES.get(status, "Unknown")
    return f"HTTP/1.1 {status} {phrase}\r\nContent-Type: {content_type}\r\nServer: nginx\r\n"


@lru_cache(maxsize=2)
def _date(wall_s: int) -> str:
    return f"Date: {formatdate(wall_s, usegmt=True)}\r\n"
