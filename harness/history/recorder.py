"""How events get into a history: a `Sink` takes them, an `OperationLog` is the handle a host program holds."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol

from harness.history.events import Event, Fail, Fields, Info, Invoke, Observation, Ok


class Sink(Protocol):
    """Takes events in the order in which they happened."""

    def record(self, event: Event) -> None:
        """Append one event; it must survive the death of the host that recorded it."""


class Operation:
    """One operation in flight. Complete it once; completing it again is ignored, as a late answer would be."""

    __slots__ = ("_done", "_log", "number", "result")

    def __init__(self, log: "OperationLog", number: int) -> None:
        self._log = log
        self._done = False
        self.number = number
        self.result: Fields = {}

    def ok(self, **value: object) -> None:
        """It took effect."""
        self._complete(Ok, value)

    def fail(self, error: str) -> None:
        """It did not take effect, for certain."""
        self._complete(Fail, error)

    def info(self, error: str) -> None:
        """Nobody knows whether it took effect."""
        self._complete(Info, error)

    def _complete(self, kind: type[Ok] | type[Fail] | type[Info], outcome: object) -> None:
        if self._done:
            return
        self._done = True
        log = self._log
        log.sink.record(kind(log.now_ns(), log.actor, log.incarnation, self.number, outcome))  # type: ignore[arg-type]


class OperationLog:
    """Records what one incarnation of one host does and sees."""

    __slots__ = ("_next", "actor", "incarnation", "now_ns", "sink")

    def __init__(self, sink: Sink, now_ns: Callable[[], int], actor: str, incarnation: int) -> None:
        self.sink = sink
        self.now_ns = now_ns
        self.actor = actor
        self.incarnation = incarnation
        self._next = 0

    def invoke(self, name: str, /, **value: object) -> Operation:
        """Record that an operation begins."""
        number = self._next
        self._next += 1
        self.sink.record(Invoke(self.now_ns(), self.actor, self.incarnation, number, name, value))
        return Operation(self, number)

    @contextmanager
    def operation(
        self, name: str, /, *, refused: tuple[type[Exception], ...] = (), **value: object
    ) -> Iterator[Operation]:
        """Run one operation: `Ok` with `op.result` if the block ends, `Fail` on a `refused` error, else `Info`.

        The error is recorded and swallowed, so that a workload goes on; cancellation is recorded and passed on.
        """
        op = self.invoke(name, **value)
        try:
            yield op
        except refused as error:
            op.fail(_describe(error))
        except Exception as error:  # noqa: BLE001 - whatever the target raises is an outcome, not our failure
            op.info(_describe(error))
        except BaseException as error:
            op.info(_describe(error))
            raise
        else:
            op.ok(**op.result)

    def observe(self, name: str, /, **value: object) -> None:
        """Record something seen."""
        self.sink.record(Observation(self.now_ns(), self.actor, self.incarnation, name, value))


def _describe(error: BaseException) -> str:
    text = str(error)
    return f"{type(error).__name__}: {text}"[:300] if text else type(error).__name__
