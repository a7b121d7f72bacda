"""The ledger: what was committed is counted again, once."""

import sqlite3

import pytest

from reference_impl._ai.ledger import Ledger
from reference_impl._ai.rolling import Prediction, Rolling

KEY = ("a", "1")


def prediction(made, source="a"):
    return Prediction(id=f"{made}-{source}", source=source, version="1", made=made, direction=1, confidence=0.6)


@pytest.fixture
def open_ledger(tmp_path):
    """Return what opens the one file, and the records that were in it."""
    opened = []

    def make(**options):
        ledger, rolling = Ledger(tmp_path / "l.sqlite3", **options), Rolling(window=3)
        ledger.open(rolling)
        opened.append(ledger)
        return ledger, rolling

    yield make
    for ledger in opened:
        ledger.close()


def test_records_are_the_same_after_a_restart(open_ledger):
    """Outcomes in disorder, some missing: what was counted is, what waits waits, and `as_of` is the newest."""
    ledger, rolling = open_ledger()
    for made in range(6):
        ledger.store([prediction(made)])
        rolling.predicted(prediction(made))
    for made, at_ms in ((4, 10), (1, 20), (3, 30), (0, 40)):
        ledger.resolve([(prediction(made).id, made - 2)], at_ms)
        rolling.resolve(prediction(made).id, made - 2, at_ms)
    _, again = open_ledger()
    before, after = rolling.record(KEY), again.record(KEY)
    assert (after.hits, after.reward, after.samples) == (before.hits, before.reward, before.samples)
    assert [one.prediction.made for one in after.resolved] == [1, 3, 4]
    assert (after.newest, set(again.waiting)) == (before.newest, set(rolling.waiting))


def test_the_first_outcome_stays(open_ledger):
    """As in memory."""
    ledger, _ = open_ledger()
    ledger.store([prediction(1)])
    ledger.resolve([("1-a", 5)], 10)
    ledger.resolve([("1-a", -5), ("unknown", 1)], 20)
    _, again = open_ledger()
    assert (again.record(KEY).hits, again.record(KEY).as_of_ms) == (1, 10)


def test_predictions_are_stored_once(open_ledger):
    """Given again, they are ignored; asked for by candle, they come in the order they were stored."""
    ledger, _ = open_ledger()
    made = [prediction(7, "b"), prediction(7, "a")]
    ledger.store(made)
    ledger.store(made)
    assert ledger.predictions_of(7) == made
    assert ledger.predictions_of(8) == []


def test_old_rows_go(open_ledger):
    """At the next clean-up after there are more than are kept."""
    ledger, _ = open_ledger(rows_max=50)
    for made in range(1_000):
        ledger.store([prediction(made)])
    (count,) = ledger._db.execute("SELECT COUNT(*) FROM prediction").fetchone()
    assert count == 50
    assert ledger.predictions_of(999)
    assert not ledger.predictions_of(949)


def test_a_failed_commit_leaves_nothing(open_ledger):
    """One bad row takes its whole batch with it."""
    ledger, _ = open_ledger()
    bad = Prediction(id="x", source=None, version="1", made=2, direction=1, confidence=0.6)
    with pytest.raises(sqlite3.IntegrityError):
        ledger.store([prediction(2), bad])
    assert ledger.predictions_of(2) == []
    ledger.store([prediction(2)])
    assert ledger.predictions_of(2) == [prediction(2)]


def test_closed_and_broken_files_are_errors(tmp_path):
    """Of SQLite, which the engine turns into its own."""
    ledger = Ledger(tmp_path / "l.sqlite3")
    ledger.close()
    with pytest.raises(sqlite3.Error):
        ledger.store([prediction(1)])
    (tmp_path / "l.sqlite3").write_bytes(b"no database at all" * 100)
    with pytest.raises(sqlite3.Error):
        ledger.open(Rolling())
