"""What a command is, and the helpers that parse arguments with a real server's error texts."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeAlias

from harness.dependencies.redis.resp import ReplyError, text_of
from harness.dependencies.redis.session import Session

Handler: TypeAlias = Callable[[Session, list[bytes]], bytes]
"""Gets the session and the arguments with the command's name first; returns the encoded reply, b"" for none now.
Raises ReplyError."""

SYNTAX_ERROR = "ERR syntax error"
NOT_AN_INTEGER = "ERR value is not an integer or out of range"
_INT64_MAX = 2**63 - 1
_INT64_DIGITS = 19


@dataclass(frozen=True, slots=True)
class Command:
    """One command. `arity` counts the name too; negative means at least that many."""

    name: str
    arity: int
    run: Handler
    queued: bool = True  # inside MULTI it waits for EXEC
    while_subscribed: bool = False  # allowed on a RESP2 connection that is subscribed
    unstable: bool = False  # run again, it could come out differently (effects.py)

    def check_arity(self, argv: list[bytes]) -> None:
        """Raise ReplyError when the number of arguments is wrong."""
        given = len(argv)
        if given < -self.arity if self.arity < 0 else given != self.arity:
            raise wrong_arity(self.name)


def wrong_arity(name: str) -> ReplyError:
    """Return the error for a wrong number of arguments."""
    return ReplyError(f"ERR wrong number of arguments for '{name}' command")


def unknown_subcommand(container: str, subcommand: bytes) -> ReplyError:
    """Return the error for a subcommand that does not exist."""
    return ReplyError(f"ERR unknown subcommand '{text_of(subcommand)}'. Try {container.upper()} HELP.")


@lru_cache(maxsize=1024)  # clients send the same few numbers over and over
def parse_int(text: bytes, problem: str = NOT_AN_INTEGER) -> int:
    """Return a signed 64-bit integer as strictly as a server reads it. Raises ReplyError."""
    digits = text[1:] if text[:1] == b"-" else text
    if digits.isdigit() and len(digits) <= _INT64_DIGITS and (len(digits) == 1 or digits[:1] != b"0"):
        number = int(text)
        if -_INT64_MAX - 1 <= number <= _INT64_MAX and text != b"-0":
            return number
    raise ReplyError(problem)
