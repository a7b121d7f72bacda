"""Cutting an append-only file where it was a moment before the crash."""

from harness.dependencies.redis import aof
from harness.dependencies.redis.resp import bulks

FIRST = b"#TS:100\r\n" + bulks((b"SET", b"k", b"#TS:999\r\n*3\r\n"))
SECOND = b"#TS:101\r\n" + bulks((b"INCR", b"n")) + bulks((b"INCR", b"n"))
THIRD = b"#TS:105\r\n" + bulks((b"INCR", b"m"))


def test_commands_of_that_second_and_later_go():
    """The cut is at the annotation; one that is inside a payload is none."""
    content = FIRST + SECOND + THIRD
    assert aof.offset_of(content, 101) == len(FIRST)
    assert aof.offset_of(content, 102) == len(FIRST + SECOND)
    assert aof.offset_of(content, 100) == 0


def test_rare_writes_of_long_ago_stay():
    """What is older than the window is on disk, even if it is the last thing written."""
    content = FIRST + SECOND
    assert aof.offset_of(content, 900) == len(content)


def test_a_torn_command_is_not_there():
    """A command cut off by the crash does not count, wherever it is cut."""
    for size in range(1, len(THIRD) - len(b"#TS:105\r\n")):
        assert aof.offset_of(FIRST + THIRD[:-size], 900) <= len(FIRST) + len(b"#TS:105\r\n")


def test_files_are_cut_in_order(tmp_path):
    """Everything after the cut goes, in later files too."""
    (tmp_path / "appendonly.aof.1.incr.aof").write_bytes(FIRST + SECOND)
    (tmp_path / "appendonly.aof.2.incr.aof").write_bytes(THIRD)
    (tmp_path / "appendonly.aof.1.base.rdb").write_bytes(b"REDIS")
    lost = aof.lose_since(tmp_path, 101)
    assert lost == len(SECOND + THIRD)
    assert [path.read_bytes() for path in aof.incremental_files(tmp_path)] == [FIRST, b""]
    assert (tmp_path / "appendonly.aof.1.base.rdb").read_bytes() == b"REDIS"
