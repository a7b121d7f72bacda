"""Interrupts: none is lost wherever it arrives, nothing is raised out of nowhere, and who waits is woken."""

import os
import signal
import threading
import weakref
from collections.abc import Iterator
from multiprocessing.connection import wait

import pytest

from harness import interrupts

pytestmark = pytest.mark.real

NUMBERS = (signal.SIGINT, signal.SIGTERM)


class Thing:
    """Something to refer to weakly."""


@pytest.fixture
def now_ns(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """A clock that stands still: its only element is the time."""
    clock = [0]
    monkeypatch.setattr(interrupts, "_now_ns", lambda: clock[0])
    return clock


@pytest.fixture
def heeded(now_ns: list[int]) -> Iterator[list[int]]:
    """Listen to both signals; gives the clock."""
    with interrupts.heeded(*NUMBERS):
        yield now_ns


def receive(number: int) -> None:
    """Get a signal here, and have it handled before this returns."""
    signal.raise_signal(number)
    for _ in range(2):
        pass  # the interpreter handles signals where a loop jumps back


@pytest.mark.parametrize("number", NUMBERS)
@pytest.mark.usefixtures("heeded")
def test_an_interrupt_within_a_weakref_callback_is_not_lost(number: int, capsys: pytest.CaptureFixture[str]) -> None:
    """What a handler raises there is printed and forgotten. Nothing is raised, nothing printed, and it is known."""
    came: list[bool] = []

    def gone(_: "weakref.ref[Thing]") -> None:
        came.append(interrupts.asked())
        receive(number)
        came.append(interrupts.asked())

    thing = Thing()
    kept = weakref.ref(thing, gone)
    del thing

    assert kept() is None
    assert came == [False, True]
    assert interrupts.asked()
    assert capsys.readouterr().err == ""


def test_one_that_comes_twice_is_one(heeded: list[int]) -> None:
    """`timeout` signals its child and then the group: the second, up to a second later, raises nothing either."""
    receive(signal.SIGTERM)
    heeded[0] = interrupts.SAME_NS
    receive(signal.SIGTERM)

    assert interrupts.asked()


def test_a_later_one_raises_where_the_program_stands(heeded: list[int]) -> None:
    """Somebody gave up waiting: this gets out of code that never looks, and so does each one after it."""
    receive(signal.SIGTERM)
    heeded[0] = interrupts.SAME_NS + 1

    for number in NUMBERS:
        with pytest.raises(KeyboardInterrupt):
            receive(number)


@pytest.mark.usefixtures("heeded")
def test_who_waits_is_woken() -> None:
    """A wait without end ends, whether the signal comes before it or within it; once woken the pipe is silent again."""
    sender = threading.Thread(target=os.kill, args=(os.getpid(), signal.SIGTERM))
    sender.start()
    assert wait(interrupts.descriptors()) == list(interrupts.descriptors())
    sender.join()

    assert interrupts.woken()
    assert wait(interrupts.descriptors(), 0) == []
    assert interrupts.asked()


@pytest.mark.usefixtures("heeded")
def test_other_signals_do_not_ask() -> None:
    """A signal that somebody else handles may wake who waits, but not for long, and it ends nothing."""
    before = signal.signal(signal.SIGUSR1, lambda *_: None)
    try:
        receive(signal.SIGUSR1)
    finally:
        signal.signal(signal.SIGUSR1, before)

    assert not interrupts.woken()
    assert wait(interrupts.descriptors(), 0) == []


def test_nobody_listens_unless_told_to() -> None:
    """Without it nothing is asked and there is nothing to wait for; afterwards all is as it was before."""
    before = [signal.getsignal(number) for number in NUMBERS]
    with interrupts.heeded(*NUMBERS):
        (descriptor,) = interrupts.descriptors()
        receive(signal.SIGINT)
        with interrupts.heeded(signal.SIGTERM):
            assert not interrupts.asked()
        assert interrupts.asked()
        assert interrupts.descriptors() == (descriptor,)

    assert [signal.getsignal(number) for number in NUMBERS] == before
    assert (interrupts.asked(), interrupts.woken(), interrupts.descriptors()) == (False, False, ())
    assert signal.set_wakeup_fd(-1) == -1
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(descriptor)
