"""Fixtures of the sim world's tests."""

import importlib.util
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from harness.world.sim.sink import MemorySink


def _module(name: str) -> ModuleType:
    """Load a module of this directory (test directories are no packages)."""
    spec = importlib.util.spec_from_file_location(f"sim_{name}", Path(__file__).with_name(f"{name}.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look there
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def fakes() -> ModuleType:
    """The module `fake_machine`."""
    return _module("fake_machine")


@pytest.fixture(scope="session")
def linked() -> ModuleType:
    """The module `linked`."""
    return _module("linked")


@pytest.fixture
def machine(fakes: ModuleType, tmp_path: Path):
    """A machine without a loop, whose disk is `tmp_path / "disk"`."""
    disk = tmp_path / "disk"
    disk.mkdir()
    return fakes.FakeMachine(disk=str(disk))


@pytest.fixture
def sink() -> MemorySink:
    """Where the runs of this test are recorded."""
    return MemorySink()


@pytest.fixture
def run(linked: ModuleType, tmp_path: Path, sink: MemorySink) -> Callable[[Callable[[Any], Awaitable[Any]]], Any]:
    """Run a director on a world with one host and one dependency; return its result."""
    return lambda director: linked.run_linked(director, tmp_path, sink=sink).result
