"""Full disks: writes that the kernel would refuse with ENOSPC are refused, for the hosts whose disk is full.

SQLite makes its system calls through a table that its Unix VFS lets be changed (`xSetSystemCall`, part of the public
interface of a VFS). While some disk is full, the entries that write are replaced by ours: a write to a file on a full
disk returns -1 with ENOSPC, any other goes on to the function that was there. What SQLite makes of it (SQLITE_FULL,
"database or disk is full", the rollback, what a later commit does with a half-written log) is SQLite's own doing, for
connections that were there before, for new ones, and for whatever library holds them. When no disk is full the table is
as SQLite made it.

The disk is full the way a copy-on-write or thinly provisioned one is: not even overwriting in place succeeds. A file
system that overwrites in place lets a write-ahead log that was once longer go on for a while, which depends on how long
it once was; RLIMIT_FSIZE, which fills disks in the real world, refuses everything as well.

Python's own files: opening one for writing, or making a directory, raises ENOSPC (on a real disk the first flush
would). Files opened before for writing only, such as logs, are turned over to /dev/full, where there is one, until the
disk is free. Not covered: files opened before for reading *and* writing by something other than SQLite.

Reading, deleting and renaming go on. Refused writes are counted: the evidence that the fault bit. Of those that
/dev/full refuses, the count has the calls of `os.write` and its kin; what a file object flushes is refused uncounted.
"""

import _sqlite3
import contextlib
import ctypes
import errno
import functools
import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

from harness.errors import WorldError

_full: Final[dict[str, int]] = {}  # directory of the disk -> writes refused so far
_turned_over: Final[dict[str, list[tuple[int, int]]]] = {}  # directory -> (descriptor, duplicate of what it was)
_uncounted: Final[dict[str, Callable[..., int]]] = {}  # name -> the function of `os` that ours stands in for
_WRITING: Final = ("write", "pwrite", "writev", "pwritev")
_DEV_FULL: Final = "/dev/full"
_DESCRIPTORS: Final = "/proc/self/fd"
_FROM_VFS: Final = (ctypes.c_void_p, ctypes.c_char_p)
_Write: Final = ctypes.CFUNCTYPE(ctypes.c_ssize_t, ctypes.c_int, ctypes.c_void_p, ctypes.c_size_t, use_errno=True)
_WriteAt: Final = ctypes.CFUNCTYPE(
    ctypes.c_ssize_t, ctypes.c_int, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int64, use_errno=True
)
_CALLS: Final[dict[bytes, Any]] = {b"write": _Write, b"pwrite": _WriteAt, b"pwrite64": _WriteAt}
_METHODS_BEFORE: Final = 13
"""Methods of a VFS from `xOpen` to `xCurrentTimeInt64`: those of versions 1 and 2."""


class _Vfs(ctypes.Structure):
    """`sqlite3_vfs`, version 3."""

    _fields_ = (
        ("version", ctypes.c_int),
        ("file_size", ctypes.c_int),
        ("path_max", ctypes.c_int),
        ("next", ctypes.c_void_p),
        ("name", ctypes.c_char_p),
        ("data", ctypes.c_void_p),
        ("methods", ctypes.c_void_p * _METHODS_BEFORE),
        ("set_system_call", ctypes.CFUNCTYPE(ctypes.c_int, *_FROM_VFS, ctypes.c_void_p)),
        ("get_system_call", ctypes.CFUNCTYPE(ctypes.c_void_p, *_FROM_VFS)),
    )


class _SystemCalls:
    """SQLite's table. Raises `WorldError` where this interpreter's SQLite does not let it be reached."""

    def __init__(self) -> None:
        if not Path(_DESCRIPTORS).is_dir():
            raise WorldError(f"without {_DESCRIPTORS} the sim world cannot tell whose disk a file is on")
        try:
            library = ctypes.CDLL(getattr(_sqlite3, "__file__", None))
            find = library.sqlite3_vfs_find
        except (OSError, AttributeError) as error:
            raise WorldError(f"this interpreter's SQLite does not let the sim world fill disks: {error}") from error
        find.restype = ctypes.POINTER(_Vfs)
        find.argtypes = (ctypes.c_char_p,)
        self._vfs = find(None)
        if not self._vfs or not self._vfs.contents.name.startswith(b"unix") or self._vfs.contents.version < 3:  # noqa: PLR2004 - see above
            raise WorldError("this platform's SQLite does not let the sim world fill disks")
        self._ours: dict[bytes, Any] = {}
        for name, kind in _CALLS.items():
            before = self._vfs.contents.get_system_call(self._address, name)
            if before:
                self._ours[name] = kind(_refusing(kind(before)))

    @property
    def _address(self) -> ctypes.c_void_p:
        return ctypes.cast(self._vfs, ctypes.c_void_p)

    def replace(self) -> None:
        for name, ours in self._ours.items():
            self._set(name, ctypes.cast(ours, ctypes.c_void_p))

    def restore(self) -> None:
        for name in self._ours:
            self._set(name, None)

    def _set(self, name: bytes, function: ctypes.c_void_p | None) -> None:
        code = self._vfs.contents.set_system_call(self._address, name, function)
        if code:
            raise WorldError(f"SQLite refuses to have {name.decode()} replaced: code {code}")


