"""A stored history comes back as it was, or says what is wrong with it; never as something else."""

import contextlib
import json
from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from harness.errors import HistoryError
from harness.history.events import (
    SCHEMA,
    Fail,
    FaultBegan,
    FaultHealed,
    HostChanged,
    Info,
    Invoke,
    Observation,
    Ok,
    RunEnded,
    RunStarted,
)
from harness.history.history import History
from harness.history.store import BUFFER_BYTES, LINE_BYTES_MAX, Store, load, partial_path

HEADER = RunStarted(0, "harness", 1, SCHEMA, "0.1", "redis-outage", "full", "sim", 7, {"bus": "m:f"}, [{"fault": 1}])
EVENTS = [
    HEADER,
    HostChanged(1, "p", 1, "started"),
    Invoke(2, "p", 1, 0, "publish", {"key": "a", "n": 1.5, "deep": [None, True, {"x": "y"}]}),
    FaultBegan(3, "harness", 1, 1, "redis.outage", "hang", "redis"),
    Ok(4, "p", 1, 0, {"id": "1-0"}),
    Invoke(5, "p", 1, 1, "publish", {"key": "b"}),
    Fail(6, "p", 1, 1, "full"),
    Invoke(7, "p", 1, 2, "publish", {"key": "c"}),
    Info(8, "p", 1, 2, 'TimeoutError: "quoted" \\ \n'),
    FaultHealed(9, "harness", 1, 1),
    Observation(10, "c", 1, "deliver", {"key": "a"}),
    RunEnded(11, "harness", 1, "abc", 11),
]

in_tmp_path = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])

texts = st.text(st.characters(exclude_categories=["Cs"]))
values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**200), 2**200)
    | st.floats(allow_nan=False, allow_infinity=False)
    | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)
fields = st.dictionaries(texts, values, max_size=4)
times = st.integers(0, 2**62)
events = st.one_of(
    st.builds(Invoke, times, texts, st.integers(1, 9), st.integers(0, 99), texts, fields),
    st.builds(Ok, times, texts, st.integers(1, 9), st.integers(0, 99), fields),
    st.builds(Info, times, texts, st.integers(1, 9), st.integers(0, 99), texts),
    st.builds(Observation, times, texts, st.integers(1, 9), texts, fields),
    st.builds(HostChanged, times, texts, st.integers(1, 9), texts, texts),
)


def store(path: Path, recorded) -> bytes:
    """Store these events and return the bytes."""
    with Store(path) as sink:
        for event in recorded:
            sink.record(event)
    return path.read_bytes()


@pytest.fixture
def path(tmp_path):
    """Where the history goes: a folder that does not exist yet."""
    return tmp_path / "histories" / "run.jsonl"


def test_every_kind_of_event_comes_back(path):
    """In order, complete, with its header."""
    store(path, EVENTS)
    history = load(path)
    assert (history.header, list(history.events), history.truncated) == (HEADER, EVENTS, False)


@in_tmp_path
@given(recorded=st.lists(events, max_size=8))
def test_whatever_json_can_hold_comes_back(tmp_path, recorded):
    """Any text, control characters and line separators included; one line of valid JSON for each event."""
    path = tmp_path / "run.jsonl"
    ended = RunEnded(2**62, "harness", 1, None, len(recorded))
    data = store(path, [HEADER, *recorded, ended])
    loaded = load(path)
    assert loaded.events == History.of([HEADER, *recorded, ended]).events
    lines = data.split(b"\n")
    assert len(lines) == len(recorded) + 3
    assert all("event" in json.loads(line) and "crc" in json.loads(line) for line in lines[:-1])


def test_the_same_events_give_the_same_bytes(tmp_path):
    """Whatever the order in which a value's keys were set."""
    swapped = [Ok(4, "p", 1, 0, {"b": {"y": 1, "x": 2}, "a": 1}) if event is EVENTS[4] else event for event in EVENTS]
    sorted_ = [Ok(4, "p", 1, 0, {"a": 1, "b": {"x": 2, "y": 1}}) if event is EVENTS[4] else event for event in EVENTS]
    assert store(tmp_path / "a", swapped) == store(tmp_path / "b", sorted_)
    assert store(tmp_path / "c", EVENTS) == store(tmp_path / "d", EVENTS)


