"""SQLite connections of hosts that died.

The kernel closes the files of a process that is killed: its locks go, and what it had not committed is rolled back by
the next process that opens the database. In the sim world the dead host's connection objects live on in coroutines
that must not be collected, so their locks would stay and the restarted host would find its own database locked.

So each connection is remembered with the incarnation that opened it (an audit event tells), by address only: holding it
would keep open what the target dropped. When the next incarnation of a host opens a database, what the earlier ones
left open is closed, which is a rollback too. Nobody else can have waited for it: a disk belongs to one host.
"""

import contextlib
import gc
import sqlite3
import sys
from _thread import get_ident
from itertools import compress
from typing import Any, Final

from harness.world.sim.active import RUN

_owners: Final[dict[int, str]] = {}  # id of a connection -> label of its host's incarnation


def forget_all() -> None:
    """Forget every owner. To be called at the beginning of a run."""
    _owners.clear()


def close_of(label: str) -> int:
    """Close what the incarnation `label` left open, as the kernel does after a SIGKILL; return how many there were."""
    addresses = {address for address, owner in _owners.items() if owner == label}
    if not addresses:
        return 0
    for address in addresses:
        del _owners[address]
    closed = 0
    objects = gc.get_objects()
    for item in compress(objects, map(addresses.__contains__, map(id, objects))):  # half a million: no loop of our own
        if isinstance(item, sqlite3.Connection):
            # One whose __init__ failed cannot be closed: it was never open.
            with contextlib.suppress(sqlite3.ProgrammingError):
                item.close()
                closed += 1
    return closed


def _hook(event: str, args: tuple[Any, ...]) -> None:
    if event == "sqlite3.connect":
        if get_ident() == RUN.thread and _owners:
            label = RUN.machine.host_label()
            name = label.partition("#")[0]
            for dead in {owner for owner in _owners.values() if owner != label and owner.partition("#")[0] == name}:
                close_of(dead)
    elif event == "sqlite3.connect/handle" and get_ident() == RUN.thread:
        _owners[id(args[0])] = RUN.machine.host_label()


sys.addaudithook(_hook)
