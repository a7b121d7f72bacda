"""The declarations: which requests a matching toxic takes, and what it does to them or to their replies."""

import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from fnmatch import translate
from http import HTTPStatus
from typing import ClassVar, Final, Literal, Protocol, TypeAlias, get_args

from harness.toxics.attributes import DAY_MS, SIZE_MAX, BadToxic, check, whole
from harness.toxics.base import Dice, Stage
from harness.toxics.exchange.shapes import Request

Follow: TypeAlias = Literal["redis", "http"]
"""The protocols that can be followed."""

Action: TypeAlias = Literal[
    "drop_reply",
    "drop_request",
    "reset_before",
    "reset_after",
    "reset_mid_reply",
    "close_mid_reply",
    "delay_reply",
    "answer",
]
"""What is done to a matched request.

- `drop_reply`: the server executes it, the client never hears. The connection stays, but silent: as on a real network,
  nothing that the server says later overtakes what was lost, or the client would take it for the lost reply.
- `drop_request`: the server never hears of it, nor, by the same rule, of anything behind it on that connection.
- `reset_before`: a reset of the connection instead of the request.
- `reset_after`: a reset instead of the reply. The server has executed.
- `reset_mid_reply`, `close_mid_reply`: a reset, or an orderly close, once `after_bytes` of the reply (all of it, if it
  is no longer) have been passed on.
- `delay_reply`: the reply, and so whatever follows it, comes `delay` ms later.
- `answer`: an answer of our own, in its turn among the replies. The server never hears of the request.
"""

ACTIONS: Final[tuple[Action, ...]] = get_args(Action)
ON_REPLY: Final[frozenset[Action]] = frozenset(
    {"drop_reply", "reset_after", "reset_mid_reply", "close_mid_reply", "delay_reply"}
)
"""Actions that let the request pass and wait for its reply."""


_REASONS: Final = {status.value: status.phrase for status in HTTPStatus}
_BODILESS: Final = (HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED)
_HEADER: Final = re.compile(
    r"(?!content-length:|transfer-encoding:)[!#$%&'*+.^_`|~0-9A-Za-z-]+:[^\r\n]*", re.IGNORECASE
)


