"""HTTP requests out of bytes: httptools' parser with limits, and what it means to be refused; no socket, no loop."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import httptools

from harness.dependencies.binance.wire import Request

HEAD_BYTES_MAX: Final = 16 * 1024
URL_BYTES_MAX: Final = 8 * 1024
BODY_BYTES_MAX: Final = 1024 * 1024

_VERSIONS: Final = frozenset(("1.0", "1.1"))


@dataclass(frozen=True, slots=True)
class Incoming:
    """One request and how it wants to be answered. `refused` is a status: then it is no request that is served."""

    request: Request | None
    keep_alive: bool
    is_http10: bool = False
    refused: int = 0


class _RefusedError(Exception):
    """Raised inside the parser's callbacks to make it stop."""


class RequestParser:
    """Cuts what one client sends into requests.

    `take` gets each as soon as it is complete; `ask` is called when a client waits to be asked for its body. After a
    refusal, or once `upgrade` holds a request for a WebSocket, nothing more may be fed.
    """

    __slots__ = (
        "_ask",
        "_began",
        "_body",
        "_body_before",
        "_body_bytes",
        "_head_bytes",
        "_headers",
        "_in_head",
        "_ip",
        "_parser",
        "_refused",
        "_take",
        "_url",
        "_version",
        "upgrade",
    )

    def __init__(self, ip: str, take: Callable[[Incoming], None], ask: Callable[[], None]) -> None:
        self._ip = ip
        self._take = take
        self._ask = ask
        self._parser = httptools.HttpRequestParser(self)
        self._refused = 0
        self._in_head = False
        self._began = False
        self._body_before = 0
        self._head_bytes = 0
        self._url = b""
        self._version = ""
        self._headers: dict[str, str] = {}
        self._body = b""
        self._body_bytes = 0
        self.upgrade: Request | None = None

    def feed(self, data: bytes) -> bytes:
        """Take bytes; return what came after a request for a WebSocket."""
        while data:
            try:
                self._parser.feed_data(data)
                break
            except httptools.HttpParserUpgrade as upgrade:
                data = data[upgrade.args[0] :]
                if self.upgrade is not None:
                    return data
            except httptools.HttpParserError:
                self._take(Incoming(None, keep_alive=False, refused=self._refused or 400))
                return b""
        if self._in_head:  # a header without end is never handed over by the parser
            self._head_bytes += self._new_in_head(data)
            if self._head_bytes > HEAD_BYTES_MAX:
                self._take(Incoming(None, keep_alive=False, refused=431))
        self._began = False
        return b""

    def _new_in_head(self, data: bytes) -> int:
        """Return how much of what was just fed is of the head that is not complete; never more, but for framing."""
        if not self._began:
            return len(data)
        earlier = data.rfind(b"\r\n\r\n")  # the head before it ends there, then comes its body
        return len(data) if earlier < 0 else max(len(data) - earlier - 4 - self._body_before, 0)

    # --- the callbacks of httptools -----------------------------------------------------------------------------

    def on_message_begin(self) -> None:
        """A request begins."""
        self._in_head = self._began = True
        self._body_before = self._body_bytes
        self._head_bytes = 0
        self._url = self._body = b""
        self._body_bytes = 0
        self._headers = {}

    def on_url(self, url: bytes) -> None:
        """(A part of) its target."""
        self._url = self._url + url if self._url else url

    def on_header(self, name: bytes, value: bytes) -> None:
        """One header; what trails a chunked body is ignored."""
        if self._in_head:
            key = name.decode("latin-1").lower()
            text = value.decode("latin-1")
            headers = self._headers
            headers[key] = f"{headers[key]}, {text}" if key in headers else text

    def on_headers_complete(self) -> None:
        """Decide whether its body is welcome."""
        self._in_head = False
        headers = self._headers
        self._version = self._parser.get_http_version()
        if len(self._url) > URL_BYTES_MAX:
            self._stop(414)
        if sum(map(len, headers)) + sum(map(len, headers.values())) > HEAD_BYTES_MAX:
            self._stop(431)
        if self._version not in _VERSIONS:
            self._stop(505)
        if int(headers.get("content-length") or 0) > BODY_BYTES_MAX:
            self._stop(413)
        if self._version == "1.1" and headers.get("expect", "").lower() == "100-continue":
            self._ask()

    def on_body(self, body: bytes) -> None:
        """(A part of) its body."""
        self._body_bytes += len(body)
        if self._body_bytes > BODY_BYTES_MAX:
            self._stop(413)
        self._body = self._body + body if self._body else body

    def on_message_complete(self) -> None:
        """It is complete."""
        parser = self._parser
        headers = self._headers
        method = parser.get_method().decode("latin-1")
        path, _, query = self._url.partition(b"?")
        if not path.startswith(b"/"):
            path = _path_of(path)
        request = Request(
            method=method,
            path=path.decode("latin-1"),
            query=query,
            headers=headers,
            body=self._body,
            ip=self._ip,
        )
        if method == "CONNECT":
            self._stop(405)
        if "upgrade" in headers and headers["upgrade"].lower() == "websocket" and parser.should_upgrade():
            self.upgrade = request
        else:
            self._take(Incoming(request, parser.should_keep_alive(), is_http10=self._version == "1.0"))

    def _stop(self, status: int) -> None:
        self._refused = status
        raise _RefusedError


def _path_of(target: bytes) -> bytes:
    """Return the path of a target in absolute form, as proxies are sent; any other is as it is."""
    _, scheme, rest = target.partition(b"://")
    if not scheme:
        return target
    _, slash, path = rest.partition(b"/")
    return slash + path or b"/"
