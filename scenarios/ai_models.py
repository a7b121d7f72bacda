"""Models that misbehave, put around a target's own; and the executor that makes work slow, or lets it never end.

A hanging model cannot block here, as in the sim world all work is done on one thread. It says so instead, and the
executor then behaves as one whose worker never comes back. That a really blocked thread is survived too is shown by the
reference's own tests.
"""

import asyncio
import itertools
from collections.abc import Callable
from typing import Any, Final, Literal

from harness.units import as_seconds

Misbehaviour = Literal["raise", "hang", "nan", "stuck"]
_STUCK_AT: Final = 0.625
_BEYOND: Final = (float("nan"), float("inf"), float("-inf"))


class _Hangs(Exception):  # noqa: N818 - no error: what stands for a call that does not come back
    """The call that raises this is to never return."""


class Misbehaving:
    """A model that does anything but predict. Its version is that of the model it stands for.

    `canary` is what an exception's text must not carry out: it holds a made-up secret and a path.
    """

    def __init__(self, model: Any, how: Misbehaviour, canary: str) -> None:
        self._model = model
        self._how = how
        self._canary = canary
        self._values = itertools.cycle(_BEYOND)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._model, name)

    def predict(self, *_inputs: Any) -> float:
        """Misbehave."""
        if self._how == "raise":
            raise RuntimeError(f"cannot open /srv/models/{self._canary}.bin with token {self._canary}")
        if self._how == "hang":
            raise _Hangs
        if self._how == "nan":
            return next(self._values)
        return _STUCK_AT


class Workshop:
    """The engine's executor. `fit_ns` is how long a training takes at least, `disk_ns` a write to the disk."""

    def __init__(self, *, fit_ns: int) -> None:
        self._fit_ns = fit_ns
        self.disk_ns = 0
        self.hung = 0
        """Calls that will never return."""

    async def __call__(self, task: str, function: Callable[..., Any], /, *args: Any) -> Any:
        """Run it on a thread, and take the time that such work takes."""
        if task == "disk" and self.disk_ns:
            await asyncio.sleep(as_seconds(self.disk_ns))
        try:
            result = await asyncio.to_thread(function, *args)
        except _Hangs:
            self.hung += 1
            await asyncio.get_running_loop().create_future()
        if task == "fit" and self._fit_ns:
            await asyncio.sleep(as_seconds(self._fit_ns))
        return result
