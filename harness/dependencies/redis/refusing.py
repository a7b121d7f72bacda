"""How a real server is brought to refuse commands, and back: by nothing but what its operators do to it.

| refusal | begin | end |
|---|---|---|
| OOM | `maxmemory 1` | `maxmemory 0` |
| READONLY | a replica of a port that refuses connections, so no sync ever touches the data | a master again |
| NOAUTH | a password that nobody knows, and everybody is disconnected | the password of before |
| LOADING | a SIGKILL and a restart that reads padding first (`loading`) | no delays any more |
"""

import socket

from harness.dependencies.redis.admission import CODES, WITHHELD_PASSWORD
from harness.dependencies.redis.console import Console
from harness.dependencies.redis.control import Refusal
from harness.dependencies.redis.loading import HURRY, LOADING_S_MAX
from harness.errors import WorldError


class Refusing:
    """One refusal of one incarnation of a server. `errors_before` is what it had given of such errors already."""

    def __init__(self, refusal: Refusal, console: Console, *, password: str, errors_before: int) -> None:
        self.refusal: Refusal = refusal
        self._console = console
        self._password = password
        self._errors_before = errors_before
        self._dead_end: socket.socket | None = None

    @classmethod
    async def begin(cls, refusal: Refusal, console: Console, *, password: str) -> "Refusing":
        """Have a running server refuse; `LOADING` must have begun. Raises WorldError."""
        errors_before = 0 if refusal == "LOADING" else await _errors(console, refusal)  # a new process has given none
        refusing = cls(refusal, console, password=password, errors_before=errors_before)
        command = console.command
        if refusal == "OOM":
            await command(b"CONFIG", b"SET", b"maxmemory", b"1")
        elif refusal == "READONLY":
            dead_end = refusing._dead_end = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
            dead_end.bind(("127.0.0.1", 0))  # never listens, and keeps others from doing so
            await command(b"REPLICAOF", b"127.0.0.1", b"%d" % dead_end.getsockname()[1])
        elif refusal == "NOAUTH":
            await command(b"CONFIG", b"SET", b"requirepass", WITHHELD_PASSWORD.encode())
            console.password = WITHHELD_PASSWORD
            await command(b"CLIENT", b"KILL", b"TYPE", b"normal")
            await command(b"CLIENT", b"KILL", b"TYPE", b"pubsub")
        elif not await _is_loading(console):
            raise WorldError("the server does not load")
        return refusing

    async def count(self) -> int:
        """Return how many errors the server has given for it. Raises WorldError, also if it refuses no more."""
        if self.refusal == "LOADING" and not await _is_loading(self._console):
            raise WorldError(
                f"the server has loaded all its data; {LOADING_S_MAX} s is the longest it can be kept at it"
            )
        given = await _errors(self._console, self.refusal)
        return given - self._errors_before if given >= self._errors_before else given  # CONFIG RESETSTAT

    async def end(self) -> None:
        """Have the server serve again. Raises WorldError."""
        command = self._console.command
        if self.refusal == "OOM":
            await command(b"CONFIG", b"SET", b"maxmemory", b"0")
        elif self.refusal == "READONLY":
            await command(b"REPLICAOF", b"NO", b"ONE")
        elif self.refusal == "NOAUTH":
            await command(b"CONFIG", b"SET", b"requirepass", self._password.encode())
        else:
            await command(*HURRY)
        self.forget()

    def forget(self) -> None:
        """Let go of what the refusal needed: it has ended, or the server has."""
        self._console.password = self._password
        if self._dead_end is not None:
            self._dead_end.close()


async def _errors(console: Console, refusal: Refusal) -> int:
    """Return how many errors that prove this refusal the server has given."""
    facts = await _info(console, b"errorstats")
    return sum(int(facts.get(f"errorstat_{code}", "count=0").removeprefix("count=")) for code in CODES[refusal])


async def _is_loading(console: Console) -> bool:
    return (await _info(console, b"persistence")).get("loading") == "1"


async def _info(console: Console, section: bytes) -> dict[str, str]:
    report: bytes = await console.command(b"INFO", section)
    pairs = (line.partition(":") for line in report.decode().splitlines())
    return {name: value for name, colon, value in pairs if colon}
