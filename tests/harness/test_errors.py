"""The error tree, and errors that name the nearest right name."""

import pytest

from harness import errors
from harness.errors import HarnessError, UsageError, WorldError, unknown_name

EVERY = [one for one in vars(errors).values() if isinstance(one, type) and issubclass(one, Exception)]


def test_every_error_is_a_harness_error() -> None:
    """One `except HarnessError` catches all that is raised on purpose; those of worlds have a base of their own."""
    assert len(EVERY) == 8
    assert all(issubclass(one, HarnessError) for one in EVERY)
    assert {"WorldError", "EscapeError", "DeadlockError", "BudgetError"} == {
        one.__name__ for one in EVERY if issubclass(one, WorldError)
    }


def test_the_docstring_shows_the_tree() -> None:
    """The tree in the module's docstring names each error, under its base."""
    lines = (errors.__doc__ or "").splitlines()
    for one in EVERY:
        (line,) = [line for line in lines if one.__name__ in line]
        depth = len(one.__mro__) - len(HarnessError.__mro__)
        assert line.index(one.__name__) == depth * 4


def test_a_near_name_is_suggested() -> None:
    """A slip of the fingers is answered with what was probably meant."""
    error = unknown_name("scenario", "redis-outge", ["redis-outage", "signal-flood"])

    assert isinstance(error, UsageError)
    assert str(error) == "unknown scenario 'redis-outge'; did you mean 'redis-outage'?"


def test_without_a_near_name_all_are_listed() -> None:
    """What resembles nothing is answered with all there is, in order."""
    assert str(unknown_name("world", "moon", ["sim", "real"])) == "unknown world 'moon'; known: real, sim"


def test_where_there_is_nothing_it_says_so() -> None:
    """An empty list of names does not end in mid-sentence."""
    assert str(unknown_name("profile", "full", [])) == "unknown profile 'full'; known: none"


@pytest.mark.parametrize("name", ["two\nlines", "tab\there", "\x1b[31mred"])
def test_a_hostile_name_stays_in_one_printable_line(name: str) -> None:
    """What a person typed, or a file held, cannot break out of the line that reports it."""
    assert str(unknown_name("port", name, ["event_bus"])).isprintable()
