"""Recognising repetitions."""

from pathlib import Path

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
