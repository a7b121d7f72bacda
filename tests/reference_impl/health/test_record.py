"""What was: bounded, durable, and no reason to fail."""

import json
import logging
from pathlib import Path

import pytest

from reference_impl._health import record as record_module
from reference_impl._health.alerts import Told
from reference_impl._health.model import Alert, Change, State
from reference_impl._health.record import Record, load, save

H, C = State.HEALTHY, State.CRITICAL


def alert(number: int) -> Alert:
    """Return an alert."""
    return Alert(
        id=f"risk-{number}", service="risk", kind="down", state=C, reason="timeout", affected=("bot",), at=1.5 + number
    )


def filled(limit: int = 10, count: int = 3) -> Record:
    """Return a record of so many changes and alerts."""
    record = Record(limit)
    for number in range(count):
        record.changed(Change("risk", H, C, "timeout", 7.0), 1_000.0 + number)
        record.alerted(alert(number))
    record.told = {"risk": Told(C, count)}
    return record


def test_the_record_survives(tmp_path: Path) -> None:
    """What is saved is what is loaded."""
    path = tmp_path / "health.json"
    before = filled()
    save(path, before.encode())
    after = Record(10)
    load(path, after)
    assert (after.changes, after.alerts, after.told) == (before.changes, before.alerts, before.told)
    assert after.changes[0] == {
        "at": 1_000.0,
        "service": "risk",
        "from": "HEALTHY",
        "to": "CRITICAL",
        "reason": "timeout",
    }
    assert after.alerts[0]["affected"] == ["bot"]
    assert [one.name for one in tmp_path.iterdir()] == ["health.json"]


def test_the_record_is_bounded() -> None:
    """The oldest goes, of what is loaded as well."""
    record = filled(limit=3, count=10)
    assert [one["id"] for one in record.alerts] == ["risk-7", "risk-8", "risk-9"]
    smaller = Record(2)
    smaller.restore(record.encode())
    assert [one["id"] for one in smaller.alerts] == ["risk-8", "risk-9"]
    assert len(smaller.changes) == 2


def test_without_a_file_it_begins_empty(tmp_path: Path, caplog) -> None:
    """That is no error."""
    record = Record(10)
    load(tmp_path / "none.json", record)
    assert (len(record.changes), record.told, caplog.records) == (0, {}, [])


def _with(**changed: object) -> bytes:
    return json.dumps({**json.loads(filled().encode()), **changed}).encode()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"\xff\x00",
        b"[]",
        b"null",
        b"{}",
        b"[" * 100_000,
        filled().encode()[:-20],
        _with(version=2),
        _with(told={"risk": ["WRONG", 1]}),
        _with(told={"risk": ["CRITICAL"]}),
        _with(told=[1]),
        _with(changes=[{"at": 1.0}]),
        _with(changes=[{"at": float("nan"), "service": "a", "reason": "", "from": "HEALTHY", "to": "CRITICAL"}]),
        _with(changes=[{"at": 1.0, "service": ["a"], "reason": "", "from": "HEALTHY", "to": "CRITICAL"}]),
        _with(alerts=7),
    ],
)
def test_a_damaged_file_is_set_aside(tmp_path: Path, caplog, content: bytes) -> None:
    """Nothing of it is taken, it is reported without its content, and kept for a person to look at."""
    path = tmp_path / "health.json"
    path.write_bytes(content)
    record = Record(10)
    with caplog.at_level(logging.ERROR):
        load(path, record)
    assert (len(record.changes), len(record.alerts), record.told) == (0, 0, {})
    assert [one.name for one in tmp_path.iterdir()] == ["health.json.damaged"]
    assert "damaged" in caplog.text


def test_a_file_that_cannot_be_read_is_left(tmp_path: Path, caplog) -> None:
    """It may be readable again tomorrow."""
    path = tmp_path / "health.json"
    path.mkdir()
    load(path, Record(10))
    assert path.exists()
    assert "cannot be read" in caplog.text


def test_a_failed_save_leaves_the_old_file(tmp_path: Path, monkeypatch) -> None:
    """As with a full disk, or a crash in the midst of it."""
    path = tmp_path / "health.json"
    save(path, b"old")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(record_module.os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        save(path, b"new")
    assert path.read_bytes() == b"old"
