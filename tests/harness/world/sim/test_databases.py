"""What becomes of a SQLite connection when its host is killed."""

import gc
import sqlite3
import warnings

import pytest

from harness.world.sim import databases
from harness.world.sim.sources import virtual


def connections():
    """How many SQLite connections there are in this process."""
    return sum(isinstance(item, sqlite3.Connection) for item in gc.get_objects())


def test_a_dead_hosts_transaction_is_rolled_back(machine, tmp_path):
    """The same incarnation finds its database locked (red); the next one what was committed (green)."""
    path = tmp_path / "disk" / "outbox.db"
    with virtual(machine):
        dead = sqlite3.connect(path, isolation_level=None)
        dead.execute("CREATE TABLE t (x)")
        dead.execute("INSERT INTO t VALUES (1)")
        dead.execute("BEGIN IMMEDIATE")
        dead.execute("INSERT INTO t VALUES (2)")
        with pytest.raises(sqlite3.OperationalError, match="locked"):
            sqlite3.connect(path, timeout=0, isolation_level=None).execute("BEGIN IMMEDIATE")
        machine.label = "publisher#3"
        again = sqlite3.connect(path, timeout=0, isolation_level=None)
        again.execute("BEGIN IMMEDIATE")
        assert again.execute("SELECT x FROM t").fetchall() == [(1,)]
        with pytest.raises(sqlite3.ProgrammingError, match="closed"):
            dead.execute("SELECT 1")
        again.close()


def test_others_are_left_alone(machine, tmp_path):
    """Connections of other incarnations, and those of the process itself, stay open; dropped ones are not held."""
    outside = sqlite3.connect(":memory:")
    with virtual(machine):
        databases.forget_all()
        mine = sqlite3.connect(tmp_path / "disk" / "a.db")
        before = connections()
        sqlite3.connect(tmp_path / "disk" / "dropped.db")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ResourceWarning)  # from 3.13 on
            gc.collect()
        assert connections() == before
        machine.label = "consumer#1"
        theirs = sqlite3.connect(tmp_path / "disk" / "b.db")
        assert databases.close_of("consumer#1") == 1
        assert mine.execute("SELECT 1").fetchone() == (1,)
        with pytest.raises(sqlite3.ProgrammingError):
            theirs.execute("SELECT 1")
        mine.close()
        assert databases.close_of("consumer#1") == databases.close_of("nobody#1") == 0
    assert outside.execute("SELECT 1").fetchone() == (1,)
    outside.close()
