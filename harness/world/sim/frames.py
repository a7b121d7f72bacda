"""Which line did it: naming the code under test in the error of an escape."""

import sys
import sysconfig
from pathlib import Path
from types import FrameType
from typing import Final

_HARNESS: Final = str(Path(__file__).resolve().parents[2]) + "/"
_PATHS: Final = sysconfig.get_paths()
_STDLIB: Final = tuple({str(Path(_PATHS[name]).resolve()) + "/" for name in ("stdlib", "platstdlib")})
_THIRD_PARTY: Final = ("/site-packages/", "/dist-packages/")


def _is_library(file: str) -> bool:
    return file.startswith((*_STDLIB, "<frozen")) or any(part in file for part in _THIRD_PARTY)


def _at(frame: FrameType) -> str:
    return f"{frame.f_code.co_filename}:{frame.f_lineno} in {frame.f_code.co_qualname}"


def blame(frame: FrameType | None) -> str:
    """Return `file:line in function` of the code under test that led to `frame`, and the library line it went through.

    The code under test is the innermost frame outside the standard library and installed packages; where there is none,
    as when a library acts in a task of its own, it is the innermost outside the harness, which itself is never named.
    """
    own: FrameType | None = None
    library: FrameType | None = None
    while frame is not None:
        file = frame.f_code.co_filename
        if not file.startswith(_HARNESS):
            if not _is_library(file):
                own = frame
                break
            library = library or frame
        frame = frame.f_back
    if own is None:
        return "an unknown line" if library is None else _at(library)
    return _at(own) if library is None else f"{_at(own)}, through {_at(library)}"


def caller() -> FrameType:
    """Return the frame of whoever called the function that calls this."""
    return sys._getframe(2)
