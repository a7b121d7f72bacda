"""The padding that keeps a real server loading: where it goes, and that nothing is left of it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.dependencies.redis import loading
from harness.errors import WorldError

NUMBERS = st.lists(st.integers(1, 10_000), min_size=1, max_size=5, unique=True).map(sorted)
OTHERS = st.lists(st.sampled_from(["file a.1.base.rdb seq 1 type b", "file a.3.incr.aof seq 3 type h", ""]), max_size=3)


def incremental(number: int) -> str:
    return f"file a.{number}.incr.aof seq {number} type i"


@given(NUMBERS, OTHERS)
def test_the_padding_comes_first_and_numbers_still_ascend(numbers, others):
    """Servers refuse a manifest whose incremental files do not ascend from 1; the files keep their order."""
    changed = loading.with_padding([*others, *map(incremental, numbers)])
    files = [line.split() for line in changed if line.endswith(" i")]
    assert [words[1] for words in files] == ["loading-padding", *(f"a.{number}.incr.aof" for number in numbers)]
    sequence = [int(words[3]) for words in files]
    assert sequence == sorted(set(sequence))
    assert sequence[0] >= 1
    assert [line for line in changed if not line.endswith(" i")] == others


def test_a_manifest_without_incremental_files_is_named():
    """There is nothing that the padding could come before."""
    with pytest.raises(WorldError, match="no incremental file"):
        loading.with_padding(["file a.1.base.rdb seq 1 type b"])


def test_a_server_without_files_cannot_load(tmp_path):
    """It was never started, or somebody removed them."""
    with pytest.raises(WorldError, match="no append-only file"):
        loading.prolong(tmp_path, "aof")


def test_what_was_prolonged_is_shortened(tmp_path):
    """The padding's file and its line are gone, the rest of the manifest is there; doing it twice does no harm."""
    files = tmp_path / "appendonlydir"
    files.mkdir()
    manifest = files / "appendonly.aof.manifest"
    manifest.write_text("file a.1.base.rdb seq 1 type b\nfile a.1.incr.aof seq 1 type i\n")
    assert "--key-load-delay" in loading.prolong(tmp_path, "aof")
    assert sorted(path.name for path in files.iterdir()) == ["appendonly.aof.manifest", "loading-padding"]
    for _ in range(2):
        loading.shorten(tmp_path)
        assert [path.name for path in files.iterdir()] == ["appendonly.aof.manifest"]
        assert manifest.read_text() == "file a.1.base.rdb seq 1 type b\nfile a.1.incr.aof seq 2 type i\n"


def test_without_persistence_the_padding_is_an_rdb_file(tmp_path):
    """The server is told its name, and it goes the same way."""
    arguments = loading.prolong(tmp_path, "none")
    name = arguments[arguments.index("--dbfilename") + 1]
    assert (tmp_path / name).read_bytes().startswith(b"REDIS0009")
    loading.shorten(tmp_path)
    assert list(tmp_path.iterdir()) == []
