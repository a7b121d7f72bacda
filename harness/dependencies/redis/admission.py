"""Which commands are let in, and what the others are answered: the rules of a real server, in a real server's order.

A server refuses for what it is (loading, a replica, out of memory) or for who asks (nobody who has signed in). Which
commands that hits depends on their flags, as COMMAND INFO tells them: `write`, `denyoom`, `loading` (let through while
loading), `no_auth`. EXEC is judged by the commands it would run, and a refused EXEC discards its transaction; any other
command refused inside MULTI makes the EXEC fail later.
"""

from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING, Final

from fakeredis.model import get_all_commands_info

from harness.dependencies.redis.resp import ReplyError
from harness.dependencies.redis.transactions import leave_transaction

if TYPE_CHECKING:
    from harness.dependencies.redis.commands import Command
    from harness.dependencies.redis.control import Refusal
    from harness.dependencies.redis.engine import Engine
    from harness.dependencies.redis.session import Session

TEXTS: Final[Mapping["Refusal", str]] = {
    "LOADING": "LOADING Valkey is loading the dataset in memory",
    "READONLY": "READONLY You can't write against a read only replica.",
    "OOM": "OOM command not allowed when used memory > 'maxmemory'.",
    "NOAUTH": "NOAUTH Authentication required.",
}
WITHHELD_PASSWORD: Final = "withheld"  # noqa: S105 - of a server of our own on loopback, and it must not fit
"""What a server that answers NOAUTH asks for, and nobody is told."""

_UNBLOCKED: Final = "UNBLOCKED force unblock from blocking operation, instance state changed (master -> replica?)"

_ALWAYS: Final = frozenset(("loading", "stale"))
_CORRECTIONS: Final[Mapping[str, frozenset[str]]] = {
    "info": _ALWAYS,
    "quit": _ALWAYS | {"no_auth"},
    "psubscribe": _ALWAYS,
    "ssubscribe": _ALWAYS,
    "subscribe": _ALWAYS,
    "config|get": _ALWAYS,
    "config|resetstat": _ALWAYS,
    "config|rewrite": _ALWAYS,
    "xsetid": frozenset(("write", "denyoom")),
    "wait": frozenset(),
    "object": frozenset(),
}
"""Where Valkey differs from fakeredis' list of commands, or the list has nothing."""


@cache
def flags() -> Mapping[str, frozenset[str]]:
    """Return the flags of each command, and of each subcommand as `command|subcommand`. Made when first needed."""
    found: dict[str, frozenset[str]] = {}
    for name, facts in get_all_commands_info().items():
        subcommands = facts[9]
        for subname, described in [(name, facts), *((one[0], one) for one in subcommands)]:
            found[subname.decode()] = frozenset(flag.decode() for flag in described[2])
        if subcommands:
            found[name.decode()] = _ALWAYS  # of a subcommand that does not exist: the error is that it does not
    found.update(_CORRECTIONS)
    return found


def full_name(argv: list[bytes]) -> str:
    """Return the name of the command that a request names, as `command|subcommand` if that is one."""
    name = argv[0].decode(errors="replace").lower()
    if len(argv) > 1:
        full = f"{name}|{argv[1].decode(errors='replace').lower()}"
        if full in flags():
            return full
    return name


def flags_of(argv: list[bytes]) -> frozenset[str]:
    """Return the flags of the command that a request names."""
    return flags().get(full_name(argv), frozenset())


def check(session: "Session", command: "Command", argv: list[bytes]) -> None:
    """Let a request in, or raise the ReplyError that a real server gives in its place."""
    name = command.name
    if not session.signed_in and "no_auth" not in flags_of(argv):
        raise _rejected(session, name, TEXTS["NOAUTH"])
    if session.queue is not None and name in {"multi", "watch"}:
        raise ReplyError(f"ERR Command '{name}' not allowed inside a transaction")
    refusal = session.engine.refusal
    if refusal in {"OOM", "READONLY"} and _is_hit(session, refusal, name, argv):
        raise _rejected(session, name, TEXTS[refusal])
    if (session.channels or session.patterns) and not session.resp3 and not command.while_subscribed:
        only = "only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are allowed in this context"
        raise _rejected(session, name, f"ERR Can't execute '{full_name(argv)}': {only}")
    if refusal == "LOADING" and _is_hit(session, refusal, name, argv):
        raise _rejected(session, name, TEXTS[refusal])


def problem_shown(session: "Session", argv: list[bytes], text: str) -> str:
    """Return what a malformed request is answered: who has not signed in does not even learn that it is one."""
    if session.signed_in or "no_auth" in flags_of(argv):
        return text
    return _worded(full_name(argv), TEXTS["NOAUTH"])


def _is_hit(session: "Session", refusal: "Refusal", name: str, argv: list[bytes]) -> bool:
    requests = [argv]
    if name == "exec":
        requests += [queued for _, queued in session.queue or ()]
    if refusal == "LOADING":
        return any("loading" not in flags_of(request) for request in requests)
    needed = "denyoom" if refusal == "OOM" else "write"
    return any(needed in flags_of(request) for request in requests)


def _rejected(session: "Session", name: str, text: str) -> ReplyError:
    if name == "exec":
        leave_transaction(session)
    return ReplyError(_worded(name, text))


def _worded(name: str, text: str) -> str:
    return f"EXECABORT Transaction discarded because of: {text.removeprefix('ERR ')}" if name == "exec" else text


def begin(engine: "Engine", refusal: "Refusal") -> None:
    """Refuse from now on. What that does to those who are connected is what it does on a real server."""
    if refusal == "NOAUTH":
        engine.password = WITHHELD_PASSWORD
        for session in list(engine.sessions.values()):
            session.closing = True
            session.outlet.abort()
        return
    engine.refusal = refusal
    if refusal == "READONLY":
        for session in list(engine.sessions.values()):
            if session.blocked is not None:
                session.closing = True
                session.answer_blocked(engine.error(_UNBLOCKED))
                session.outlet.close()


def end(engine: "Engine") -> None:
    """Refuse nothing any more; nobody is disconnected."""
    engine.refusal = None
    engine.password = engine.state.password
    if not engine.password:
        for session in engine.sessions.values():
            session.signed_in = True


def errors_given(engine: "Engine", refusal: "Refusal") -> int:
    """Return how many errors of that kind this incarnation has given, as INFO errorstats counts them."""
    return sum(engine.errors.get(code, 0) for code in CODES[refusal])


CODES: Final[Mapping["Refusal", tuple[str, ...]]] = {
    "LOADING": ("LOADING",),
    "READONLY": ("READONLY",),
    "OOM": ("OOM",),
    "NOAUTH": ("NOAUTH", "WRONGPASS"),  # clients that bring a password are told that it is the wrong one
}
"""The error codes that prove each refusal."""
