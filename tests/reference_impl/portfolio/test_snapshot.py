"""The snapshot file: the old one or the new one, never something else."""

import errno

import pytest

from reference_impl._portfolio import snapshot
from reference_impl._portfolio.errors import StorageError
from reference_impl._portfolio.snapshot import SnapshotFile

STATE = {"seq": 3, "fees": {"USDT": "0.1"}}


@pytest.fixture
def file(tmp_path):
    """One that is not there yet."""
    return SnapshotFile(tmp_path / "p.snapshot")


async def test_what_is_saved_is_loaded(file):
    """Without any problem; before that, there is none."""
    assert await file.load() is None
    await file.save(STATE)
    assert await file.load() == STATE
    assert file.problem == ""
    assert [one.name for one in file.path.parent.iterdir()] == ["p.snapshot"]


@pytest.mark.parametrize("step", ["_write", "_sync_directory", "replace"])
async def test_a_failure_at_any_step_leaves_a_whole_file(file, monkeypatch, step):
    """The old one, or the new one if that was in its place already; and the error is typed."""
    await file.save(STATE)

    def fail(*_):
        raise OSError(errno.ENOSPC, "no space")

    if step == "replace":
        monkeypatch.setattr(type(file.path), "replace", fail)
    else:
        monkeypatch.setattr(snapshot, step, fail)
    with pytest.raises(StorageError, match="no space"):
        await file.save({"seq": 4})
    monkeypatch.undo()
    assert await file.load() in (STATE, {"seq": 4})


async def test_any_byte_missing_or_changed_is_noticed(file):
    """At every place: cut off there, or one bit turned. The file is set aside, and says why."""
    await file.save(STATE)
    content = file.path.read_bytes()
    for at in range(len(content)):
        for damaged in (content[:at], content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :]):
            if SnapshotFile.decode(damaged) is not None:
                assert damaged.rstrip(b"\n") == content.rstrip(b"\n")  # only the last line end is beyond the checksum
    file.path.write_bytes(content[:-5])
    assert await file.load() is None
    assert file.problem == "it is damaged"
    assert [one.name for one in file.path.parent.iterdir()] == ["p.snapshot.damaged"]


async def test_a_file_that_cannot_be_read_is_none(file):
    """A directory of that name, say."""
    file.path.mkdir()
    assert await file.load() is None
    assert "cannot be read" in file.problem
