"""The file: whatever is done to it, what is read back is what was written, or a trip."""

import shutil
import sqlite3
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from harness.tape import Stream
from harness.world.damage import DAMAGES, damage
from reference_impl._ess import store as store_module
from reference_impl._ess.files import Files
from reference_impl._ess.machine import ArmAsked, MetricsSeen, StopDone, TripAsked, decide
from reference_impl._ess.model import Incident, Limits, Standing, State
from reference_impl._ess.store import Commit, Store

LIMITS = Limits()
DAY = (MetricsSeen(0.0, 0.0), ArmAsked("alice", "start of day"), TripAsked("bob", "drill"), StopDone(""))


def lived(directory, events=DAY):
    """A store that these events were written to; return it, still open, and where it stands."""
    store = Store(Files(directory, "desk"))
    standing = store.open().standing
    for event in events:
        happened = StopDone(standing.trip) if isinstance(event, StopDone) else event
        decision = decide(standing, happened, 0.0, LIMITS)
        standing = decision.standing
        if decision.transition is not None:
            if standing.state is State.TRIPPED:
                store.forbid()
            store.commit([Commit(standing=standing, transition=decision.transition)])
    return store, standing


def reopened(directory):
    """What the next process finds."""
    store = Store(Files(directory, "desk"))
    opened = store.open()
    trail = [row.target for row in store.trail()]
    store.close()
    return opened, trail


@pytest.mark.parametrize("length", range(len(DAY) + 1))
def test_it_is_found_as_it_was_left(tmp_path, length) -> None:
    """After each event: where it stands, the trail, and who has not heard."""
    store, standing = lived(tmp_path, DAY[:length])
    written = store.trail()
    store.close()
    opened, trail = reopened(tmp_path)
    assert opened.missed is None
    assert opened.standing.saved() == standing.saved()
    assert trail == [row.target for row in written] == [row.target for row in opened.unheard]


def test_what_was_heard_is_not_told_again(tmp_path) -> None:
    """It stays in the trail."""
    store, _ = lived(tmp_path)
    store.heard(1)
    store.close()
    opened, trail = reopened(tmp_path)
    assert [row.number for row in opened.unheard] == [2, 3]
    assert len(trail) == 3


@pytest.mark.parametrize("mode", DAMAGES)
@given(seed=st.integers(0, 10_000))
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_damage_is_found_or_harmless(tmp_path, mode, seed) -> None:
    """Wherever it hits the file: what is read is what was written, or it is set aside and a trip is due."""
    shutil.rmtree(tmp_path)
    store, standing = lived(tmp_path)
    written = store.trail()
    store.close()
    damage(tmp_path, "desk.ess.sqlite3*", mode, Stream("damage", seed, {}))
    opened, trail = reopened(tmp_path)
    if opened.missed is None:
        assert opened.standing.saved() == standing.saved()
        assert trail == [row.target for row in written]
    else:
        assert opened.standing.origin != standing.origin
        assert list(tmp_path.glob("*.unreadable-1")) or mode == "removed"
        again, _ = reopened(tmp_path)  # it died before it could write the trip down
        assert again.missed is not None


def test_an_edited_standing_is_found(tmp_path) -> None:
    """SQLite sees nothing wrong with a person's UPDATE; the digest does."""
    store, _ = lived(tmp_path)
    store.close()
    with sqlite3.connect(tmp_path / "desk.ess.sqlite3") as db:
        db.execute("UPDATE standing SET body = replace(body, 'COOLING_DOWN', 'ARMED')")
    db.close()
    assert "ValueError" in str(reopened(tmp_path)[0].missed)


@pytest.mark.parametrize(
    "change",
    [
        "DELETE FROM transitions WHERE number = 1",
        "DELETE FROM transitions WHERE number = 3",
        "UPDATE transitions SET body = replace(body, 'drill', 'thrill')",
        "DELETE FROM standing",
        "DROP TABLE outbox",
        "DROP TABLE nonces",
        "UPDATE incidents SET body = '{'",
    ],
)
def test_a_changed_trail_is_found(tmp_path, change) -> None:
    """A row less, a row changed, a table less."""
    store, _ = lived(tmp_path)
    store.note([Incident(kind="refused_call", actor="", detail="x")])
    store.close()
    with sqlite3.connect(tmp_path / "desk.ess.sqlite3") as db:
        db.execute(change)
    db.close()
    assert reopened(tmp_path)[0].missed is not None


