"""What goes in and out of the exchange, as plain values: no socket, no loop, no clock."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One HTTP request. `query` and `body` are raw: signatures are made over these very bytes.

    `headers` have lower-case names. `ip` is the address that limits are counted for.
    """

    method: str
    path: str
    query: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    ip: str = "127.0.0.1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """An HTTP answer, to be sent `delay_ns` after the request arrived."""

    status: int
    body: bytes
    content_type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)
    delay_ns: int = 0


@dataclass(frozen=True, slots=True)
class Silence:
    """No answer ever; the connection stays open, and nothing more that comes on it is answered."""


@dataclass(frozen=True, slots=True)
class Reset:
    """The connection is reset (RST) instead of an answer, `delay_ns` after the request arrived."""

    delay_ns: int = 0


Reaction: TypeAlias = Answer | Silence | Reset
