"""The journal: every entry once, whole batches only, whatever is torn."""

import shutil
from decimal import Decimal

import pytest

from reference_impl._portfolio.errors import ConflictError, StorageError
from reference_impl._portfolio.journal import Journal
from reference_impl._portfolio.model import Fill, Flow


def fill(trade_id, amount="1", symbol="BTCUSDT", price="0.1"):
    """A trade."""
    return Fill(symbol, trade_id, 5, Decimal(amount), Decimal(price), Decimal("0.01"), "BNB")


DEPOSIT = Flow("TRANSFER", 1, 2, "USDT", Decimal("0.3"))


@pytest.fixture
def journal(tmp_path):
    """An open one."""
    one = Journal(tmp_path / "j.sqlite3")
    one.open()
    yield one
    one.close()


def test_what_is_new_is_told_from_what_is_not(journal):
    """In the order of the batch, once even if it comes twice in one."""
    assert journal.add([fill(1), DEPOSIT, fill(3)]).new == [fill(1), DEPOSIT, fill(3)]
    added = journal.add([fill(2), fill(1), fill(2), DEPOSIT])
    assert (added.new, added.seq) == ([fill(2)], 4)
    assert journal.add([fill(3)]).new == []


def test_an_id_is_one_of_its_symbol_and_kind(journal):
    """The same number on another symbol, or of a funding payment, is another entry."""
    same = [fill(1), fill(1, symbol="ETHUSDT"), DEPOSIT, DEPOSIT._replace(kind="FUNDING_FEE")]
    assert journal.add(same).new == same


@pytest.mark.parametrize("other", [fill(1, amount="2"), fill(1, price="0.2"), fill(1)._replace(fee_asset="USDT")])
def test_other_figures_under_a_known_id_are_refused(journal, other):
    """With the whole batch, and both are named."""
    journal.add([fill(1)])
    with pytest.raises(ConflictError, match=r"TRADE 1 of BTCUSDT was .* now "):
        journal.add([fill(2), other])
    assert [entry for entry, _ in journal.since(0, 10)] == [fill(1)]
    assert journal.add([fill(2)]).new == [fill(2)]


def test_equal_figures_may_be_written_otherwise(journal):
    """0.10 is 0.1."""
    journal.add([fill(1)])
    assert journal.add([fill(1, amount="1.000", price="0.10")]).new == []


def test_it_is_read_back_as_it_was(journal, tmp_path):
    """Digit for digit, by number and by id."""
    entries = [fill(7, amount="-0.000000000000000001"), DEPOSIT, fill(5, price="123456789012345678")]
    journal.add(entries)
    journal.verify("BTCUSDT", 7)
    journal.verify("BTCUSDT", 5)
    identity = journal.identity
    journal.close()
    other = Journal(tmp_path / "j.sqlite3")
    other.open()
    assert [entry for entry, _ in other.since(0, 10)] == entries
    assert [entry for entry, _ in other.since(1, 1)] == [DEPOSIT]
    assert [trade_id for trade_id, _, _ in other.trades("BTCUSDT", -1)] == [5, 7]
    assert [one.trade_id for one in other.between("BTCUSDT", 5, 9)] == [7]
    assert (other.newest("BTCUSDT"), other.newest("ETHUSDT")) == (7, -1)
    assert (other.verified(), other.identity, other.last) == ({"BTCUSDT": 7}, identity, 3)
    other.close()


def test_a_second_portfolio_is_refused(journal, tmp_path):
    """Each would miss what the other takes."""
    journal.add([fill(1)])
    other = Journal(tmp_path / "j.sqlite3")
    with pytest.raises(StorageError, match="locked"):
        other.open()
    journal.add([fill(2)])


def test_a_file_that_is_none_is_refused(tmp_path):
    """With a word on what is wrong."""
    (tmp_path / "j.sqlite3").write_bytes(b"x" * 4096)
    with pytest.raises(StorageError, match="not a database"):
        Journal(tmp_path / "j.sqlite3").open()


def test_a_torn_log_leaves_whole_batches(tmp_path):
    """Cut off at every 97th byte: what is found is the first so many batches, none of them in part."""
    path = tmp_path / "a" / "j.sqlite3"
    journal = Journal(path)
    journal.open()
    for number in range(6):
        journal.add([fill(10 * number + part) for part in range(4)])
    log = path.with_name("j.sqlite3-wal").read_bytes()
    sizes = set()
    for end in range(0, len(log) + 97, 97):
        torn = tmp_path / f"b{end}"
        torn.mkdir()
        shutil.copy(path, torn / "j.sqlite3")
        (torn / "j.sqlite3-wal").write_bytes(log[:end])
        found = Journal(torn / "j.sqlite3")
        found.open()
        entries = [entry.trade_id for entry, _ in found.since(0, 100)]
        assert entries == [10 * (number // 4) + number % 4 for number in range(len(entries))]
        assert len(entries) % 4 == 0
        sizes.add(len(entries))
        found.close()
    journal.close()
    assert sizes == {0, 4, 8, 12, 16, 20, 24}


def test_a_disk_that_refuses_takes_nothing(journal):
    """And when there is room again, all of it."""
    journal.add([fill(1)])
    journal._db.execute("PRAGMA max_page_count = 1")  # the size it has
    big = [fill(number) for number in range(2, 2_000)]
    with pytest.raises(StorageError, match="full"):
        journal.add(big)
    assert [entry for entry, _ in journal.since(0, 10)] == [fill(1)]
    journal._db.execute("PRAGMA max_page_count = 1000000")
    assert len(journal.add(big).new) == len(big)


def test_closed_is_closed(journal):
    """Twice is no error; asking is."""
    journal.close()
    journal.close()
    with pytest.raises(StorageError, match="not open"):
        journal.add([fill(1)])


def test_errors_of_sqlite_become_typed(journal):
    """Whatever is asked."""
    journal._db.execute("DROP TABLE entries")
    for call in (
        lambda: journal.add([fill(1)]),
        lambda: journal.since(0, 1),
        lambda: journal.between("BTCUSDT", 0, 1),
        lambda: journal.newest("BTCUSDT"),
        lambda: list(journal.trades("BTCUSDT", -1)),
    ):
        with pytest.raises(StorageError, match="no such table"):
            call()
    journal._db.execute("DROP TABLE verified")
    with pytest.raises(StorageError):
        journal.verify("BTCUSDT", 1)