def test_half_a_surrogate_pair_is_stored_as_its_escape(path):
    """As in the text of an error about an undecodable path: recording must not fail on it."""
    store(path, [HEADER, Info(1, "p", 1, 0, "bad \udcff"), Observation(2, "p", 1, "x", {"\ud800": ["\udfff"]})])
    info, seen = load(path).events[1:]
    assert (info.error, seen.value) == ("bad \\udcff", {"\\ud800": ["\\udfff"]})


@pytest.mark.parametrize("value", [{"x": object()}, {"x": {1, object()}}, {"x": 1j}])
def test_what_json_cannot_hold_is_refused_and_leaves_the_file_whole(path, value):
    """The error names the actor; what was recorded before and after still reads."""
    with Store(path) as sink:
        sink.record(HEADER)
        with pytest.raises(HistoryError, match="an event of p"):
            sink.record(Observation(1, "p", 1, "x", value))
        sink.record(EVENTS[-1])
    assert list(load(path).events) == [HEADER, EVENTS[-1]]


def test_a_line_has_a_limit(path):
    """Bulky payloads are recorded as digests."""
    with Store(path) as sink, pytest.raises(HistoryError, match="keep values small"):
        sink.record(Observation(1, "p", 1, "x", {"blob": "x" * LINE_BYTES_MAX}))


def test_while_open_it_is_partial_and_readable_after_a_flush(path):
    """The name appears when it is whole."""
    sink = Store(path)
    for event in EVENTS[:3]:
        sink.record(event)
    sink.flush()
    assert not path.exists()
    assert (list(load(partial_path(path)).events), load(partial_path(path)).truncated) == (EVENTS[:3], True)
    sink.close()
    sink.close()
    assert path.exists()
    assert not partial_path(path).exists()
    with pytest.raises(HistoryError, match="is closed"):
        sink.record(EVENTS[3])


def test_the_operating_system_has_it_after_64_kib(path):
    """So that the death of the harness costs no more than that."""
    sink = Store(path)
    sink.record(HEADER)
    while partial_path(path).stat().st_size == 0:
        sink.record(EVENTS[2])
        assert sink._file.tell() <= 2 * BUFFER_BYTES
    assert load(partial_path(path)).truncated
    sink.abandon()


def test_a_run_that_dies_leaves_a_partial_file(path):
    """What was recorded is kept, an older history of that name is not touched, and the error says where to look."""
    with contextlib.suppress(KeyError), Store(path) as sink:
        sink.record(HEADER)
        raise KeyError
    assert load(partial_path(path)).truncated
    with pytest.raises(HistoryError, match=r"no such file; its run was cut short, see run\.jsonl\.partial"):
        load(path)


def test_closing_replaces_an_older_history(path):
    """The newest run has the name."""
    store(path, EVENTS[:2])
    store(path, EVENTS)
    assert len(load(path).events) == len(EVENTS)


def test_a_file_that_cannot_be_written_is_an_error(tmp_path):
    """Its folder is a file."""
    (tmp_path / "file").write_text("")
    with pytest.raises(HistoryError, match="cannot be written"):
        Store(tmp_path / "file" / "run.jsonl")


def test_cut_anywhere_it_is_truncated_and_readable(path):
    """At every byte from the end of the first line on: the whole lines before the cut come back, no others."""
    data = store(path, EVENTS)
    for cut in range(data.index(b"\n") + 1, len(data)):
        path.write_bytes(data[:cut])
        history = load(path)
        assert (list(history.events), history.truncated) == (EVENTS[: data[:cut].count(b"\n")], True)


def test_a_torn_line_after_the_end_is_admitted(path):
    """All events are there, but the file is not what was closed."""
    path.write_bytes(store(path, EVENTS) + b'{"event":"ob')
    assert (list(load(path).events), load(path).truncated) == (EVENTS, True)


