"""Recognising repetitions."""

import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reference_impl._event_bus.encoding import EventKey
from reference_impl._event_bus.watermarks import Mark, WatermarkFile, Watermarks

KEYS = st.builds(EventKey, st.sampled_from(["p", "q"]), st.integers(1, 2), st.integers(1, 4))


@given(stream=st.lists(st.tuples(KEYS, st.sampled_from(["a", "b"])), max_size=30))
def test_what_passes_is_strictly_increasing_per_producer_and_type(stream: list[tuple[EventKey, str]]) -> None:
    """Nothing passes twice, nothing passes out of order, and what is above all before always passes."""
    marks = Watermarks("g")
    passed: dict[tuple[str, str], list[tuple[int, int]]] = {}
    for key, event_type in stream:
        before = passed.setdefault((key.producer, event_type), [])
        fresh = all(earlier < (key.epoch, key.seq) for earlier in before)
        assert fresh is not marks.is_duplicate(key, event_type)
        if fresh:
            marks.handled(key, event_type)
            before.append((key.epoch, key.seq))


def test_a_new_epoch_is_above_any_sequence_number() -> None:
    """A restarted publisher counts from 1 again and is still above its predecessor."""
    marks = Watermarks("g", [Mark("g", "p", "a", 1, 1_000)])
    assert not marks.is_duplicate(EventKey("p", 2, 1), "a")
    assert marks.is_duplicate(EventKey("p", 1, 1_000), "a")


def reopened(path: Path, group: str) -> set[Mark]:
    """Return what a process that comes after finds of a group."""
    file = WatermarkFile(path)
    found = file.load(group)
    file.close()
    assert len(set(found)) == len(found)
    return set(found)


def test_saved_marks_are_loaded_per_group(tmp_path: Path) -> None:
    """A restarted consumer knows what its own group handled, and only that."""
    path = tmp_path / "w"
    file = WatermarkFile(path)
    marks = Watermarks("g")
    marks.handled(EventKey("p", 1, 5), "a")
    marks.handled(EventKey("p", 1, 6), "b")
    file.save(marks.changed())
    marks.saved()
    assert list(marks.changed()) == []
    file.close()
    assert {Mark("g", "p", "a", 1, 5), Mark("g", "p", "b", 1, 6)} == reopened(path, "g")
    assert reopened(path, "other") == set()


def test_a_saved_mark_needs_no_close(tmp_path: Path) -> None:
    """A process that is killed right after `save` has lost nothing; nor has a subscription that is made again."""
    path = tmp_path / "w"
    file = WatermarkFile(path)
    file.save([Mark("g", "p", "a", 1, 1)])
    file.save([Mark("g", "p", "a", 1, 2)])
    assert reopened(path, "g") == {Mark("g", "p", "a", 1, 2)} == set(file.load("g"))
    file.close()


NAMES = st.text(st.characters(codec="utf-8"), max_size=8)
MARKS = st.builds(Mark, NAMES, st.sampled_from(["p", "q"]), NAMES, st.integers(0, 2**64 - 1), st.integers(0, 2**64 - 1))


@settings(deadline=None)  # files
@given(batches=st.lists(st.lists(MARKS, max_size=4), max_size=8), reopen=st.booleans())
def test_the_last_mark_of_each_key_is_found(
    batches: list[list[Mark]], reopen: bool, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Whatever the names and numbers are, and whether one process wrote them or several, the last save counts."""
    path = tmp_path_factory.mktemp("marks") / "w"
    last: dict[tuple[str, str, str], tuple[int, int]] = {}
    file = WatermarkFile(path)
    for batch in batches:
        rising: list[Mark] = []
        for mark in batch:
            if mark[3:] > last.get(mark[:3], (-1, -1)):
                rising.append(mark)
                last[mark[:3]] = mark[3:]
        file.save(rising)
        if reopen:
            file.close()
            file = WatermarkFile(path)
    file.close()
    file = WatermarkFile(path)
    assert {mark[:3]: mark[3:] for group in {key[0] for key in last} for mark in file.load(group)} == last
    file.close()


@settings(deadline=None)  # files
@given(
    steps=st.lists(st.tuples(st.sampled_from("abc"), st.integers(1, 3)), min_size=1, max_size=12),
    kept=st.floats(0, 1, exclude_max=True),
    noise=st.booleans(),
)
def test_a_write_that_power_cut_short_costs_no_other_mark(
    steps: list[tuple[str, int]], kept: float, noise: bool, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """If the last write reached the disk in part or as garbage, everything before it is found, and goes on to work."""
    path = tmp_path_factory.mktemp("marks") / "w"
    file = WatermarkFile(path)
    seqs: dict[str, int] = {}
    before, found_before = b"", set[Mark]()
    for event_type, rise in steps:
        before, found_before = path.read_bytes() if path.exists() else b"", set(file.load("g"))
        seqs[event_type] = seqs.get(event_type, 0) + rise
        file.save([Mark("g", "p", event_type, 1, seqs[event_type])])
    file.close()
    after = path.read_bytes()
    changed = [at for at, byte in enumerate(after) if at >= len(before) or byte != before[at]]
    torn = bytearray(after if len(after) == len(before) else after[: len(before) + int(kept * len(changed))])
    for at in changed[int(kept * len(changed)) :]:
        if at < len(before):
            torn[at] = after[at] ^ 0xFF if noise else before[at]
    path.write_bytes(torn)
    last = Mark("g", "p", steps[-1][0], 1, seqs[steps[-1][0]])
    assert reopened(path, "g") in (found_before, {mark for mark in found_before if mark[2] != last[2]} | {last})
    file = WatermarkFile(path)
    file.save([last, Mark("g", "p", "new", 1, 1)])
    file.close()
    expected = {mark for mark in found_before if mark[2] != last[2]} | {last, Mark("g", "p", "new", 1, 1)}
    assert reopened(path, "g") == expected


def test_a_refused_write_raises_and_is_made_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody is told of a mark that was not written, refused or in part, and the file goes on working afterwards."""
    path = tmp_path / "w"
    file = WatermarkFile(path)
    file.save([Mark("g", "p", "a", 1, 1)])
    write = os.pwrite
    with monkeypatch.context() as full:
        full.setattr(os, "pwrite", lambda handle, data, place: write(handle, data[: len(data) // 2], place))
        for mark in (Mark("g", "p", "a", 1, 2), Mark("g", "p", "b", 1, 1)):
            with pytest.raises(OSError, match="only in part"):
                file.save([mark])
    assert reopened(path, "g") == {Mark("g", "p", "a", 1, 1)} == set(file.load("g"))
    file.save([Mark("g", "p", "a", 1, 2), Mark("g", "p", "b", 1, 1)])
    file.close()
    assert reopened(path, "g") == {Mark("g", "p", "a", 1, 2), Mark("g", "p", "b", 1, 1)}


def test_a_file_that_is_something_else_is_not_believed(tmp_path: Path) -> None:
    """Bytes that are no slots give no marks, and the file is used from its beginning."""
    path = tmp_path / "w"
    path.write_bytes(b"SQLite format 3\0" * 20)
    assert reopened(path, "g") == set()
    file = WatermarkFile(path)
    file.save([Mark("g", "p", "a", 1, 1)])
    file.close()
    assert reopened(path, "g") == {Mark("g", "p", "a", 1, 1)}
