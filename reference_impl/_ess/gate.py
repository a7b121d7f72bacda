"""The gate that orders go out through. Shutting it cuts off what is under way, and nothing new starts.

```python
async with gate.order():
    await exchange.send(order)
fill = await gate.execute(adapter.execute_order, "BTCUSDT", "BUY", quantity)
```

The check and the going out are one step: whoever was let in is known, and is cancelled when the gate shuts. `drained`
returns once nobody is inside any more. An order may have gone out before it was cut off; it is then a working or a
filled one, as any other, and what cancels working orders finds it.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Final, ParamSpec, TypeVar

from reference_impl._ess.model import OrdersStoppedError

log = logging.getLogger(__name__)

_P = ParamSpec("_P")
_T = TypeVar("_T")

_CANCEL_AGAIN_S: Final = 0.25
"""For what swallows a cancellation: it is cancelled until it ends."""


class Pass:
    """One order's way through the gate; a cancellation from here, and from nobody else, is `OrdersStoppedError`."""

    __slots__ = ("_cancelling", "_cuts", "_task", "gate")

    def __init__(self, gate: "OrderGate") -> None:
        self.gate = gate
        self._cuts = 0
        self._cancelling = 0
        self._task: asyncio.Task[object] | None = None

    async def __aenter__(self) -> None:
        """Go in. Raises `OrdersStoppedError`."""
        if not self.gate.allows():
            raise OrdersStoppedError("orders are stopped")
        self.go_in()

    def go_in(self) -> None:
        """Be inside: the check is over."""
        self._task = asyncio.current_task()
        assert self._task is not None, "not in a task"
        self._cancelling = self._task.cancelling()
        self.gate.enter(self)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave. What was cut off and came to its end all the same has its result."""
        self.gate.leave(self)
        if not self._cuts:
            return
        assert self._task is not None
        for _ in range(self._cuts):
            left = self._task.uncancel()
        if kind is asyncio.CancelledError and left <= self._cancelling:
            raise OrdersStoppedError("the order was cut off by an emergency stop") from error

    def cut_off(self) -> None:
        """Cancel what is inside."""
        assert self._task is not None
        self._cuts += 1
        self._task.cancel()


class OrderGate:
    """Belongs to one event loop. `allowed` is asked at each entry, and must not wait."""

    pass_type: type[Pass] = Pass

    def __init__(self, allowed: Callable[[], bool]) -> None:
        self._allowed = allowed
        self._inside: dict[Pass, None] = {}
        self._empty: asyncio.Event | None = None
        self.is_shut = True

    def order(self) -> Pass:
        """Return the `async with` block in which one order goes out; its ends may raise `OrdersStoppedError`."""
        return self.pass_type(self)

    async def execute(self, send: Callable[_P, Awaitable[_T]], *args: _P.args, **options: _P.kwargs) -> _T:
        """Await `send(*args, **options)` inside the gate. Raises `OrdersStoppedError`, and what it raises."""
        async with self.order():
            return await send(*args, **options)

    def shut(self) -> None:
        """Let nobody in any more, and cut off whoever is inside."""
        self.is_shut = True
        for one in self._inside:
            one.cut_off()

    def open(self) -> None:
        """Let orders out again."""
        self.is_shut = False

    async def drained(self) -> None:
        """Return once nobody is inside; whoever asks for it from inside is cut off like the others."""
        while self._inside:
            self._empty = self._empty or asyncio.Event()
            self._empty.clear()
            try:
                async with asyncio.timeout(_CANCEL_AGAIN_S):
                    await self._empty.wait()
            except TimeoutError:
                log.warning("emergency stop: %d orders do not heed their cancellation yet", len(self._inside))
                for one in self._inside:
                    one.cut_off()

    def allows(self) -> bool:
        """Say whether an order may go in now."""
        return not self.is_shut and self._allowed()

    def enter(self, one: Pass) -> None:
        """Let one in."""
        self._inside[one] = None

    def leave(self, one: Pass) -> None:
        """Let one go."""
        del self._inside[one]
        if self._empty is not None:
            self._empty.set()
