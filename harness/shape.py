"""Does an object have the shape of a Protocol? Each thing that is missing in words, for the author of the object."""

import difflib
import inspect
from collections.abc import Callable, Iterator
from typing import Any, Final

_POSITIONAL: Final = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)


def members(shape: type) -> dict[str, Any]:
    """Return what a Protocol demands by name: functions, properties, and None for plain attributes."""
    own = {name: value for name, value in vars(shape).items() if not name.startswith("_")}
    return dict.fromkeys(inspect.get_annotations(shape), None) | own


def problems(target: object, shape: type) -> Iterator[str]:
    """Yield in words what keeps the object from being what the Protocol describes."""
    if inspect.iscoroutine(target):
        target.close()
        yield "the factory returned a coroutine, so it is async; make it a plain function"
        return
    if target is None:
        yield "the factory returned None; does it lack a `return`?"
        return
    for name, wanted in members(shape).items():
        if not hasattr(target, name):
            near = difflib.get_close_matches(name, [one for one in dir(target) if not one.startswith("__")], n=1)
            yield f"it has no `{name}`" + (f"; is `{near[0]}` meant to be it?" if near else "")
        elif inspect.isfunction(wanted):
            yield from _of_method(name, getattr(target, name), wanted)
        elif callable(getattr(target, name)) and isinstance(wanted, property):
            yield f"`{name}` is a method; it is read like an attribute, so make it a property"


def _of_method(name: str, own: Any, wanted: Callable[..., Any]) -> Iterator[str]:
    if not callable(own):
        yield f"`{name}` is a {type(own).__name__}; it is called, so make it a method"
        return
    if inspect.iscoroutinefunction(own) and not inspect.iscoroutinefunction(wanted):
        yield f"`{name}` is async; it is called without `await`, so make it a plain method"
    for positional, named in _calls(wanted):
        try:
            inspect.signature(own).bind(*positional, **dict.fromkeys(named))
        except TypeError as error:
            shown = ", ".join([*positional, *(f"{one}=..." for one in named)])
            yield f"`{name}` cannot be called as {name}({shown}): {error}"
            return
        except ValueError:  # of some things written in C nothing is known
            return


def _calls(wanted: Callable[..., Any]) -> list[tuple[list[str], list[str]]]:
    """Return the shortest and the longest call that the Protocol allows: positional arguments, and named ones."""
    parameters = list(inspect.signature(wanted).parameters.values())[1:]
    needed = [one for one in parameters if one.default is one.empty]
    return [
        (
            [one.name for one in chosen if one.kind in _POSITIONAL],
            [one.name for one in chosen if one.kind is one.KEYWORD_ONLY],
        )
        for chosen in (needed, parameters)
    ]
