"""Every toxic there is, and how its attributes are read and written as JSON.

A toxic is one frozen dataclass: its fields are its attributes, by name, in order, with their defaults and ranges. The
one other thing to do for a new one is its line below, kept by hand so that a reader sees them all (and a test names
one that was forgotten).
"""

from collections.abc import Mapping
from dataclasses import MISSING, fields
from typing import Any, Final, Literal, cast, get_args, get_origin, get_type_hints

from harness.toxics.attributes import BadToxic
from harness.toxics.bandwidth import Bandwidth
from harness.toxics.base import Toxic
from harness.toxics.closing import LimitData, SlowClose, Timeout
from harness.toxics.exchange.match import HttpMatch, RedisMatch
from harness.toxics.half_close import HalfClose
from harness.toxics.latency import Latency
from harness.toxics.losing import DiscardFirst, HalfOpen
from harness.toxics.partition import Partition
from harness.toxics.resetting import Abort, ResetPeer
from harness.toxics.slicer import Slicer

__all__ = ["TYPES", "BadToxic", "attributes", "merge", "parse"]

TYPES: Final[Mapping[str, type[Toxic]]] = {
    each.type: each
    for each in (
        # Toxiproxy's own.
        Latency,
        Bandwidth,
        SlowClose,
        Timeout,
        ResetPeer,
        Slicer,
        LimitData,
        # Extensions.
        Partition,
        HalfOpen,
        HalfClose,
        DiscardFirst,
        Abort,
        RedisMatch,
        HttpMatch,
    )
}


def parse(type_name: str, attributes: Mapping[str, Any]) -> Toxic:
    """Return the toxic of that type with these attributes; those not given (or null) have their defaults, if any.

    Names of attributes may be in any case, and those that the type does not have are ignored, as in the original.
    Raises `BadToxic` for an unknown type, a value of the wrong kind, and values that make no sense.
    """
    if type_name not in TYPES:
        raise BadToxic("invalid toxic type")
    return _build(TYPES[type_name], {}, attributes)


def merge(toxic: Toxic, attributes: Mapping[str, Any]) -> Toxic:
    """Return the toxic with some attributes changed; the rest as it was. Reads and raises as `parse` does."""
    known = {each.name: getattr(toxic, each.name) for each in fields(cast("Any", toxic))}
    return _build(type(toxic), known, attributes)


def attributes(toxic: Toxic) -> dict[str, Any]:
    """Return its attributes by name, in their order, as JSON has them."""
    values = {each.name: getattr(toxic, each.name) for each in fields(cast("Any", toxic))}
    return {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}


def _build(kind: type[Toxic], known: dict[str, Any], given: Mapping[str, Any]) -> Toxic:
    hints = get_type_hints(kind)
    lowered = {name.lower(): value for name, value in given.items()}
    for each in fields(cast("Any", kind)):
        value = lowered.get(each.name)
        if value is not None:
            known[each.name] = _read(f"{kind.type}: {each.name}", hints[each.name], value)
        elif each.name not in known and each.default is MISSING:
            raise BadToxic(f"{kind.type}: {each.name} must be given")
    try:
        return kind(**known)
    except BadToxic:
        raise
    except ValueError as error:
        raise BadToxic(f"{kind.type}: {error}") from error


_NOUNS: Final[Mapping[Any, str]] = {int: "an integer", str: "a string", bool: "true or false"}


def _read(what: str, hint: Any, value: Any) -> Any:
    """Return a JSON value as the field's type has it. JSON's 1.0 is no integer, nor is true."""
    if hint == tuple[str, ...]:
        if isinstance(value, list | tuple) and all(type(each) is str for each in value):
            return tuple(value)
        raise BadToxic(f"{what} must be a list of strings, not {_shown(value)}")
    if get_origin(hint) is Literal:
        if type(value) is str and value in get_args(hint):
            return value
        raise BadToxic(f"{what} must be one of {', '.join(get_args(hint))}, not {_shown(value)}")
    if hint not in _NOUNS:
        raise TypeError(f"{what}: attributes of type {hint} cannot be read")
    if type(value) is not hint:
        raise BadToxic(f"{what} must be {_NOUNS[hint]}, not {_shown(value)}")
    return value


def _shown(value: Any) -> str:
    """Return a value for an error text, however long it is."""
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:60]}..."  # noqa: PLR2004 - enough to recognise it
