"""Reading and writing toxics as JSON."""

import importlib
import inspect
import pkgutil
from dataclasses import is_dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

import harness.toxics
from harness.toxics.bandwidth import Bandwidth
from harness.toxics.base import Toxic
from harness.toxics.catalog import TYPES, BadToxic, attributes, merge, parse
from harness.toxics.closing import LimitData, SlowClose, Timeout
from harness.toxics.latency import Latency
from harness.toxics.resetting import ResetPeer
from harness.toxics.slicer import Slicer

CLASSICS = [
    ("latency", Latency(latency=1000, jitter=5), {"latency": 1000, "jitter": 5}),
    ("bandwidth", Bandwidth(rate=64), {"rate": 64}),
    ("slow_close", SlowClose(delay=7), {"delay": 7}),
    ("timeout", Timeout(timeout=8), {"timeout": 8}),
    ("reset_peer", ResetPeer(timeout=9), {"timeout": 9}),
    (
        "slicer",
        Slicer(average_size=64, size_variation=32, delay=10),
        {"average_size": 64, "size_variation": 32, "delay": 10},
    ),
    ("limit_data", LimitData(bytes=100), {"bytes": 100}),
]


@pytest.mark.parametrize(("name", "toxic", "given_"), CLASSICS)
def test_a_toxic_reads_and_writes_its_attributes_in_their_order(name, toxic, given_):
    """Every classic toxic: JSON to declaration and back, names and order as Toxiproxy has them."""
    assert parse(name, given_) == toxic
    assert list(attributes(toxic).items()) == list(given_.items())
    assert toxic.type == name


def test_names_are_in_any_case_and_unknown_ones_are_ignored():
    """As Go's decoder reads JSON."""
    assert parse("latency", {"LATENCY": 5, "Jitter": 1, "color": "red", "delay": -1}) == Latency(latency=5, jitter=1)


def test_what_is_not_given_or_null_has_its_default():
    """Every attribute of a classic toxic is 0 by default."""
    assert parse("latency", {"jitter": None}) == Latency(latency=0, jitter=0)
    assert parse("limit_data", {}) == LimitData(bytes=0)


@pytest.mark.parametrize("value", [1.5, 1.0, "1", True, [], {}, float("nan")])
def test_only_integers_are_integers(value):
    """Neither fractions, strings nor booleans."""
    with pytest.raises(BadToxic, match=r"^latency: jitter must be an integer, not "):
        parse("latency", {"jitter": value})


def test_an_error_text_stays_short():
    """However long the value is that somebody sent."""
    with pytest.raises(BadToxic) as caught:
        parse("latency", {"jitter": "x" * 10_000})
    assert len(str(caught.value)) < 120


@pytest.mark.parametrize("name", ["", "Latency", "latency ", "no such"])
def test_an_unknown_type_is_refused_in_the_words_of_the_original(name):
    """Types are exact, in case too."""
    with pytest.raises(BadToxic, match=r"^invalid toxic type$"):
        parse(name, {})


@pytest.mark.parametrize(
    ("name", "given_", "text"),
    [
        ("slicer", {}, "slicer: average_size must be at least 1, not 0"),
        ("slicer", {"average_size": 3, "size_variation": 4}, "size_variation (4) must be at most average_size (3)"),
        ("bandwidth", {"rate": -1}, "bandwidth: rate must be at least 0, not -1"),
        ("latency", {"jitter": 2**62}, "latency: jitter must be at most 86400000, not 4611686018427387904"),
        ("latency", {"latency": 86_400_001}, "latency: latency must be at most 86400000, not 86400001"),
    ],
)
def test_what_crashes_the_original_is_refused_in_clear_words(name, given_, text):
    """The text names the toxic, the attribute and the bound."""
    with pytest.raises(BadToxic) as caught:
        parse(name, given_)
    assert text in str(caught.value)


@pytest.mark.parametrize("kind", TYPES.values())
def test_no_attribute_may_be_negative_or_absurd(kind):
    """Every integer attribute of every toxic has a range."""
    whole = {"latency": 1, "average_size": 1}
    for name, value in attributes_of_any(kind).items():
        if type(value) is int:
            for bad in (-1, 2**63):
                with pytest.raises(BadToxic):
                    parse(kind.type, {**required(kind), **whole, name: bad})


@given(st.sampled_from(["latency", "slicer", "timeout"]), st.integers(0, 1000), st.integers(0, 1000))
def test_an_update_changes_what_it_names_and_nothing_else(name, old, new):
    """Merging one attribute keeps the others; the result reads as if parsed whole."""
    base = {"latency": old, "jitter": 3, "average_size": 5000, "delay": old, "timeout": old}
    before = parse(name, base)
    first, *others = attributes(before)
    first = first if first != "average_size" else "delay"
    after = merge(before, {first.upper(): new})
    assert after == parse(name, {**base, first: new})
    assert all(attributes(after)[each] == attributes(before)[each] for each in others if each != first)


def test_an_update_is_checked_as_a_whole():
    """A value that is good alone may not be with the ones that stay."""
    with pytest.raises(BadToxic, match="size_variation"):
        merge(Slicer(average_size=10), {"size_variation": 11})
    assert merge(Slicer(average_size=10), {"nothing": 1}) == Slicer(average_size=10)


def test_no_toxic_was_forgotten():
    """Every declaration in the package is in the catalog, by its type."""
    found = {}
    for module in pkgutil.walk_packages(harness.toxics.__path__, "harness.toxics."):
        for _, kind in inspect.getmembers(importlib.import_module(module.name), inspect.isclass):
            if is_dataclass(kind) and kind is not Toxic and hasattr(kind, "stage") and hasattr(kind, "type"):
                found[kind.type] = kind
    assert found == dict(TYPES)


def required(kind):
    """Attributes without which a toxic cannot be made."""
    return {"action": "drop_reply"} if "action" in kind.__dataclass_fields__ else {}


def attributes_of_any(kind):
    """Return the attributes of some toxic of that type."""
    return attributes(parse(kind.type, {**required(kind), "average_size": 1}))
