"""Shapes: whatever keeps an object from being what a Protocol describes is told in words."""

import functools
from typing import Protocol

import pytest

from harness.errors import UsageError
from harness.ports import Port, check_factories, factory_problem
from harness.shape import problems


class Shop(Protocol):
    """What is asked for."""

    name: str

    @property
    def open(self) -> bool:
        """Whether it is."""

    async def buy(self, what: str, *, at: int = 0) -> str:
        """Buy."""

    def count(self) -> int:
        """Count."""


class Fits:
    name = "fits"
    open = True

    async def buy(self, what, *, at=0, more=None):
        return what

    def count(self):
        return 1


class Wrapped(Fits):
    """A decorator that makes a plain function of an async one is no problem."""

    @functools.wraps(Fits.buy)
    def buy(self, *args, **keywords):
        return super().buy(*args, **keywords)


def lacking(**attributes: object) -> object:
    """Return a shop that differs in these; None takes one away."""
    names = {name: value for name, value in vars(Fits).items() if not name.startswith("_")} | attributes
    return type("Shop", (), {name: value for name, value in names.items() if value is not None})()


async def count_later(self):
    return 1


async def buy_dearly(self, what, price):
    return what


@pytest.mark.parametrize("target", [Fits(), Wrapped(), lacking()])
def test_what_fits_is_not_complained_of(target):
    """More parameters with defaults, and wrappers, are the target's business."""
    assert list(problems(target, Shop)) == []


@pytest.mark.parametrize(
    ("target", "text"),
    [
        (None, "the factory returned None; does it lack a `return`?"),
        (lacking(name=None), "it has no `name`"),
        (lacking(count=None, counts=len), "it has no `count`; is `counts` meant to be it?"),
        (lacking(count=3), "`count` is a int; it is called, so make it a method"),
        (lacking(count=count_later), "`count` is async; it is called without `await`, so make it a plain method"),
        (lacking(open=lambda self: True), "`open` is a method; it is read like an attribute, so make it a property"),
        (
            lacking(buy=buy_dearly),
            "`buy` cannot be called as buy(what): missing a required argument: 'price'",
        ),
        (
            lacking(buy=lambda self, what: what),
            "`buy` cannot be called as buy(what, at=...): got an unexpected keyword argument 'at'",
        ),
    ],
)
def test_each_thing_that_is_missing_is_told(target, text):
    """One line each, with the nearest name where there is one."""
    assert list(problems(target, Shop)) == [text]


def test_a_coroutine_is_recognised():
    """A factory that is async after all, behind a wrapper, is told from one that returns nothing."""
    assert list(problems(count_later(None), Shop)) == [
        "the factory returned a coroutine, so it is async; make it a plain function"
    ]


PORT = Port(name="shop", shape=Shop, keywords=("name", "size"), trial="none:none")


@pytest.mark.parametrize(
    "factory", [lambda *, name, size: None, lambda **any_of: None, lambda name, size, more=1: None, dict]
)
def test_a_factory_that_takes_the_keywords_can_be_called(factory):
    """By keyword is how scenarios call it; what nothing is known of is given the benefit of the doubt."""
    assert factory_problem(PORT, factory) is None


def test_a_factory_that_cannot_be_called_is_told_how_it_would_be():
    """Before a run, in one line: a keyword too few, one too many, or an async one."""
    shown = "; scenarios call it as make(name=..., size=...)"

    assert factory_problem(PORT, lambda *, name: None) == f"got an unexpected keyword argument 'size'{shown}"
    assert factory_problem(PORT, lambda *, name, size, url: None) == f"missing a required argument: 'url'{shown}"
    assert "it is async" in (factory_problem(PORT, count_later) or "")
    with pytest.raises(UsageError, match="target 'a:b' does not fit the port shop: missing a required argument"):
        check_factories({"shop": PORT}, {"shop": ("a:b", lambda url: None), "other": ("c:d", len)})