_table: list[_SystemCalls] = []


def _refusing(original: Callable[..., int]) -> Callable[..., int]:
    def write(descriptor: int, *args: int) -> int:
        path = _path_of(descriptor)
        if path is None or _refuse(path) is None:
            return original(descriptor, *args)
        ctypes.set_errno(errno.ENOSPC)
        return -1

    return write


def _path_of(descriptor: int) -> str | None:
    """Return where the file lies; of one that was deleted, where it lay."""
    with contextlib.suppress(OSError):
        return os.readlink(f"{_DESCRIPTORS}/{descriptor}")  # noqa: PTH115 - a hot path while a disk is full
    return None


def _refuse(path: str) -> str | None:
    """Count a write to this path and return the disk, if that is full."""
    for disk in _full:
        if path.startswith(disk + os.sep):
            _full[disk] += 1
            return disk
    return None


def check(path: str) -> None:
    """Raise `OSError` (ENOSPC) if the path, which somebody is about to create or open for writing, is on a full disk.

    A path anywhere else is none of our business.
    """
    if _full and _refuse(os.path.realpath(path)) is not None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), path)


def fill(disk: str) -> None:
    """Let no write to a file below this directory (a real path) succeed from now on. A full disk stays full.

    Inside a run, call it `escapes.permitted`: it opens /dev/full.

    Raises:
        WorldError: SQLite of this interpreter cannot be reached.

    """
    if disk in _full:
        return
    if not _table:
        _table.append(_SystemCalls())
    _turned_over[disk] = list(_turn_over(disk))
    if not _full:
        _table[0].replace()
        _count_calls()
    _full[disk] = 0


def free(disk: str) -> int:
    """End it, and return how many writes were refused. Nothing happens if the disk is not full."""
    if disk not in _full:
        return 0
    refused = _full.pop(disk)
    if not _full:
        _table[0].restore()
        while _uncounted:
            setattr(os, *_uncounted.popitem())
    for descriptor, before in _turned_over.pop(disk):
        with contextlib.suppress(OSError):  # closed meanwhile
            if _is_dev_full(descriptor):
                os.dup2(before, descriptor, inheritable=os.get_inheritable(descriptor))
        os.close(before)
    return refused


def free_all() -> None:
    """End whatever holds."""
    for disk in list(_full):
        free(disk)


def is_full(disk: str) -> bool:
    """Say whether it is."""
    return disk in _full


def _turn_over(disk: str) -> Iterator[tuple[int, int]]:
    """Have files on the disk that are open for writing only refer to /dev/full."""
    if not os.access(_DEV_FULL, os.W_OK):
        return
    found = [
        descriptor
        for descriptor in sorted(int(entry.name) for entry in Path(_DESCRIPTORS).iterdir())
        if (_path_of(descriptor) or "").startswith(disk + os.sep) and _is_write_only(descriptor)
    ]
    full = os.open(_DEV_FULL, os.O_WRONLY | os.O_CLOEXEC)
    try:
        for descriptor in found:
            before = os.dup(descriptor)
            os.dup2(full, descriptor, inheritable=os.get_inheritable(descriptor))
            yield descriptor, before
    finally:
        os.close(full)


def _count_calls() -> None:
    """Have the functions of `os` that write count what /dev/full refuses them."""
    for name in _WRITING:
        original = getattr(os, name, None)
        if original is not None:
            _uncounted[name] = original
            setattr(os, name, _counting(original))


def _counting(original: Callable[..., int]) -> Callable[..., int]:
    @functools.wraps(original)
    def write(descriptor: int, *args: Any) -> int:
        try:
            return original(descriptor, *args)
        except OSError as error:
            if error.errno == errno.ENOSPC:
                for disk, found in _turned_over.items():
                    _full[disk] += any(descriptor == turned for turned, _ in found)
            raise

    return write


def _is_write_only(descriptor: int) -> bool:
    lines = Path(f"{_DESCRIPTORS}info", str(descriptor)).read_text().splitlines()
    flags = next(int(value, 8) for name, value in map(str.split, lines) if name == "flags:")
    return flags & os.O_ACCMODE == os.O_WRONLY


def _is_dev_full(descriptor: int) -> bool:
    found = os.fstat(descriptor)
    return stat.S_ISCHR(found.st_mode) and found.st_rdev == Path(_DEV_FULL).stat().st_rdev
