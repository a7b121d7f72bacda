"""A hash of what a scenario declares: two runs that share it were asked the same, whatever their seeds and targets.

Everything counts that decides what a run is: dependencies, hosts with their programs and what those were made with,
the schedule with its bounds, needs, invariants with their limits, the size, the world and its options. Names of
variants, titles and the targets themselves do not: to compare two targets under one declaration is what baselines are
for. Nor does the code of programs and invariants; the commit says that.

The hash is the same in every process: it is made of names and values, never of addresses or of the order of a set.
"""

import enum
import hashlib
from collections.abc import Callable, Iterable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import fields, is_dataclass
from functools import partial
from types import FunctionType, MethodType
from typing import Any, Final

from harness.scenario import Scenario
from harness.world.base import WorldKind

_SIMPLE: Final = (type(None), bool, int, float, str, bytes, complex)


def declaration_hash(scenario: Scenario, profile: str, world: WorldKind, options: object) -> str:
    """Return twelve hexadecimal digits. Raises `KeyError` if the scenario has no such profile."""
    declared = (
        scenario.name,
        profile,
        scenario.dependencies,
        scenario.profiles[profile],
        scenario.invariants,
        world,
        options if world == "real" else None,
    )
    digest = hashlib.blake2b(digest_size=6)
    for word in _words(declared, ()):
        digest.update(word.encode("utf-8", "surrogatepass") + b"\0")
    return digest.hexdigest()


def _words(value: Any, inside: tuple[int, ...]) -> Iterable[str]:
    """Return the value as words; `inside` are the objects that it is part of, so that a circle ends."""
    if isinstance(value, enum.Enum):
        return [f"{_name(type(value))}.{value.name}"]
    if isinstance(value, _SIMPLE):
        return [type(value).__name__, repr(value)]
    if id(value) in inside:
        return ["circle"]
    return _compound(value, (*inside, id(value)))


def _compound(value: Any, inside: tuple[int, ...]) -> Iterable[str]:
    match value:
        case Mapping():
            items = ((tuple(_words(key, inside)), tuple(_words(item, inside))) for key, item in value.items())
            return ["{", *(word for key, item in sorted(items) for word in (*key, ":", *item)), "}"]
        case AbstractSet():
            members = sorted(tuple(_words(item, inside)) for item in value)
            return ["<", *(word for member in members for word in member), ">"]
        case list() | tuple():
            return ["[", *(word for item in value for word in _words(item, inside)), "]"]
    name, held = _named(value)
    return [name, *_words(held, inside)]


def _named(value: Any) -> tuple[str, Any]:
    """Return what an object is, by name, and what it holds."""
    match value:
        case partial():
            held: Any = (value.func, value.args, value.keywords)
        case MethodType():
            held = (value.__func__, value.__self__)
        case FunctionType():
            return _name(value), _made_with(value)
        case type():
            return _name(value), None
        case _ if is_dataclass(value):
            held = {field.name: getattr(value, field.name) for field in fields(value)}
        case _ if callable(value) and hasattr(value, "__qualname__"):
            return _name(value), None
        case _:
            held = _held(value)
    return _name(type(value)), held


def _made_with(function: FunctionType) -> tuple[Any, ...]:
    """Return what a function closes over, and its defaults: that is how programs take their rates and sizes."""
    cells = zip(function.__code__.co_freevars, function.__closure__ or (), strict=True)
    held = {name: cell.cell_contents for name, cell in cells if _is_filled(cell)}
    return held, function.__defaults__ or (), function.__kwdefaults__ or {}


def _is_filled(cell: Any) -> bool:
    try:
        cell.cell_contents  # noqa: B018 - it raises where nothing is in it yet
    except ValueError:
        return False
    return True


def _held(value: Any) -> Mapping[str, Any]:
    slots = [name for kind in type(value).__mro__ for name in _slots(kind) if hasattr(value, name)]
    return {**{name: getattr(value, name) for name in slots}, **getattr(value, "__dict__", {})}


def _slots(kind: type) -> tuple[str, ...]:
    slots = kind.__dict__.get("__slots__", ())
    return (slots,) if isinstance(slots, str) else tuple(slots)


def _name(thing: type | Callable[..., Any]) -> str:
    return f"{thing.__module__}.{thing.__qualname__}"
