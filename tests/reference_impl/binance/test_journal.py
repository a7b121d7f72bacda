"""The journal of intents: what it says is durable, what a death leaves is read, what nobody can explain is refused."""

import asyncio
import os
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from reference_impl._binance.faults import BinanceError
from reference_impl._binance.intents import (
    Intents,
    attempt_record,
    end_record,
    fate_record,
    intent_record,
)
from reference_impl._binance.journal import Journal, JournalFile, encode, read
from reference_impl._binance.report import Attempt, End, Order

ORDER = Order(
    intent="i", symbol="BTCUSDT", side="BUY", quantity=Decimal("1.50"), limit=Decimal("100.5"), reduce_only=True
)
SENT = Attempt(number=1, client_id="x-1", quantity=Decimal("1.5"), price=Decimal("100.5"), expires_ms=7)
FATE = Attempt(
    number=1,
    client_id="x-1",
    quantity=Decimal("1.5"),
    price=Decimal("100.5"),
    expires_ms=7,
    settled=True,
    executed=Decimal("0.5"),
    quote=Decimal("50.05"),
)
END = End(status="partial", reason="slippage")
STORY = [intent_record(ORDER), attempt_record("i", SENT), fate_record("i", FATE), end_record("i", END)]


def story(intents):
    return [(one.order, one.attempts, one.end) for one in intents]


@pytest.fixture
async def open_journal(tmp_path):
    """A function that opens the journal of the test's directory; all are closed at the end."""
    opened = []

    async def start(**options):
        journal = Journal(tmp_path / "a" / "j.intents", **options)
        await journal.open()
        opened.append(journal)
        return journal

    yield start
    for journal in opened:
        await journal.close()


async def test_a_new_life_reads_what_the_old_one_wrote(open_journal):
    """Every field survives, exactly."""
    journal = await open_journal()
    for record in STORY:
        await journal.append([record])
    assert story(journal.intents) == [(ORDER, (FATE,), END)]
    again = await open_journal()
    assert story(again.intents) == [(ORDER, (FATE,), END)]
    assert [one.finished for one in again.intents] == [True]


async def test_an_attempt_without_fate_is_unfinished(open_journal):
    """That is what a kill between sending and the answer leaves."""
    await (await open_journal()).append(STORY[:2])
    (intent,) = (await open_journal()).intents
    assert (intent.finished, intent.attempts, intent.report().status) == (False, (SENT,), "unknown")


@given(cut=st.data())
def test_any_torn_tail_is_dropped(cut):
    """Whatever prefix a death leaves, the batches before it are read, and where they end is known."""
    lines = [encode([record], 1) for record in STORY]
    content = b"".join(lines)
    length = cut.draw(st.integers(0, len(content)))
    torn = content[:length]
    whole = [line for at, line in enumerate(lines) if len(b"".join(lines[: at + 1])) <= length]
    intents = Intents()
    assert read(torn, intents) == sum(map(len, whole))
    expected = Intents()
    for record in STORY[: len(whole)]:
        expected.apply(record)
    assert story(intents) == story(expected)


@given(at=st.data())
def test_any_flipped_bit_is_refused(at):
    """An order might be unknown there: nobody may trade on such a journal."""
    lines = [encode([record], 1) for record in STORY]
    content = bytearray(b"".join(lines))
    where = at.draw(st.integers(0, len(content) - 2))
    content[where] ^= 1 << at.draw(st.integers(0, 7))
    with pytest.raises(ValueError, match="damaged"):
        read(bytes(content), Intents())


async def test_a_torn_file_is_repaired_and_a_damaged_one_refused(tmp_path, open_journal):
    """At the level of the file: after the repair it is whole again; after the refusal it is untouched."""
    await (await open_journal()).append(STORY)
    path = tmp_path / "a" / "j.intents"
    whole = path.read_bytes()
    path.write_bytes(whole + b"0123abcd {torn")
    assert story((await open_journal()).intents) == [(ORDER, (FATE,), END)]
    damaged = b"x" + path.read_bytes()
    path.write_bytes(damaged)
    with pytest.raises(BinanceError, match="journal: the journal is damaged"):
        await open_journal()
    assert path.read_bytes() == damaged


