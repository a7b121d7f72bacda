"""Identity: hashes and an interpreter that are the same in every run.

A set iterates in the order of its members' hashes, and the default hash of an object is its address. `asyncio.wait`
returns sets, task groups cancel what they keep in a set, `all_tasks` is one. So tasks and futures hash by a number:
the how-manieth they are in this run. Equality stays identity. The same is done for classes of other libraries that
end up in sets whose order shows (`number_hash`, applied by shims.py when such a library is loaded).

Strings hash by a seed that the interpreter draws at its start, and other objects by their address, which the kernel
randomises: `ensure_stable_interpreter` starts the interpreter anew with both fixed.
"""

import asyncio
import contextvars
import ctypes
import itertools
import os
import platform
import sys
import weakref
from collections.abc import Coroutine, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final, TypeVar

if TYPE_CHECKING:
    from harness.world.sim.incarnation import Incarnation

T = TypeVar("T")

_numbers: Iterator[int] = itertools.count(1)


def reset() -> None:
    """Count from 1 again. To be called at the beginning of a run."""
    global _numbers  # noqa: PLW0603 - one counter a process, as there is one run a process
    _numbers = itertools.count(1)


class SimTask(asyncio.Task[T]):
    """A task that hashes by its creation number in the run, and is named after it (asyncio numbers on for ever)."""

    __slots__ = ("sim_host", "sim_number", "sim_step")

    sim_host: "Incarnation"
    sim_step: bytes
    """The trace of each of its steps. The loop sets both when the task is made: whose a task is never changes."""

    def __init__(
        self,
        coro: Coroutine[Any, Any, T],
        *,
        loop: asyncio.AbstractEventLoop,
        name: str | None = None,
        context: contextvars.Context | None = None,
    ) -> None:
        self.sim_number = number = next(_numbers)
        super().__init__(coro, loop=loop, name=f"Task-{number}" if name is None else name, context=context)

    def __hash__(self) -> int:
        return self.sim_number


class SimFuture(asyncio.Future[T]):
    """A future that hashes by a number too; it takes one when it is first hashed, as hardly any ever is."""

    __slots__ = ("_sim_number",)

    def __hash__(self) -> int:
        try:
            return self._sim_number
        except AttributeError:
            self._sim_number: int = next(_numbers)
            return self._sim_number


_numbered: Final[dict[int, tuple["weakref.ref[object]", int]]] = {}


def number_hash(self: object) -> int:
    """Hash any object that can be weakly referenced by the order in which objects were first hashed in the run."""
    address = id(self)
    known = _numbered.get(address)
    if known is not None and known[0]() is self:
        return known[1]

    def forget(held: "weakref.ref[object]") -> None:
        entry = _numbered.get(address)
        if entry is not None and entry[0] is held:
            del _numbered[address]

    number = next(_numbers)
    _numbered[address] = (weakref.ref(self, forget), number)
    return number


_ADDR_NO_RANDOMIZE: Final = 0x0040000
_ASK: Final = 0xFFFFFFFF
_MARK: Final = "HARNESS_STABLE_INTERPRETER"


def _fix_addresses() -> bool:
    """Ask the kernel to stop randomising addresses after the next exec; True if that changes something."""
    if not sys.platform.startswith("linux"):
        return False
    try:
        personality = ctypes.CDLL(None).personality
    except (OSError, AttributeError):  # pragma: no cover - a libc without it
        return False
    personality.argtypes = (ctypes.c_ulong,)
    now = personality(_ASK)
    if now == -1 or now & _ADDR_NO_RANDOMIZE:
        return False
    return bool(personality(now | _ADDR_NO_RANDOMIZE) != -1)


def _hash_seed_is_fixed() -> bool:
    return sys.flags.hash_randomization == 0 or os.environ.get("PYTHONHASHSEED", "random") not in ("", "random")


def ensure_stable_interpreter(argv: Sequence[str] | None = None) -> None:
    """Return if strings hash alike in every process; else run the interpreter anew with `argv` and do not return.

    `argv` is what follows the interpreter on its command line, by default that of this process. Addresses are fixed too
    where the kernel permits it, silently not where it does not. Call it before threads or files are opened.
    """
    if os.environ.get(_MARK) == "1" and _hash_seed_is_fixed():
        return
    addresses = _fix_addresses()
    if _hash_seed_is_fixed() and not addresses:
        return
    environment = dict(os.environ)
    environment[_MARK] = "1"
    if not _hash_seed_is_fixed():
        environment["PYTHONHASHSEED"] = "0"
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    arguments = sys.orig_argv[1:] if argv is None else list(argv)
    os.execve(sys.executable, [sys.executable, *arguments], environment)  # noqa: S606 - our own interpreter


def describe_interpreter() -> str:
    """Return what of the interpreter a trace depends on, for reports."""
    seed = os.environ.get("PYTHONHASHSEED", "0" if sys.flags.hash_randomization == 0 else "random")
    return f"CPython {platform.python_version()} PYTHONHASHSEED={seed}"
