"""Documents and merging: what is refused, and, over a model of a Redis that forgets, that nothing acked is lost."""

from dataclasses import replace

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from reference_impl._policy import document as documents
from reference_impl._policy.document import RECENT_MAX, Document, Field, Update, as_json, decode, encode, from_json
from reference_impl._policy.errors import DocumentError, NewerDocumentError, PolicyInvalidError
from reference_impl._policy.merge import apply, check, check_form, merge
from reference_impl._policy.profiles import PROFILES, Limits, Policy


def made(*updates, start=None):
    """The document after these updates, one version each."""
    for update in updates:
        start = apply(start, update, (0 if start is None else start.version) + 1)
    return start


def sets(writer, seq, **fields):
    return Update(writer, seq, {f"cap:{name}": value for name, value in fields.items()}, {})


def adds(writer, seq, **figures):
    return Update(writer, seq, {}, {f"cap:{name}": by for name, by in figures.items()})


def test_the_profiles_are_the_plans() -> None:
    """2 % / 5 % / 30x, 1 % / 3 % / 10x, 3 % / 8 % / 50x."""
    assert {
        "NORMAL": Limits(200, 500, 30),
        "DEFENSIVE": Limits(100, 300, 10),
        "AGGRESSIVE": Limits(300, 800, 50),
    } == PROFILES


def test_tightening_can_only_tighten_and_defensive_is_no_laxer_than_before() -> None:
    """Whatever is set, the stricter of it and the profile holds."""
    policy = Policy(profile="NORMAL", tightened={"leverage": 50, "risk_bps": 50})
    assert policy.limits == Limits(50, 500, 30)
    assert policy.defensive().limits == Limits(50, 300, 10)


def test_a_document_survives_being_written_and_read() -> None:
    """All of it, and the same content gives the same bytes."""
    whole = made(
        Update("a", 3, {"profile": "NORMAL", "leverage": 9}, {"cap:x": 5}), sets("b", 1, y=None), adds("a", 7, x=2)
    )
    assert decode(encode(whole)) == whole
    assert encode(decode(encode(whole))) == encode(whole)


WRONG = {
    "no version": {"version": None},
    "version 0": {"version": 0},
    "absurd version": {"version": 1 << 60},
    "version true": {"version": True},
    "no schema": {"schema": None},
    "fields a list": {"fields": []},
    "unknown field": {"fields": {"yolo": [1, "a", 1]}},
    "unknown profile": {"fields": {"profile": ["YOLO", "a", 1]}},
    "leverage 500": {"fields": {"leverage": [500, "a", 1]}},
    "leverage 1.5": {"fields": {"leverage": [1.5, "a", 1]}},
    "cap below 0": {"fields": {"cap:x": [-1, "a", 1]}},
    "no writer": {"fields": {"cap:x": [1, "", 1]}},
    "a pair": {"fields": {"cap:x": [1, "a"]}},
    "applied text": {"applied": {"a": "1"}},
    "recent no list": {"recent": {}},
    "recent too many": {"recent": [["a", 1, {}, {}]] * (RECENT_MAX + 1)},
    "update of three": {"recent": [["a", 1, {}]]},
    "update sets the unknown": {"recent": [["a", 1, {"yolo": 1}, {}]]},
    "update adds text": {"recent": [["a", 1, {}, {"cap:x": "1"}]]},
    "no time": {"at_ms": None},
}


@pytest.mark.parametrize("change", WRONG.values(), ids=WRONG)
def test_what_is_no_document_is_refused(change) -> None:
    """One thing wrong is enough."""
    good = as_json(made(sets("a", 1, x=1)))
    assert from_json(good)
    with pytest.raises(DocumentError):
        from_json(good | change)


@pytest.mark.parametrize("raw", [b"", b"{", b"[]", b"null", b"\xff", b"[" * 100_000, b" " * (documents.BYTES_MAX + 1)])
def test_bytes_that_are_none_are_refused(raw) -> None:
    """With an error of ours, whatever they are."""
    with pytest.raises(DocumentError):
        decode(raw)