async def test_many_appends_share_a_sync(open_journal, monkeypatch):
    """Group commit: what comes while a batch is written goes with the next one."""
    journal = await open_journal()
    synced = []
    append = JournalFile.append
    monkeypatch.setattr(JournalFile, "append", lambda self, lines: (synced.append(lines), append(self, lines)))
    orders = [intent_record(Order(**{**_fields(ORDER), "intent": str(n)})) for n in range(50)]
    await asyncio.gather(*(journal.append([order]) for order in orders))
    assert len(list(journal.intents)) == 50
    assert len(synced) <= 2


async def test_a_full_disk_is_an_error_and_leaves_no_trace(open_journal, monkeypatch):
    """What was not written is not taken into account; the next append finds a whole file."""
    journal = await open_journal()
    await journal.append(STORY[:1])
    write = os.write

    def half(file, content):
        if len(content) > 5:
            return write(file, bytes(content[:5]))
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", half)
        with pytest.raises(BinanceError, match="No space left") as caught:
            await journal.append([{**STORY[0], "intent": "lost"}])
    assert caught.value.reason == "journal"
    await journal.append(STORY[1:])
    assert story((await open_journal()).intents) == [(ORDER, (FATE,), END)] == story(journal.intents)


async def test_a_grown_file_is_written_anew(tmp_path, open_journal):
    """What is over and said again does not pile up, and nothing is lost by it."""
    journal = await open_journal(compact_at=2_000)
    for _ in range(100):
        await journal.append(STORY)
    assert (tmp_path / "a" / "j.intents").stat().st_size < 5_000
    assert story((await open_journal()).intents) == [(ORDER, (FATE,), END)]


async def test_an_append_that_is_cancelled_stands(open_journal):
    """The record was on its way; it is in the file and in the story alike."""
    journal = await open_journal()
    task = asyncio.create_task(journal.append(STORY[:1]))
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait([task])
    await journal.append(STORY[1:2])
    assert story(journal.intents) == story((await open_journal()).intents) == [(ORDER, (SENT,), None)]


async def test_of_two_journals_the_older_one_writes_no_more(tmp_path, open_journal):
    """Whoever opened last has the file, also after it has written it anew; the other one says why it is refused."""
    older = await open_journal()
    await older.append(STORY[:1])
    newer = await open_journal()
    for _ in range(2):
        with pytest.raises(BinanceError, match="another adapter") as caught:
            await older.append(STORY[1:2])
        assert caught.value.reason == "journal"
        await newer.append(STORY[1:2])
    assert story(older.intents) == [(ORDER, (), None)]
    assert story((await open_journal()).intents) == story(newer.intents) == [(ORDER, (SENT,), None)]


async def test_a_journal_that_was_taken_away_is_not_written(tmp_path, open_journal):
    """A file without a name would be gone at the next start, and the orders in it unknown."""
    journal = await open_journal()
    (tmp_path / "a" / "j.intents").unlink()
    with pytest.raises(BinanceError, match="another file"):
        await journal.append(STORY[:1])


def test_what_the_older_one_wrote_the_newer_one_has_read(tmp_path):
    """However the two meet: a write that succeeded, of which an order may have been sent, is never overlooked."""
    path = tmp_path / "j.intents"
    for number in range(60):
        path.unlink(missing_ok=True)
        older, newer, known = JournalFile(path), JournalFile(path), Intents()
        older.open(Intents())
        written = []
        writing = threading.Event()

        def write(older=older, written=written, writing=writing):
            for attempt in range(1_000):
                name = f"i{attempt}"
                try:
                    older.append(encode([{**STORY[0], "intent": name}], 1))
                except OSError:
                    return
                written.append(name)
                writing.set()

        thread = threading.Thread(target=write)
        thread.start()
        assert writing.wait(30)
        time.sleep(number * 0.000_05)  # another moment of the writer's, each time; nothing hangs on which
        newer.open(known)
        thread.join()
        older.close()
        newer.close()
        assert {one.order.intent for one in known} >= set(written), number


