"""JSON as the API reads and writes it, without a server."""

import json
import struct

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from harness.toxiproxy.body import Fields, decode, encode, shortest
from harness.toxiproxy.errors import ApiError

FLOATS = st.floats(width=32, allow_nan=False, allow_infinity=False)


def outcome(act):
    """Return what it returns and None, or None and the error that it raises on purpose."""
    try:
        return act(), None
    except ApiError as problem:
        return None, problem


@given(st.binary())
@example(b"9" * 5000)
@example(b"[" * 100_000)
@example(b'"\xff\\ud800"')
def test_any_bytes_are_a_value_or_refused(body):
    """No body makes the decoder fail in another way than by a 400, and what it returns can be written again."""
    value, refusal = outcome(lambda: decode(body))
    if refusal is None:
        encode(value).decode()
    else:
        assert (refusal.status, refusal.text[:18]) == (400, "bad request body: ")


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(), st.lists))
def test_what_is_written_can_be_read(value):
    """Writing escapes more than JSON demands, and means the same."""
    written = encode(value)
    assert not set(b"<>&") & set(written)
    assert json.loads(written) == value


@given(FLOATS)
def test_the_shortest_number_is_the_same_float(value):
    """It rounds to the same 32 bits, and has no more than nine digits."""
    short = shortest(value)
    assert struct.pack("f", short) == struct.pack("f", value) or short == value == 0


@pytest.mark.parametrize(("value", "shown"), [(0.1, b"0.1"), (1.0, b"1"), (0.5, b"0.5"), (1 / 3, b"0.33333334")])
def test_numbers_as_the_original_shows_them(value, shown):
    """A toxicity is shown as Go shows a float32."""
    assert encode(Fields({"toxicity": value}).number("toxicity", 0)) == shown


@given(st.dictionaries(st.text(), st.none() | st.booleans() | st.integers() | st.text() | st.floats()), st.text())
def test_fields_are_what_they_are_to_be_or_refused(given_fields, name):
    """Each getter returns its own kind or raises a 400; null and what is not there give the default."""
    fields = Fields(given_fields)
    for read, kind in (
        (lambda: fields.text(name.lower(), "x"), str),
        (lambda: fields.flag(name.lower(), default=True), bool),
        (lambda: fields.number(name.lower(), 0.5), (int, float)),
        (lambda: fields.fields(name.lower()), dict),
    ):
        value, refusal = outcome(read)
        assert isinstance(value, kind) if refusal is None else refusal.status == 400


@given(st.lists(st.integers()) | st.text() | st.integers() | st.booleans())
def test_only_objects_have_fields(value):
    """Anything but an object and null is refused."""
    with pytest.raises(ApiError):
        Fields(value)
