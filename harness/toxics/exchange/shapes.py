"""What scanners tell about the bytes of a conversation."""

from enum import Enum
from typing import Final, NamedTuple, Protocol

LINE_BYTES_MAX: Final = 64 * 1024
"""The most bytes of an unfinished line or head that are held; Redis and most HTTP servers allow no longer ones."""


class Unfollowable(Exception):  # noqa: N818 - not an error: such a conversation is passed on as it is
    """From the asked position on, nobody can say which reply belongs to which request."""


class Request(NamedTuple):
    """What is known of a request once its head is there."""

    verb: bytes
    """The command (upper case) or the HTTP method."""
    subject: bytes | None
    """The first key, or the path without its query. None if there is none, or one too long to look at."""
    tag: str = ""
    """What has to be known of a request to read its reply, such as `HEAD`. Empty for most."""


class Begins(Enum):
    """What a message that comes from the server is."""

    REPLY = 1
    """The answer to the oldest request that is still open."""
    ASIDE = 2
    """No answer to anything: a push, an HTTP 100."""
    CONFIRMATION = 3
    """A push which says that the oldest open request was carried out, and the only answer that it gets."""


class RequestSpan(NamedTuple):
    """The bytes of one request, or of a part of it, from the asked position to `end`."""

    end: int
    begins: Request | None
    """Which request begins here; None if these bytes continue one (or mean nothing, as empty lines do)."""
    ends: bool


class ReplySpan(NamedTuple):
    """The bytes of one message from the server, or of a part of it, from the asked position to `end`."""

    end: int
    begins: Begins | None
    ends: bool
    leaves: bool = False
    """With this message the conversation leaves what can be followed."""


class RequestScanner(Protocol):
    """Finds where requests begin and end. Bodies are never buffered."""

    def next(self, data: bytes, position: int) -> RequestSpan | None:
        """Return the next span of `data`; None if what is left is an unfinished head or line.

        The caller gives that rest again, in front of what arrives next. It is bounded by `LINE_BYTES_MAX`.
        Raises `Unfollowable`, with nothing taken in.
        """

    def skip(self, data: bytes, position: int) -> tuple[int, int]:
        """Skip whole requests with an empty tag, as many as are easy; return where they end, and their number.

        The short way for bytes on which nobody acts. Doing nothing is always right.
        """


class ReplyScanner(Protocol):
    """Finds where replies begin and end."""

    def next(self, data: bytes, position: int, tag: str | None) -> ReplySpan | None:
        """Return the next span, like `RequestScanner.next`. `tag` is that of the oldest open request, None if none."""

    def skip(self, data: bytes, position: int, limit: int) -> tuple[int, int]:
        """Skip up to `limit` whole replies to requests with an empty tag, like `RequestScanner.skip`."""
