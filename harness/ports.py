"""What a port is: the shape of a target, how scenarios make one, and how to try one out.

A module in a package's `ports` says so in a `PORT`. `harness run` looks at it before a run, so that a factory which no
scenario could call is one line and not fifty errors; `harness conform` goes through all of it.
"""

import inspect
import pkgutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

from harness.errors import UsageError
from harness.importing import import_named
from harness.registry import DEFAULT_PACKAGES


@dataclass(frozen=True, slots=True, kw_only=True)
class Port:
    """A port. `keywords` are the arguments that scenarios give the factory.

    `trial` is `module:function` of a conversation with a target in which nothing is broken (trial.py); `dependencies`
    are the kinds that it needs. `command` is `module:factory` of what stands in for a target that is a program of its
    own: it takes `command`, a list of words, besides the keywords. None: such a program cannot be driven.
    """

    name: str
    shape: type
    keywords: tuple[str, ...]
    trial: str
    dependencies: tuple[str, ...] = ()
    command: str | None = None


def discover_ports(packages: Sequence[str] = DEFAULT_PACKAGES) -> dict[str, Port]:
    """Return the ports of these packages by name: what modules below `<package>.ports` have as their `PORT`."""
    found: dict[str, Port] = {}
    for package in dict.fromkeys(packages):
        if getattr(import_named(package, f"scenarios {package!r}"), "__path__", None) is None:
            continue
        if find_spec(f"{package}.ports") is None:
            continue
        folder = import_named(f"{package}.ports", f"ports of {package!r}")
        for module in sorted(one.name for one in pkgutil.iter_modules(folder.__path__)):
            name = f"{package}.ports.{module}"
            port = getattr(import_named(name, f"port {name!r}"), "PORT", None)
            if isinstance(port, Port):
                found[port.name] = port
    return found


def factory_problem(port: Port, factory: Callable[..., Any]) -> str | None:
    """Return in words why scenarios cannot call this factory, or None if they can as far as its signature tells."""
    if inspect.iscoroutinefunction(factory):
        return "it is async; a factory is a plain function, and what must be awaited belongs in the target's start()"
    try:
        inspect.signature(factory).bind(**dict.fromkeys(port.keywords))
    except TypeError as error:
        return f"{error}; scenarios call it as make({', '.join(f'{name}=...' for name in port.keywords)})"
    except ValueError:  # of some things written in C nothing is known
        return None
    return None


def check_factories(ports: Mapping[str, Port], factories: Mapping[str, tuple[str, Callable[..., Any]]]) -> None:
    """Raise `UsageError` for a factory that scenarios cannot call; given are its name and itself, by port."""
    for name, (path, factory) in factories.items():
        problem = factory_problem(ports[name], factory) if name in ports else None
        if problem is not None:
            raise UsageError(f"target {path!r} does not fit the port {name}: {problem}")
