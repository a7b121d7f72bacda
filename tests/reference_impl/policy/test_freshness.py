"""Age, staleness and the hard limit, against a small model of their own; the snapshot, byte for byte."""

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reference_impl._policy import clock, snapshot
from reference_impl._policy.document import Update
from reference_impl._policy.errors import DocumentError
from reference_impl._policy.freshness import Freshness
from reference_impl._policy.keeper import Keeper
from reference_impl._policy.merge import apply
from reference_impl._policy.snapshot import State


def document(version, profile="AGGRESSIVE", **sets):
    return apply(None, Update("w", version, {"profile": profile, **sets}, {}), version)


def test_it_grows_stale_then_defensive_and_fresh_again() -> None:
    """The limits themselves are not passed yet."""
    fresh = Freshness(600.0, 900.0)
    fresh.confirmed(document(1), 100.0)
    said = {now: (fresh.view(now).stale, fresh.view(now).defensive) for now in (100, 700, 700.1, 1_000, 1_000.1)}
    assert said == {
        100: (False, False),
        700: (False, False),
        700.1: (True, False),
        1_000: (True, False),
        1_000.1: (True, True),
    }
    assert fresh.view(1_000.1).limits.leverage == 10
    assert fresh.view(1_000.1).version == 1
    assert not fresh.confirmed(document(1), 1_001.0)
    assert (fresh.view(1_001).limits.leverage, fresh.view(1_001).stale) == (50, False)


def test_defensive_is_not_laxer_than_what_was_known() -> None:
    """A leverage of 3 stays 3."""
    fresh = Freshness(600.0, 900.0)
    fresh.confirmed(document(1, leverage=3), 0.0)
    assert fresh.view(10_000).limits.leverage == 3


def test_a_snapshot_of_another_boot_is_not_relied_on() -> None:
    """Its age is unknown: stale, and DEFENSIVE, with the version it had."""
    fresh = Freshness(600.0, 900.0)
    fresh.loaded(document(4), None)
    view = fresh.view(5.0)
    assert (view.version, view.stale, view.defensive, view.age, view.limits.leverage) == (4, True, True, None, 10)


def test_a_version_below_the_known_one_is_a_defect() -> None:
    """Merging never lets one through."""
    fresh = Freshness(600.0, 900.0)
    fresh.confirmed(document(4), 0.0)
    with pytest.raises(AssertionError):
        fresh.confirmed(document(3), 1.0)


steps = st.lists(
    st.tuples(st.sampled_from(("wait", "confirm", "update", "late")), st.floats(0.1, 500.0, allow_nan=False)),
    max_size=30,
)


@given(steps=steps, loaded=st.sampled_from((None, "unknown", 50.0)))
def test_the_flags_follow_the_last_question_that_was_answered(steps, loaded) -> None:
    """A model that keeps nothing but that instant agrees at every step, late answers included."""
    fresh = Freshness(600.0, 900.0)
    now, version, asked = 1_000.0, 0, None
    if loaded is not None:
        version, asked = 1, None if loaded == "unknown" else now - loaded
        fresh.loaded(document(1), asked)
    for what, by in steps:
        now += by
        if what != "wait":
            version += what == "update" or not version
            at = now - by / 2 if what == "late" else now
            fresh.confirmed(document(version), at)
            asked = at if asked is None else max(at, asked)
        view = fresh.view(now)
        old = None if asked is None else now - asked
        assert view.version == version
        assert view.stale == (old is None or old > 600)
        assert view.defensive == (old is None or old > 900)
        assert view.limits.leverage == (10 if view.defensive else 50)


STATE = State(writer="w-1", reserved=1_000, document=document(7), confirmed_at=12.5, boot="b")


def test_a_snapshot_says_what_was_saved() -> None:
    """All but the stamp for persons."""
    assert snapshot.decode(snapshot.encode(STATE, 1_700_000_000_000)) == STATE


@given(data=st.data())
def test_a_damaged_snapshot_is_never_taken_for_a_whole_one(data) -> None:
    """Cut off anywhere, or with any byte changed: refused, or (in white space of JSON, say) the same."""
    content = snapshot.encode(STATE, 1_700_000_000_000)
    place = data.draw(st.integers(0, len(content) - 1))
    if data.draw(st.booleans()):
        damaged = content[:place]
    else:
        damaged = content[:place] + bytes([content[place] ^ data.draw(st.integers(1, 255))]) + content[place + 1 :]
    try:
        found = snapshot.decode(damaged)
    except DocumentError:
        return
    assert found == STATE


def test_a_crash_while_saving_leaves_the_old_snapshot(tmp_path, monkeypatch) -> None:
    """At each of the calls that make it durable, in their order: file synced, renamed, directory synced."""
    path = tmp_path / "s.policy.json"
    snapshot.save(path, b"old")
    calls = []
    synced, replaced = os.fsync, type(path).replace

    def fsync(number):
        calls.append("directory" if Path(f"/proc/self/fd/{number}").is_dir() else "file")
        synced(number)

    def replace(self, target):
        calls.append("rename")
        return replaced(self, target)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(type(path), "replace", replace)
    snapshot.save(path, b"new")
    assert calls == ["file", "rename", "directory"]
    assert path.read_bytes() == b"new"

    def crash(_number):
        raise OSError("the power is gone")

    monkeypatch.setattr(os, "fsync", crash)
    with pytest.raises(OSError, match="power"):
        snapshot.save(path, b"newer")
    assert path.read_bytes() == b"new"


async def test_numbers_of_updates_are_never_used_twice(tmp_path) -> None:
    """Over restarts they go on behind what was reserved; without the file, the writer has another name."""
    path = tmp_path / "s.policy.json"
    ids = set()
    for _ in range(3):
        keeper = Keeper(path, "s")
        await keeper.load()
        for _ in range(3):
            ids.add(await keeper.number())
    assert len(ids) == 9
    path.write_bytes(b"{")
    keeper = Keeper(path, "s")
    await keeper.load()
    writer, _ = await keeper.number()
    assert writer not in {name for name, _ in ids}
    assert keeper.problem


async def test_the_age_goes_on_over_a_restart_of_the_program_and_not_over_a_boot(tmp_path, monkeypatch) -> None:
    """The clock of the boot is comparable only within it."""
    path = tmp_path / "s.policy.json"
    monkeypatch.setattr(clock, "boot", lambda: "first")
    keeper = Keeper(path, "s")
    await keeper.load()
    await keeper.save(document(2), 123.0)
    again = Keeper(path, "s")
    assert await again.load() == (document(2), 123.0)
    for boot in ("second", ""):
        monkeypatch.setattr(clock, "boot", lambda boot=boot: boot)
        rebooted = Keeper(path, "s")
        assert await rebooted.load() == (document(2), None)