def test_each_lost_file_is_kept(tmp_path) -> None:
    """Under a number of its own."""
    for number in (1, 2):
        lived(tmp_path)[0].close() if number == 1 else None
        (tmp_path / "desk.ess.sqlite3").write_bytes(b"no database %d" % number)
        assert reopened(tmp_path)[0].missed is not None
        assert (tmp_path / f"desk.ess.sqlite3.unreadable-{number}").read_bytes() == b"no database %d" % number


def test_a_missed_trip_is_found(tmp_path) -> None:
    """The permit is gone, and the file tells of another state: a trip could not be written."""
    store, _ = lived(tmp_path, DAY[:2])
    store.forbid()
    store.close()
    opened, _ = reopened(tmp_path)
    assert (opened.standing.state, opened.missed) == (
        State.ARMED,
        "a trip could not be written down before the restart",
    )


def test_only_one_process_has_it(tmp_path) -> None:
    """A second one is refused, and does not take the file for damaged."""
    store, _ = lived(tmp_path)
    second = Store(Files(tmp_path, "desk"))
    with pytest.raises(sqlite3.OperationalError, match="locked"):
        second.open()
    second.close()
    store.close()
    assert reopened(tmp_path)[0].missed is None


def test_a_full_disk_is_no_obstacle_to_starting(tmp_path, disk) -> None:
    """Nothing is written into a file that is sound."""
    store, standing = lived(tmp_path)
    store.close()
    disk.fill()
    opened, _ = reopened(tmp_path)
    assert (opened.missed, opened.standing.saved()) == (None, standing.saved())


def test_a_commit_is_all_or_nothing(tmp_path, disk) -> None:
    """One that the disk refuses leaves no row, and the next one takes its number."""
    store, standing = lived(tmp_path)
    decision = decide(standing, TripAsked("bob", "again"), 0.0, LIMITS)
    disk.fill()
    with pytest.raises(sqlite3.OperationalError):
        store.commit([Commit(standing=decision.standing, transition=decision.transition)])
    disk.free()
    store.commit([Commit(standing=decision.standing, transition=decision.transition)])
    store.close()
    opened, trail = reopened(tmp_path)
    assert opened.standing.trip == decision.standing.trip
    assert len(trail) == 4


def test_incidents_and_ids_are_bounded(tmp_path, monkeypatch) -> None:
    """The newest stay; one operator's ids push out none of another's."""
    monkeypatch.setattr(store_module, "INCIDENTS_KEPT", 5)
    monkeypatch.setattr(store_module, "NONCES_KEPT", 3)
    store, _ = lived(tmp_path)
    assert store.use_nonce("bob", "b-1")
    for number in range(20):
        store.note([Incident(kind="refused_call", actor="", detail=str(number))])
        assert store.use_nonce("alice", f"a-{number}")
        assert not store.use_nonce("alice", f"a-{number}")
    assert [one.detail for one in store.incidents()] == ["15", "16", "17", "18", "19"]
    assert [store.use_nonce("alice", f"a-{number}") for number in (19, 18)] == [False, False]
    assert not store.use_nonce("bob", "b-1")
    assert store.use_nonce("alice", "a-1")
    store.close()


def test_ids_survive_a_restart(tmp_path) -> None:
    """A replay is one also for the next process."""
    store, _ = lived(tmp_path)
    store.use_nonce("alice", "request-1")
    store.close()
    again = Store(Files(tmp_path, "desk"))
    again.open()
    assert not again.use_nonce("alice", "request-1")
    again.close()


def test_a_standing_says_what_it_saves() -> None:
    """All but what belongs to one process."""
    standing = Standing(origin="o", number=3)
    assert Standing(**replace(standing, since=5.0).saved()) == standing
