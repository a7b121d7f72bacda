"""Operations: each block is one invocation and exactly one completion, of the right kind."""

import asyncio

import pytest

from harness.history.events import Event, Fail, Info, Invoke, Ok
from harness.history.recorder import OperationLog


class Kept:
    """A sink and a clock that counts what it was asked."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self._now = 0

    def record(self, event: Event) -> None:
        self.events.append(event)

    def now_ns(self) -> int:
        self._now += 1
        return self._now


@pytest.fixture
def kept() -> Kept:
    """Where the events go."""
    return Kept()


@pytest.fixture
def log(kept: Kept) -> OperationLog:
    """A log of the second life of host `a`."""
    return OperationLog(kept, kept.now_ns, "a", 2)


def test_a_block_that_ends_is_ok_with_its_result(kept: Kept, log: OperationLog) -> None:
    """Times, actor, incarnation, name and value are recorded; operations are numbered."""
    with log.operation("publish", key="k") as operation:
        operation.result = {"id": "x"}
    with log.operation("publish"):
        pass
    assert kept.events == [
        Invoke(1, "a", 2, 0, "publish", {"key": "k"}),
        Ok(2, "a", 2, 0, {"id": "x"}),
        Invoke(3, "a", 2, 1, "publish", {}),
        Ok(4, "a", 2, 1, {}),
    ]


def test_a_refusal_fails_and_any_other_error_is_unknown(kept: Kept, log: OperationLog) -> None:
    """Both are swallowed, so that the workload goes on; subclasses of a refusal are refusals."""
    with log.operation("publish", refused=(LookupError,)):
        raise KeyError("full")
    with log.operation("publish", refused=(LookupError,)):
        raise OSError
    assert kept.events[1::2] == [Fail(2, "a", 2, 0, "KeyError: 'full'"), Info(4, "a", 2, 1, "OSError")]


@pytest.mark.parametrize("error", [asyncio.CancelledError, KeyboardInterrupt, SystemExit, GeneratorExit])
def test_a_cancellation_is_unknown_and_passed_on(kept: Kept, log: OperationLog, error: type[BaseException]) -> None:
    """Whoever cancels must not be swallowed, but the outcome is in the history."""
    with pytest.raises(error), log.operation("publish"):
        raise error
    assert kept.events[1:] == [Info(2, "a", 2, 0, error.__name__)]


def test_a_stop_iteration_is_an_error_like_others(kept: Kept, log: OperationLog) -> None:
    """A block may raise what ends a generator: it is recorded and swallowed too."""
    with log.operation("publish"):
        raise StopIteration
    assert kept.events[1:] == [Info(2, "a", 2, 0, "StopIteration")]


def test_only_the_first_completion_counts(kept: Kept, log: OperationLog) -> None:
    """What the block completes itself is not completed again at its end."""
    with log.operation("publish") as operation:
        operation.fail("full")
    operation.ok(id="late")
    assert kept.events[1:] == [Fail(2, "a", 2, 0, "full")]