def test_cut_within_the_first_line_nothing_is_left(path):
    """Then it is an error, at every byte."""
    data = store(path, EVENTS)
    for cut in range(data.index(b"\n") + 1):
        path.write_bytes(data[:cut])
        with pytest.raises(HistoryError, match=r"is empty|cut within its first line"):
            load(path)


@in_tmp_path
@given(at=st.integers(0), flip=st.integers(1, 255))
def test_a_changed_byte_never_goes_unnoticed(tmp_path, at, flip):
    """It is an error; or it made a torn line of the last one, which the history admits."""
    path = tmp_path / "run.jsonl"
    data = bytearray(store(path, EVENTS))
    data[at % len(data)] ^= flip
    path.write_bytes(data)
    with contextlib.suppress(HistoryError):
        history = load(path)
        assert history.truncated
        assert list(history.events) == EVENTS[:-1]


@in_tmp_path
@given(st.data())
def test_lines_cut_out_doubled_or_moved_are_damage(tmp_path, data):
    """Each line is sound by itself; the chain is not."""
    path = tmp_path / "run.jsonl"
    lines = store(path, EVENTS).splitlines(keepends=True)
    at, to = data.draw(st.lists(st.integers(1, len(lines) - 1), min_size=2, max_size=2, unique=True))
    what = data.draw(st.sampled_from(["cut", "double", "move"]))
    line = lines[at]
    if what != "double":
        del lines[at]
    if what != "cut":
        lines.insert(to, line)
    path.write_bytes(b"".join(lines))
    if what == "cut" and at == len(EVENTS) - 1:
        assert load(path).truncated
    else:
        with pytest.raises(HistoryError, match=r"run\.jsonl:\d+: damaged"):
            load(path)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is empty"),
        (b"\n", ":1: is not a history"),
        (b"not json\n", ":1: is not a history"),
        (b"\xff\xfe\x00\n", ":1: is not a history"),
        (b"{}\n", ":1: is not a history"),
        (b"[1]\n", ":1: is not a history"),
        (b'{"event":"ok","schema":1}\n', "begins with 'ok'"),
        (b'{"event":"run_started","schema":3}\n', ":1: has schema 3; this harness reads up to schema 2"),
        (b'{"event":"run_started","schema":1}\n', ":1: damaged"),
        (b"\x00" * (LINE_BYTES_MAX + 1), ":1: is not a history"),
    ],
)
def test_what_is_no_history_is_refused(path, content, words):
    """Each in one line that says where and what."""
    path.parent.mkdir()
    path.write_bytes(content)
    with pytest.raises(HistoryError) as caught:
        load(path)
    assert words in str(caught.value)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_damage_names_its_line(path):
    """The fifth line."""
    data = store(path, EVENTS)
    path.write_bytes(data.replace(b'"id":"1-0"', b'"id":"1-1"'))
    with pytest.raises(HistoryError, match=r"run\.jsonl:5: damaged: the checksum does not match"):
        load(path)


def test_an_endless_line_is_refused(path):
    """A file without newlines does not fill the memory."""
    data = store(path, EVENTS[:2])
    path.write_bytes(data + b"x" * (LINE_BYTES_MAX + 1))
    with pytest.raises(HistoryError, match=r":3: a line of more than"):
        load(path)


def test_a_line_of_another_type_is_refused_though_its_checksum_is_right(path):
    """Strictly typed: a text is not a time."""

    class Strange(msgspec.Struct, tag_field="event", tag="ok"):
        time_ns: str = "soon"
        actor: str = "p"

    store(path, [HEADER, Strange()])
    with pytest.raises(HistoryError, match=r":2: not an event: Expected `int`, got `str`"):
        load(path)


@pytest.mark.parametrize("make", [Path.mkdir, lambda path: None])
def test_a_folder_and_a_missing_file_are_errors(tmp_path, make):
    """Each in one line."""
    path = tmp_path / "there"
    make(path)
    with pytest.raises(HistoryError, match=r"there: (no such file|cannot be read: Is a directory)$"):
        load(path)
