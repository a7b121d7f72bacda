"""What a process would run: versions and sources. Two processes with the same build make the same run of a seed."""

import hashlib
import re
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from importlib import metadata, util
from pathlib import Path
from platform import python_implementation, python_version
from typing import Final

from harness import __version__
from harness.runner import Order

_DISTRIBUTION: Final = "trading-chaos-harness"


@dataclass(frozen=True, slots=True)
class Build:
    """A process's versions, and a hash of the sources of `packages`; `what` names each for people."""

    python: str
    harness: str
    libraries: tuple[tuple[str, str], ...]
    packages: tuple[str, ...]
    sources: str

    def differs_from(self, other: "Build") -> str:
        """Return in words what the other has that this one has not, or nothing."""
        theirs = dict(other.libraries)
        libraries = [
            f"{name} {version} here, {theirs.get(name, 'none')} there"
            for name, version in self.libraries
            if theirs.get(name) != version
        ]
        told = [
            f"{name} {here} here, {there} there"
            for name, here, there in (
                ("Python", self.python, other.python),
                ("harness", self.harness, other.harness),
                (f"source of {', '.join(self.packages)}", self.sources, other.sources),
            )
            if here != there
        ]
        return "; ".join([*told, *libraries])


def build_for(order: Order) -> Build:
    """Return the build that this process would make that run with: the harness, the scenario's code, the targets."""
    hosts = order.scenario.profile(order.profile).hosts
    modules = ["harness", *(path.partition(":")[0] for path in order.targets.values())]
    modules += [getattr(host.program, "__module__", "") for host in hosts]
    modules += [type(one).__module__ for one in order.scenario.invariants]
    return build_of(tuple(sorted({name.partition(".")[0] for name in modules if name})))


@lru_cache(maxsize=32)
def build_of(packages: tuple[str, ...]) -> Build:
    """Return the build of this process as far as these packages go. Sources are read once a process."""
    return Build(
        python=f"{python_implementation()} {python_version()}",
        harness=__version__,
        libraries=_libraries(),
        packages=packages,
        sources=_sources(packages),
    )


def _libraries() -> tuple[tuple[str, str], ...]:
    """Return what the harness depends on, as installed; nothing where it is not installed but on the path."""
    try:
        required = metadata.requires(_DISTRIBUTION) or []
    except metadata.PackageNotFoundError:
        return ()
    found: dict[str, str] = {}
    for line in required:
        if "extra ==" in line:
            continue
        named = re.match(r"[A-Za-z0-9][A-Za-z0-9._-]*", line)
        if named is None:
            continue
        name = named.group()
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = "none"
    return tuple(sorted(found.items()))


def _sources(packages: Iterable[str]) -> str:
    digest = hashlib.blake2b(digest_size=6)
    for package in packages:
        for name, path in _files(package):
            digest.update(f"{package}/{name}\0".encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()


def _files(package: str) -> list[tuple[str, Path]]:
    module = sys.modules.get(package)
    spec = util.find_spec(package) if module is None else module.__spec__
    if spec is None or package in sys.stdlib_module_names:
        return []
    roots = [Path(root) for root in spec.submodule_search_locations or []]
    if not roots:
        return [] if spec.origin is None else [(Path(spec.origin).name, Path(spec.origin))]
    return sorted((str(path.relative_to(root)), path) for root in roots for path in root.rglob("*.py"))
