"""How events get into a history: a `Sink` takes them, an `OperationLog` is the handle a host program holds."""

from collections.abc import Callable
from types import TracebackType
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
        self.complete(Ok, value)

    def fail(self, error: str) -> None:
        """It did not take effect, for certain."""
        self.complete(Fail, error)

    def info(self, error: str) -> None:
        """Nobody knows whether it took effect."""
        self.complete(Info, error)

    def complete(self, kind: type[Ok] | type[Fail] | type[Info], outcome: object) -> None:
        """Record this completion, unless there was one."""
        if self._done:
            return
        self._done = True
        log = self._log
        log.sink.record(kind(log.now_ns(), log.actor, log.incarnation, self.number, outcome))  # type: ignore[arg-type]


class _Block:
    """The `with` block of one operation. A class, as a generator costs three calls more, and this is a hot path."""

    __slots__ = ("_log", "_name", "_operation", "_refused", "_value")

    def __init__(self, log: "OperationLog", name: str, refused: tuple[type[Exception], ...], value: Fields) -> None:
        self._log = log
        self._name = name
        self._refused = refused
        self._value = value

    def __enter__(self) -> Operation:
        self._operation = operation = self._log.begin(self._name, self._value)
        return operation

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        operation = self._operation
        if error is None:
            operation.complete(Ok, operation.result)
            return True
        operation.complete(Fail if isinstance(error, self._refused) else Info, _describe(error))
        return isinstance(error, Exception)


class OperationLog:
    """Records what one incarnation of one host does and sees; its operations are numbered from `first` on."""

    __slots__ = ("_next", "actor", "incarnation", "now_ns", "sink")

    def __init__(self, sink: Sink, now_ns: Callable[[], int], actor: str, incarnation: int, *, first: int = 0) -> None:
        self.sink = sink
        self.now_ns = now_ns
        self.actor = actor
        self.incarnation = incarnation
        self._next = first

    def invoke(self, name: str, /, **value: object) -> Operation:
        """Record that an operation begins."""
        return self.begin(name, value)

    def begin(self, name: str, value: Fields) -> Operation:
        """Like `invoke`; takes the value as a dict, which it keeps."""
        number = self._next
        self._next = number + 1
        self.sink.record(Invoke(self.now_ns(), self.actor, self.incarnation, number, name, value))
        return Operation(self, number)

    def operation(self, name: str, /, *, refused: tuple[type[Exception], ...] = (), **value: object) -> _Block:
        """Run one operation: `Ok` with `op.result` if the block ends, `Fail` on a `refused` error, else `Info`.

        The error is recorded and swallowed, so that a workload goes on; cancellation is recorded and passed on.
        """
        return _Block(self, name, refused, value)

    def observe(self, name: str, /, **value: object) -> None:
        """Record something seen."""
        self.sink.record(Observation(self.now_ns(), self.actor, self.incarnation, name, value))


def _describe(error: BaseException) -> str:
    text = str(error)
    return f"{type(error).__name__}: {text}"[:300] if text else type(error).__name__
