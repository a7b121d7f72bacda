"""What code a run was made of: a hash over the sources of each package that took part.

A seed and a tape repeat a run only with the same code. So each history carries these hashes, and a replay that differs
can say whose code has changed since. Whole packages, not the modules that happened to be imported: what is imported
depends on what else the process did before.
"""

import hashlib
import importlib.util
from collections.abc import Iterable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Final

_FILES_MAX: Final = 20_000
"""A package with more files than that is not hashed: it would cost seconds, and it is no target."""


def code_hashes(modules: Iterable[str]) -> dict[str, str]:
    """Return a hash for the top-level package of each of these modules, by its name, and for the harness itself."""
    packages = {"harness", *(name.partition(".")[0] for name in modules)}
    known = {package: _hash(package) for package in sorted(packages)}
    return {package: found for package, found in known.items() if found}


def changed(then: Mapping[str, str], now: Mapping[str, str]) -> tuple[str, ...]:
    """Return the packages whose code is not what it was, in order."""
    return tuple(sorted(name for name in then if now.get(name) != then[name]))


@lru_cache
def _hash(package: str) -> str:
    """Return a hash of the paths and contents of a package's Python files; empty if there are none to be read."""
    try:
        spec = importlib.util.find_spec(package)
    except (ImportError, ValueError):
        return ""
    if spec is None:
        return ""
    digest = hashlib.blake2b(digest_size=8)
    for root, path in _files(spec.submodule_search_locations, spec.origin):
        try:
            content = path.read_bytes()
        except OSError:
            return ""
        digest.update(f"{path.relative_to(root)}\0{len(content)}\0".encode())
        digest.update(content)
    return digest.hexdigest()


def _files(locations: Iterable[str] | None, origin: str | None) -> list[tuple[Path, Path]]:
    if locations is None:
        path = Path(origin or "")
        return [(path.parent, path)] if path.suffix == ".py" else []
    found = [(Path(root), path) for root in sorted(locations) for path in sorted(Path(root).rglob("*.py"))]
    return found if len(found) <= _FILES_MAX else []
