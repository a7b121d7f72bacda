"""Payloads to JSON to RESP and back."""

import math
from typing import Any

import hiredis
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reference_impl._event_bus.batch import pack_batch, refusal
from reference_impl._event_bus.encoding import (
    acker,
    appender,
    check_event_type,
    decode_entry,
    encode_payload,
    format_event_id,
    pack,
    parse_event_id,
)
from reference_impl._event_bus.errors import PayloadError
from reference_impl._event_bus.model import Event

TEXT = st.text(st.characters(exclude_categories=["Cs"]))
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=10,
)


def parse(data: bytes) -> list[Any]:
    reader = hiredis.Reader()
    reader.feed(data)
    found = []
    while (item := reader.gets()) is not False:
        found.append(item)
    return found


@given(
    payload=st.dictionaries(TEXT, JSON, max_size=5),
    event_type=st.text(st.characters(codec="utf-8"), min_size=1, max_size=40),
)
def test_any_json_object_arrives_equal(payload: dict[str, Any], event_type: str) -> None:
    """What is published, packed for the wire, parsed as Redis parses it and decoded, is what a handler gets."""
    text = encode_payload(payload, 1_000_000)
    ((name, stream, _, _, maxlen, star, *fields),) = parse(appender(100)(Event("p:1:2", event_type, text, 1.5)))
    delivered = decode_entry(stream.decode(), fields)
    assert (name, maxlen, star) == (b"XADD", b"100", b"*")
    assert ("p:1:2", event_type, payload, 1.5) == (
        delivered.event_id,
        delivered.event_type,
        delivered.payload,
        delivered.timestamp,
    )


@pytest.mark.parametrize(
    "payload",
    [
        {"x": math.nan},
        {"x": [math.inf]},
        {"x": object()},
        {1: "a"},
        {"x": (1, 2)},
        {"x": "\ud800"},
        {"x": b"bytes"},
        ["no", "object"],
        None,
        "text",
        {"x": "y" * 2_000},
    ],
)
def test_what_json_cannot_carry_is_refused(payload: Any) -> None:
    """NaN, foreign types, keys that are no strings, tuples, lone surrogates and oversize raise a typed error."""
    with pytest.raises(PayloadError):
        encode_payload(payload, 1_000)


class _Text(str):
    __slots__ = ()


class _Number(int):
    pass


def test_what_only_json_takes_is_carried_all_the_same() -> None:
    """Subclasses of str and int are equal to what arrives; numbers as keys are not."""
    assert encode_payload({"b": _Text("x"), "a": _Number(3), "c": 1e16}, 100) == '{"a":3,"b":"x","c":1e16}'
    with pytest.raises(PayloadError):
        encode_payload({"a": {1: _Text("x")}}, 100)


def test_foreign_json_is_decoded_all_the_same() -> None:
    """What `json` reads and the fast decoder does not, is no damaged entry."""
    fields = [b"event_id", b"p:1:2", b"payload", b'{"a":"\\ud800","b":1e400}', b"timestamp", b"1.5"]
    assert decode_entry("events:t", fields).payload == {"a": "\ud800", "b": math.inf}


def test_an_acknowledgement_names_stream_group_and_entries() -> None:
    """The precomputed head is followed by any number of ids."""
    assert [[b"XACK", b"events:t", "gr\u00fcn".encode(), b"1-0", b"10-12"]] == parse(
        acker(b"events:t", "gr\u00fcn")([b"1-0", b"10-12"])
    )


def test_a_payload_that_contains_itself_is_refused() -> None:
    """A cycle raises the typed error, not a recursion error."""
    payload: dict[str, Any] = {}
    payload["self"] = payload
    with pytest.raises(PayloadError):
        encode_payload(payload, 1_000)


@pytest.mark.parametrize("event_type", ["", "x" * 257, "\ud800", 7, None])
def test_a_type_that_cannot_name_a_stream_is_refused(event_type: Any) -> None:
    """Event types are short non-empty UTF-8 strings."""
    with pytest.raises(PayloadError):
        check_event_type(event_type)


@pytest.mark.parametrize(
    "fields", [[], [b"payload", b"{}"], [b"event_id", b"a", b"payload", b"[]", b"timestamp", b"1"], [b"odd"]]
)
def test_a_foreign_entry_is_a_value_error(fields: list[bytes]) -> None:
    """Entries that no bus wrote are recognised."""
    with pytest.raises(ValueError, match="not an event"):
        decode_entry("events:t", fields)


def test_event_ids_survive_colons_in_names() -> None:
    """The producer may contain the separator."""
    assert parse_event_id(format_event_id("a:b", 3, 4)) == ("a:b", 3, 4)


def test_several_events_are_one_transaction() -> None:
    """A refusal in the middle must not let a later event in: several XADDs travel as MULTI/EXEC, one travels alone."""
    events = [Event(f"p:1:{number}", "t", "{}", 0.0) for number in (1, 2)]
    several = pack_batch(events, appender(100))
    assert [command[0] for command in parse(several.data)] == [b"MULTI", b"XADD", b"XADD", b"EXEC"]
    assert several.replies == 4
    assert pack_batch(events[:1], appender(100)).replies == 1


OOM = hiredis.ReplyError("OOM command not allowed")


@pytest.mark.parametrize(
    ("replies", "events", "expected"),
    [
        ([b"1-0"], 1, None),
        ([OOM], 1, "Redis refused: OOM command not allowed"),
        ([None], 1, "Redis did not confirm"),
        ([b"OK", b"QUEUED", b"QUEUED", [b"1-0", b"1-1"]], 2, None),
        ([b"OK", b"QUEUED", OOM, hiredis.ReplyError("EXECABORT")], 2, "Redis refused: OOM command not allowed"),
        ([b"OK", b"QUEUED", b"QUEUED", [b"1-0", OOM]], 2, "Redis refused: OOM command not allowed"),
        ([b"OK", b"QUEUED", b"QUEUED", [b"1-0"]], 2, "Redis did not confirm"),
        ([b"OK", b"QUEUED", b"QUEUED", None], 2, "Redis did not confirm"),
    ],
)
def test_only_complete_confirmations_count(replies: list[Any], events: int, expected: str | None) -> None:
    """Any error, null or missing id means that the batch is not confirmed."""
    assert expected == refusal(replies, events)


def test_pack_counts_bytes_not_characters() -> None:
    """Lengths in RESP are in bytes."""
    assert [[b"SET", "ü".encode(), b"7"]] == parse(pack("SET", "ü", 7))
