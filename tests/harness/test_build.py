"""A build: the same for the same code, another for whatever can make a seed come out differently."""

import json
from dataclasses import replace
from importlib import metadata

from harness.build import build_of


def test_a_build_names_versions_and_sources():
    """Every library that the harness depends on is there with its version; nothing of the standard library counts."""
    build = build_of(("harness", "json"))
    libraries = dict(build.libraries)
    assert libraries["redis"] == metadata.version("redis")
    assert libraries["hypothesis"] == metadata.version("hypothesis")
    assert len(libraries) > 10
    assert "none" not in libraries.values()
    assert build.sources == build_of(("harness",)).sources
    assert json.__name__ in build.packages
    assert build.differs_from(build) == ""


def test_a_changed_source_is_another_build(tmp_path, monkeypatch):
    """A line in a module of the package, or a module more."""
    package = tmp_path / "own_package_of_a_build"
    package.mkdir()
    (package / "__init__.py").write_text("")
    monkeypatch.syspath_prepend(tmp_path)
    seen = set()
    for name, text in (("__init__.py", "a = 1"), ("__init__.py", "a = 2"), ("more.py", "")):
        (package / name).write_text(text)
        seen.add(build_of.__wrapped__((package.name,)).sources)
    assert len(seen) == 3


def test_what_differs_is_said():
    """Here and there, by name."""
    build = build_of(("harness",))
    other = replace(build, python="CPython 9", sources="0", libraries=(("redis", "1"), *build.libraries[1:]))
    told = other.differs_from(build)
    assert f"Python CPython 9 here, {build.python} there" in told
    assert f"source of harness 0 here, {build.sources} there" in told
    assert f"redis 1 here, {metadata.version('redis')} there" in told
