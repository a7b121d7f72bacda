"""Modules that are imported during a run.

Only the first run of a process imports; the ones after it find everything loaded. What importing draws must therefore
not come out of the dice of the hosts: while a module is being executed on the run's thread, `RUN.importing` is above
zero and entropy.py throws other dice; the state of the global generator is put back afterwards. And a module that
brings threads of its own is patched (shims.py) before anybody sees it.
"""

import contextlib
import importlib.abc
import importlib.machinery
import random
import sys
from _thread import get_ident
from collections.abc import Callable, Iterator, Sequence
from types import ModuleType
from typing import Any

from harness.world.sim.active import RUN


@contextlib.contextmanager
def _outside_the_dice() -> Iterator[None]:
    state = random.getstate()
    RUN.importing += 1
    try:
        yield
    finally:
        RUN.importing -= 1
        random.setstate(state)


class _Loader(importlib.abc.Loader):
    """Loads a module as its own loader does, then steps aside: module and spec show the real one."""

    def __init__(self, real: Any, loaded: Callable[[ModuleType], None]) -> None:
        self._real = real
        self._loaded = loaded

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType | None:
        """Create the module; an extension may run its code here."""
        with _outside_the_dice():
            module: ModuleType | None = self._real.create_module(spec)
        return module

    def exec_module(self, module: ModuleType) -> None:
        """Run the module's code."""
        module.__loader__ = self._real
        if module.__spec__ is not None:
            module.__spec__.loader = self._real
        with _outside_the_dice():
            self._real.exec_module(module)
        self._loaded(module)


class _Finder(importlib.abc.MetaPathFinder):
    """Sits in front of the import system while a run lasts, and lets the others find."""

    def __init__(self, loaded: Callable[[ModuleType], None]) -> None:
        self._loaded = loaded

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """Return what the other finders say, with a loader around theirs; None in other threads."""
        if get_ident() != RUN.thread:
            return None
        for finder in sys.meta_path:
            find: Any = getattr(finder, "find_spec", None)
            spec: importlib.machinery.ModuleSpec | None = None
            if finder is not self and find is not None:
                spec = find(fullname, path, target)
            if spec is not None:
                if hasattr(spec.loader, "exec_module") and hasattr(spec.loader, "create_module"):
                    spec.loader = _Loader(spec.loader, self._loaded)
                return spec
        return None


@contextlib.contextmanager
def watched(loaded: Callable[[ModuleType], None]) -> Iterator[None]:
    """Call `loaded(module)` after each import on the run's thread, and keep imports away from the hosts' dice."""
    finder = _Finder(loaded)
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)
