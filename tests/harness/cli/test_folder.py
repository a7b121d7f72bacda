"""The run folder: new for every command, with `latest` beside it."""

import re
from datetime import datetime
from pathlib import Path

import pytest

from harness.cli.folder import make_run_folder, point_latest
from harness.errors import UsageError


def test_a_folder_is_named_by_time_and_never_shared(tmp_path):
    """UTC to the second and a random part, so that two commands of one second do not meet."""
    folders = [make_run_folder(tmp_path / "deep" / "out") for _ in range(3)]

    assert len({folder.path for folder in folders}) == 3
    for folder in folders:
        assert folder.path.is_dir()
        assert re.fullmatch(r"\d{8}T\d{6}Z-[0-9a-f]{6}", folder.path.name)
        assert datetime.fromisoformat(folder.started_utc).strftime("%Y%m%dT%H%M%SZ") == folder.path.name[:16]


def test_latest_moves_to_the_newest(tmp_path):
    """The link is relative, so that the out folder can be copied elsewhere, and replaced in one step."""
    for _ in range(2):
        newest = make_run_folder(tmp_path)
        point_latest(newest)

    assert (tmp_path / "latest").readlink() == Path(newest.path.name)
    assert len(list(tmp_path.iterdir())) == 3


def test_something_else_called_latest_is_left_alone(tmp_path):
    """A folder by that name is somebody's; there is simply no link then, and nothing half-made beside it."""
    (tmp_path / "latest").mkdir()
    folder = make_run_folder(tmp_path)
    point_latest(folder)

    assert not (tmp_path / "latest").is_symlink()
    assert {path.name for path in tmp_path.iterdir()} == {"latest", folder.path.name}


def test_a_file_in_the_way_is_the_persons_error(tmp_path):
    """The out folder is named, with the system's reason."""
    (tmp_path / "out").touch()

    with pytest.raises(UsageError, match=rf"cannot write to the out folder {tmp_path}/out: Not a directory"):
        make_run_folder(tmp_path / "out")
