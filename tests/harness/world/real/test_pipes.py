"""Pipes between harness and hosts: nothing is lost, cut wrongly, or kept beyond its bound."""

import os
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from harness.world.real.host_process import how_it_ended
from harness.world.real.pipes import BoundedLog, LineSplitter, PipeReader
from harness.world.real.secrets_mask import masked


@given(st.lists(st.binary(max_size=8).map(lambda data: data.replace(b"x", b"\n"))))
def test_lines_do_not_depend_on_how_the_stream_was_cut(chunks: list[bytes]) -> None:
    """However the bytes arrive, the complete lines and the unfinished rest are those of the whole."""
    splitter = LineSplitter()
    lines = [line for chunk in chunks for line in splitter.feed(chunk)]
    assert [*lines, splitter.rest] == b"".join(chunks).split(b"\n")


async def test_close_hands_over_what_is_in_the_pipe_and_does_not_wait_for_writers() -> None:
    """A writer that lives on does not keep `close` from returning, with everything written so far."""
    got: list[bytes] = []
    reader = PipeReader(got.append)
    os.write(reader.write_end, b"abc" * 10_000)
    reader.close()
    reader.close()
    assert b"".join(got) == b"abc" * 10_000
    reader.release_write_end()


async def test_an_error_of_the_reader_is_kept_and_ends_its_reading() -> None:
    """What comes after the error is drained, lest the writer block, and dropped."""
    got: list[bytes] = []

    def feed(data: bytes) -> None:
        got.append(data)
        raise ValueError("no")

    reader = PipeReader(feed)
    os.write(reader.write_end, b"a")
    reader.drain()
    os.write(reader.write_end, b"b")
    reader.drain()
    assert got == [b"a"]
    assert isinstance(reader.error, ValueError)
    reader.release_write_end()
    reader.close()


def test_a_log_is_bounded_over_all_its_openings(tmp_path: Path) -> None:
    """Restarts append to the same file; together they stay within the bound, and what is missing is counted."""
    path = tmp_path / "a.log"
    for _ in range(3):
        log = BoundedLog(path, bytes_max=100)
        log.feed(b"x" * 59)
        log.feed(b"\nunfinished")
        log.close()
    text = path.read_text()
    assert text.startswith("x" * 59 + "\nunfinished\n" + "x" * 29 + "... 42 bytes more were not kept\n")
    assert len(text) < 250


def test_a_credential_cut_in_two_by_the_pipe_is_masked(tmp_path: Path) -> None:
    """A line is masked as a whole, whatever the reads were."""
    log = BoundedLog(tmp_path / "a.log", bytes_max=1000)
    for part in (b"at redis://user:hun", b"ter2@db:1", b"/0\nnext"):
        log.feed(part)
    log.close()
    assert (tmp_path / "a.log").read_text() == "at redis://***@db:1/0\nnext\n"


def test_masking_keeps_everything_else() -> None:
    """Credentials and secret query values go; hosts, plain addresses and mail addresses stay."""
    assert masked("redis://:p@h:1/0 and rediss://u:p%40x@h") == "redis://***@h:1/0 and rediss://***@h"
    assert masked("http://h/o?symbol=X&signature=abc&apiKey=k") == "http://h/o?symbol=X&signature=***&apiKey=***"
    assert masked("http://h/a@b mail a@b.c redis://h:1") == "http://h/a@b mail a@b.c redis://h:1"


def test_how_a_host_ended_follows_from_what_was_asked_and_the_exit_code() -> None:
    """The table of `host_process.py`, row by row."""
    table = {
        ("kill", -9): "killed",
        ("kill", 0): "finished",
        ("kill", 1): "failed",
        ("stop", 0): "stopped",
        ("stop", 1): "failed",
        ("stop", -9): "failed",
        ("", 0): "finished",
        ("", 1): "failed",
        ("", -9): "failed",
    }
    assert {case: how_it_ended(*case) for case in table} == table