class Match(Protocol):
    """A matching toxic. It has no stage among the byte toxics: an exchange in front of them does its work.

    Of the requests that fit, the n-th on this proxy or link, over all its connections, is acted upon: with `nth` 0
    every one (the first `times` of them, if `times` is not 0), else the one of that number (and those behind it,
    `times` altogether, if `times` is not 0). A request that the dice spare does not count. If several matching toxics
    fit, the oldest that acts takes the request, and the others do not see it.
    """

    type: ClassVar[str]
    follows: ClassVar[Follow]

    @property
    def action(self) -> Action:
        """What is done."""

    @property
    def nth(self) -> int:
        """The number of the first match that is acted upon, from 1; 0 for every one."""

    @property
    def times(self) -> int:
        """How many are acted upon."""

    @property
    def after_bytes(self) -> int:
        """How much of the reply gets through before the connection ends in its middle."""

    @property
    def delay(self) -> int:
        """How much later a reply comes, in milliseconds."""

    def matcher(self) -> Callable[[Request], bool]:
        """Return the test whether a request fits."""

    def answer(self, request: Request) -> bytes:
        """Return what the client gets instead of the server's reply."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RedisMatch:
    """Acts on Redis requests by command and first key, and on their replies."""

    type: ClassVar[str] = "redis_match"
    follows: ClassVar[Follow] = "redis"
    loses_connects: ClassVar[bool] = False
    keeps_half_close: ClassVar[bool] = False

    action: Action
    commands: tuple[str, ...] = ()
    """Names of commands, in any case; none means every command."""
    keys: str = ""
    """A glob that the first key has to fit. Empty: any, and also requests that have none."""
    nth: int = whole(most=SIZE_MAX)
    times: int = whole(most=SIZE_MAX)
    after_bytes: int = field(default=1, metadata={"least": 0, "most": SIZE_MAX})
    delay: int = whole(most=DAY_MS)
    text: str = "ERR injected by the harness"
    """The error that `answer` gives; its first word is its code, as in `LOADING Redis is loading the dataset`."""

    def __post_init__(self) -> None:
        """Raise `BadToxic` for attributes that mean nothing."""
        _check(self)

    def matcher(self) -> Callable[[Request], bool]:
        """Return the test whether a request fits."""
        commands = frozenset(command.upper().encode() for command in self.commands)
        return _matcher(commands, self.keys)

    def answer(self, request: Request) -> bytes:
        """Return an error reply."""
        del request
        return b"-%b\r\n" % " ".join(self.text.splitlines()).encode()

    def stage(self, dice: Dice, effects: Counter[str]) -> Stage:
        """Return a stage that passes everything on: bytes are none of its business."""
        del dice
        return Stage(effects)


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpMatch:
    """Acts on HTTP/1.1 requests by method and path, and on their replies."""

    type: ClassVar[str] = "http_match"
    follows: ClassVar[Follow] = "http"
    loses_connects: ClassVar[bool] = False
    keeps_half_close: ClassVar[bool] = False

    action: Action
    methods: tuple[str, ...] = ()
    """Methods, in any case; none means every method."""
    path: str = ""
    """A glob that the path, without its query, has to fit. Empty: any."""
    nth: int = whole(most=SIZE_MAX)
    times: int = whole(most=SIZE_MAX)
    after_bytes: int = field(default=1, metadata={"least": 0, "most": SIZE_MAX})
    delay: int = whole(most=DAY_MS)
    status: int = field(default=503, metadata={"least": 200, "most": 599})
    """The status that `answer` gives."""
    headers: tuple[str, ...] = ()
    """More headers of that answer, each as `Name: value`."""
    body: str = ""
    """Its body; JSON if it begins as JSON does and no header says otherwise."""

    def __post_init__(self) -> None:
        """Raise `BadToxic` for attributes that mean nothing."""
        _check(self)
        for header in self.headers:
            if _HEADER.fullmatch(header) is None:
                raise BadToxic(f"{self.type}: headers must be like `Name: value`, not {header[:60]!r}")

    def matcher(self) -> Callable[[Request], bool]:
        """Return the test whether a request fits."""
        return _matcher(frozenset(method.upper().encode() for method in self.methods), self.path)

    def answer(self, request: Request) -> bytes:
        """Return a whole reply; it leaves the connection open."""
        body = b"" if self.status in _BODILESS else self.body.encode()
        lines = [f"HTTP/1.1 {self.status} {_REASONS.get(self.status, '')}", *self.headers]
        if body and not any(header.lower().startswith("content-type:") for header in self.headers):
            lines.append(f"Content-Type: {'application/json' if body[:1] in b'{[' else 'text/plain; charset=utf-8'}")
        if self.status != HTTPStatus.NO_CONTENT:
            lines.append(f"Content-Length: {len(body)}")
        head = "\r\n".join([*lines, "", ""]).encode("latin-1", errors="replace")
        return head if request.verb == b"HEAD" else head + body

    def stage(self, dice: Dice, effects: Counter[str]) -> Stage:
        """Return a stage that passes everything on: bytes are none of its business."""
        del dice
        return Stage(effects)


def _check(match: Match) -> None:
    if match.action not in ACTIONS:
        raise BadToxic(f"{match.type}: action must be one of {', '.join(ACTIONS)}, not {str(match.action)[:60]!r}")
    check(match)


def _matcher(verbs: frozenset[bytes], glob: str) -> Callable[[Request], bool]:
    fits_glob = re.compile(translate(glob)).match if glob else None

    def fits(request: Request) -> bool:
        if verbs and request.verb not in verbs:
            return False
        if fits_glob is None:
            return True
        subject = request.subject
        return subject is not None and fits_glob(subject.decode(errors="surrogateescape")) is not None

    return fits