def test_many_that_open_at_once_lose_nothing(tmp_path):
    """Each writes until the next one has taken over; all that any was told is durable is in the file at the end."""
    path, told = tmp_path / "j.intents", []

    def live(number):
        for round_ in range(15):
            life = JournalFile(path)
            life.open(Intents())
            for attempt in range(5):
                name = f"{number}-{round_}-{attempt}"
                try:
                    life.append(encode([{**STORY[0], "intent": name}], 1))
                except OSError:
                    break
                told.append(name)
            life.close()

    with ThreadPoolExecutor(4) as threads:
        for lived in [threads.submit(live, number) for number in range(4)]:
            lived.result()
    known = Intents()
    read(path.read_bytes(), known)
    assert {one.order.intent for one in known} == set(told)


class ManyLives(RuleBasedStateMachine):
    """Adapters of one name that are started, killed and left running, in any order; the model is a list."""

    def __init__(self):
        super().__init__()
        self.directory = tempfile.TemporaryDirectory()
        self.path = Path(self.directory.name) / "j.intents"
        self.lives = []
        self.owner = None
        self.told = []

    @rule()
    def start(self):
        """A life begins: it knows what every life before was told is durable."""
        life, intents = JournalFile(self.path), Intents()
        life.open(intents)
        assert [one.order.intent for one in intents] == self.told
        self.lives.append(life)
        self.owner = life

    @precondition(lambda self: self.lives)
    @rule(pick=st.integers(0, 99))
    def append(self, pick):
        """Only the last life may write."""
        life = self.lives[pick % len(self.lives)]
        name = str(len(self.told))
        try:
            life.append(encode([{**STORY[0], "intent": name}], 1))
        except OSError:
            assert life is not self.owner
        else:
            assert life is self.owner
            self.told.append(name)

    @precondition(lambda self: self.lives)
    @rule(pick=st.integers(0, 99))
    def rewrite(self, pick):
        """Nor may another write the file anew, with what it knows; for the last life nothing changes."""
        life = self.lives[pick % len(self.lives)]
        records = [{**STORY[0], "intent": name} for name in self.told]
        try:
            life.rewrite(records if life is self.owner else [])
        except OSError:
            assert life is not self.owner
        else:
            assert life is self.owner

    @precondition(lambda self: len(self.lives) > 1)
    @rule(pick=st.integers(0, 99))
    def die(self, pick):
        """A life that is over is not missed; of the last one, what it wrote stays."""
        life = self.lives.pop(pick % len(self.lives))
        life.close()
        self.owner = None if life is self.owner else self.owner

    @invariant()
    def readable(self):
        """At any time the file says what was told, to whoever reads it."""
        if self.path.exists():
            intents = Intents()
            content = self.path.read_bytes()
            assert read(content, intents) == len(content)
            assert [one.order.intent for one in intents] == self.told

    def teardown(self):
        """Close what is open."""
        for life in self.lives:
            life.close()
        self.directory.cleanup()


ManyLives.TestCase.settings = settings(max_examples=40, stateful_step_count=30, deadline=None)
TestManyLives = ManyLives.TestCase


async def test_a_closed_journal_takes_nothing(open_journal):
    """With a reason that callers can handle."""
    journal = await open_journal()
    await journal.close()
    with pytest.raises(BinanceError) as caught:
        await journal.append(STORY)
    assert caught.value.reason == "closed"


def test_only_finished_intents_are_forgotten():
    """Memory is bounded, but never at the price of an order that nobody knows the end of."""
    intents = Intents(kept=3)
    for number in range(10):
        name = str(number)
        intents.apply({**STORY[0], "intent": name})
        if number >= 2:
            intents.apply({**STORY[3], "intent": name})
    assert {one.order.intent for one in intents} == {"0", "1", "9"}


def test_records_tell_the_same_again():
    """What is written anew is what was read."""
    intents = Intents()
    for record in STORY:
        intents.apply(record)
    assert list(intents.records()) == STORY


def _fields(order):
    return {name: getattr(order, name) for name in Order.__dataclass_fields__}
