"""What code a run was made of: a hash for each package, which changes with any of its sources."""

import sys
from pathlib import Path

import pytest

from harness import code_hash
from harness.code_hash import changed, code_hashes


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package of a team's own, that can be imported."""
    folder = tmp_path / "teams_own_bus"
    (folder / "inner").mkdir(parents=True)
    (folder / "__init__.py").write_text("")
    (folder / "inner" / "bus.py").write_text("RATE = 1\n")
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    return folder


def fresh(*modules: str) -> dict[str, str]:
    """Return the hashes as another process finds them."""
    code_hash._hash.cache_clear()
    return code_hashes(modules)


def test_each_package_has_a_hash_of_its_own(package: Path) -> None:
    """A target is known by its top-level package, the harness is always among them; unknown ones are left out."""
    hashes = fresh("teams_own_bus.inner.bus:make", "no_such_package.anything:make")

    assert list(hashes) == ["harness", "teams_own_bus"]


def test_any_change_of_a_source_is_seen(package: Path) -> None:
    """Contents, names and new files count; what is no Python source does not."""
    before = fresh("teams_own_bus")
    (package / "notes.txt").write_text("nothing")
    assert fresh("teams_own_bus") == before
    (package / "inner" / "bus.py").write_text("RATE = 2\n")
    edited = fresh("teams_own_bus")
    (package / "inner" / "bus.py").rename(package / "inner" / "train.py")

    assert changed(before, edited) == ("teams_own_bus",)
    assert changed(edited, fresh("teams_own_bus")) == ("teams_own_bus",)
    assert changed(before, before) == ()
