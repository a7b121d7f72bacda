"""Fixtures of the sim world's tests."""

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest


@pytest.fixture(scope="session")
def fakes() -> ModuleType:
    """The module `fake_machine` of this directory (test directories are no packages)."""
    spec = importlib.util.spec_from_file_location("sim_fake_machine", Path(__file__).with_name("fake_machine.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def machine(fakes: ModuleType, tmp_path: Path):
    """A machine without a loop, whose disk is `tmp_path / "disk"`."""
    disk = tmp_path / "disk"
    disk.mkdir()
    return fakes.FakeMachine(disk=str(disk))