def test_a_later_schema_is_told_apart() -> None:
    """From garbage, which may be overwritten."""
    with pytest.raises(NewerDocumentError):
        decode(b'{"schema": 2}')


def test_a_figure_starts_from_what_the_profile_has() -> None:
    """Leverage less five under NORMAL is 25; out of its bounds it is refused."""
    normal = made(Update("a", 1, {"profile": "NORMAL"}, {}))
    less = Update("a", 2, {}, {"leverage": -5})
    check(normal, less)
    assert made(less, start=normal).policy().limits.leverage == 25
    with pytest.raises(PolicyInvalidError):
        check(normal, Update("a", 2, {}, {"leverage": -30}))


def test_too_many_fields_are_refused_before_the_document_could_not_be_read_again() -> None:
    """The document that is full can still be changed and read."""
    full = None
    for number in range(documents.FIELDS_MAX // 100):
        full = apply(full, sets("a", number + 1, **{f"{'n' * 50}{number}-{i}": 10**12 for i in range(100)}), number + 1)
    assert len(encode(full)) < documents.BYTES_MAX
    assert decode(encode(full)) == full
    check(full, sets("a", 99, **{f"{'n' * 50}0-1": 5}))
    with pytest.raises(PolicyInvalidError):
        check(full, sets("a", 99, more=5))
    with pytest.raises(PolicyInvalidError):
        check_form(sets("a", 99, **{f"x{i}": 1 for i in range(101)}))


def test_what_redis_lost_is_applied_again_and_what_it_has_stays() -> None:
    """A lost relative change is made once; a lost value yields to one that was set since."""
    both = made(sets("a", 1, base=1))
    mine = made(sets("a", 2, lost=1, both=1), adds("a", 3, sum=3), start=both)
    theirs = made(sets("b", 1, both=2), adds("b", 2, sum=4), start=both)
    merged = merge(mine, theirs)
    assert merged.document is not None
    assert not merged.lost
    assert merged.document.policy().caps == {"base": 1, "lost": 1, "both": 2, "sum": 7}
    assert merged.document.version == 4
    assert merge(mine, merged.document).document == merge(theirs, merged.document).document == merged.document


def test_an_empty_redis_gets_all_there_is_and_a_new_writers_first_update_is_kept() -> None:
    """Redis lost everything, and somebody without a snapshot wrote to it before anybody repaired it."""
    mine = made(*[sets("a", seq, **{f"n{seq % 9}": seq}) for seq in range(1, RECENT_MAX * 3)])
    assert merge(mine, None).document == mine
    theirs = made(sets("new", 1, n1=5, fresh=1))
    merged = merge(mine, theirs)
    assert merged.document is not None
    assert not merged.lost
    assert merged.document.policy().caps == mine.policy().caps | {"n1": 5, "fresh": 1}
    assert merged.document.version > mine.version


def test_a_loss_that_nobody_remembers_is_said() -> None:
    """Both have forgotten what the other lacks: the newer is taken, and `lost` tells."""
    mine = made(*[sets("a", seq, x=seq) for seq in range(1, RECENT_MAX + 5)])
    theirs = made(*[sets("b", seq, y=seq) for seq in range(1, RECENT_MAX + 9)])
    merged = merge(mine, theirs)
    assert merged.lost
    assert merged.document is not None
    assert merged.document.policy().caps == {"x": RECENT_MAX + 4, "y": RECENT_MAX + 8}
    assert merged.document.applied == {"a": RECENT_MAX + 4, "b": RECENT_MAX + 8}


def test_the_same_version_with_another_content_gets_a_version_of_its_own() -> None:
    """Two documents of one number and one set of updates can differ by how they were merged."""
    one = Document(version=5, fields={"cap:x": Field(1, "a", 1)}, applied={"a": 1})
    other = replace(one, fields={"cap:x": Field(2, "a", 1)})
    merged = merge(one, other)
    assert merged.document is not None
    assert merged.document.version == 6


class Stores(RuleBasedStateMachine):
    """Two writers and a reader over a model of Redis that may lose its tail, or everything.

    The model: every acked update is remembered by itself, as what it added, and what it set when. Redis is a list of
    the documents that it ever held.
    """

    NAMES = ("a", "b", "reader")

    @initialize()
    def begin(self) -> None:
        self.log: list[Document] = []
        self.known: dict[str, Document | None] = dict.fromkeys(self.NAMES)
        self.seqs = {"a": 0, "b": 0}
        self.acked: list[tuple[str, int, int]] = []
        self.set_at: dict[str, int] = {}
        self.repaired = True
        self.crashed = False

    def _redis(self) -> Document | None:
        return self.log[-1] if self.log else None

    def _adopt(self, name: str, document: Document) -> None:
        before = self.known[name]
        if before is not None:
            assert document.version >= before.version, "a version went backwards"
            assert document.version > before.version or document == before, "a version with two meanings"
            assert all(document.contains(writer, seq) for writer, seq in before.applied.items()), "an update was lost"
        self.known[name] = document

    @rule(name=st.sampled_from(("a", "b")), by=st.integers(1, 9), shared=st.booleans(), heard=st.booleans())
    def update(self, name: str, by: int, shared: bool, heard: bool) -> None:
        """A compare-and-set that gets through; the answer may be lost, and is then looked for."""
        self.seqs[name] += 1
        seq = self.seqs[name]
        stamp = len(self.acked) + 1
        field = "cap:shared" if shared else f"cap:{name}"
        update = Update(name, seq, {field: stamp}, {"cap:sum": by})
        base = merge(self.known[name], self._redis()).document
        check(base, update)
        written = decode(encode(apply(base, update, (0 if base is None else base.version) + 1)))
        self.log.append(written)
        if not heard:
            assert self._redis() is not None
            assert self._redis().contains(name, seq)  # type: ignore[union-attr]  # asserted above
        self._adopt(name, written)
        self.acked.append((name, seq, by))
        self.set_at[field] = stamp
        self.repaired = False

    @rule(name=st.sampled_from(NAMES))
    def refresh(self, name: str) -> None:
        """Look, and repair."""
        there = self._redis()
        document = merge(self.known[name], there).document
        if document is None:
            return
        if document != there:
            self.log.append(document)
        self._adopt(name, decode(encode(document)))

    @rule()
    def settle(self) -> None:
        """Everybody looks twice, as within five seconds of calm."""
        for name in self.NAMES * 2:
            self.refresh(name)
        self.repaired, self.crashed = True, False

    @rule(tail=st.integers(1, 5), everything=st.booleans())
    def crash(self, tail: int, everything: bool) -> None:
        """Redis loses its tail or everything, known to others or not; a second crash comes after a calm."""
        if not self.crashed:
            self.log = [] if everything else self.log[:-tail]
            self.repaired, self.crashed = False, True

    @rule(shared=st.booleans())
    def diverge(self, shared: bool) -> None:
        """Redis loses an update that one writer alone knows of, and the other one writes before it is repaired."""
        self.settle()
        self.update(name="a", by=1, shared=shared, heard=True)
        self.crash(tail=1, everything=False)
        self.update(name="b", by=2, shared=shared, heard=True)
        self.settle()

    @invariant()
    def after_calm_everybody_has_everything(self) -> None:
        """Every acked addition once, and of each field what was set last."""
        if not getattr(self, "repaired", False):
            return
        documents_ = [one for one in self.known.values() if one is not None]
        if not self.acked or len(documents_) < len(self.NAMES):
            return
        assert all(one == documents_[0] for one in documents_)
        caps = documents_[0].policy().caps
        assert caps["sum"] == sum(by for _, _, by in self.acked)
        for field, stamp in self.set_at.items():
            assert caps[field.removeprefix("cap:")] == stamp


Stores.TestCase.settings = settings(max_examples=200, stateful_step_count=30, deadline=None)
TestStores = Stores.TestCase
