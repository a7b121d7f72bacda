"""Recognising repetitions."""

import asyncio
import sqlite3
import threading
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
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


async def test_saved_marks_are_loaded_per_group(tmp_path: Path) -> None:
    """A restarted consumer knows what its own group handled, and only that."""
    path = tmp_path / "w.sqlite3"
    file = WatermarkFile(path)
    marks = Watermarks("g")
    marks.handled(EventKey("p", 1, 5), "a")
    marks.handled(EventKey("p", 1, 6), "b")
    await file.save(marks.changed())
    marks.saved()
    assert list(marks.changed()) == []
    await file.close()
    again = WatermarkFile(path)
    assert {Mark("g", "p", "a", 1, 5), Mark("g", "p", "b", 1, 6)} == set(await again.load("g"))
    assert await again.load("other") == []
    await again.close()


async def test_groups_that_save_at_once_share_a_commit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """While a commit is under way others gather, and the next commit takes them all; each is on disk when told so."""
    file = WatermarkFile(tmp_path / "w.sqlite3")
    await file.load("g0")
    began, go_on = threading.Event(), threading.Event()
    commits: list[int] = []
    save = WatermarkFile._save

    def slow(self: WatermarkFile, marks: Sequence[Mark]) -> None:
        commits.append(len(marks))
        began.set()
        assert go_on.wait(10)
        save(self, marks)

    monkeypatch.setattr(WatermarkFile, "_save", slow)
    saves = [asyncio.ensure_future(file.save([Mark("g0", "p", "a", 1, 1)]))]
    await asyncio.to_thread(began.wait, 10)
    groups = range(1, 21)
    saves += [asyncio.ensure_future(file.save([Mark(f"g{group}", "p", "a", 1, 1)])) for group in groups]
    await asyncio.sleep(0)
    go_on.set()
    await asyncio.gather(*saves)
    assert commits == [1, 20]
    for group in groups:
        assert await file.load(f"g{group}") == [Mark(f"g{group}", "p", "a", 1, 1)]
    await file.close()


async def test_a_failed_commit_fails_all_who_shared_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody is told of a commit that did not happen, and the file goes on working afterwards."""
    file = WatermarkFile(tmp_path / "w.sqlite3")

    def full(*_: object) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    with monkeypatch.context() as broken:
        broken.setattr(WatermarkFile, "_save", full)
        saves = [file.save([Mark(group, "p", "a", 1, 1)]) for group in "gh"]
        outcomes = await asyncio.gather(*saves, return_exceptions=True)
    assert [sqlite3.OperationalError] * 2 == [type(outcome) for outcome in outcomes]
    await file.save([Mark("g", "p", "a", 1, 2)])
    assert await file.load("g") == [Mark("g", "p", "a", 1, 2)]
    await file.close()


@pytest.mark.parametrize("count", [1, 2, 16, 17, 40])
async def test_any_number_of_marks_is_committed(tmp_path: Path, count: int) -> None:
    """Few marks go as one statement, many as a transaction."""
    file = WatermarkFile(tmp_path / "w.sqlite3")
    marks = [Mark("g", "p", f"t{number:02d}", 1, number) for number in range(count)]
    await file.save(marks)
    assert sorted(await file.load("g")) == marks
    await file.close()
