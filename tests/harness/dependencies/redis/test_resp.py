"""The request parser: however bytes are cut, the same requests; whatever they are, no crash."""

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.dependencies.redis.resp import RequestParser, bulks, double, encode

REQUESTS = st.lists(st.lists(st.binary(max_size=20), min_size=1, max_size=5), max_size=6)


def parse(chunks):
    """Return (requests, error text or None)."""
    parser = RequestParser()
    for chunk in chunks:
        parser.feed(chunk)
    return list(parser.requests), None if parser.problem is None else str(parser.problem)


def cut(data, places):
    """Cut bytes at the given places."""
    marks = sorted({0, len(data), *(place % (len(data) + 1) for place in places)})
    return [data[start:end] for start, end in itertools.pairwise(marks)]


@settings(deadline=None)
@given(requests=REQUESTS, places=st.lists(st.integers(0, 1000), max_size=8))
def test_requests_survive_any_cutting(requests, places):
    """What was packed comes out, wherever the network cuts it, payloads that look like RESP included."""
    data = b"".join(map(bulks, requests))
    assert parse(cut(data, places)) == (requests, None)


@settings(deadline=None, max_examples=300)
@given(
    pieces=st.lists(
        st.sampled_from([b"*1\r\n", b"*2\r\n", b"$4\r\n", b"PING\r\n", b"$-1\r\n", b"+x\r\n", b":1\r\n", b"*x\r\n"])
        | st.sampled_from([b'"', b" ", b"\r\n", b"*9999999999\r\n", b"$99999999999999999999\r\n", b"*0\r\n", b"%1\r\n"])
        | st.binary(max_size=4),
        max_size=10,
    ),
    places=st.lists(st.integers(0, 100), max_size=4),
)
def test_garbage_never_crashes_and_cutting_changes_nothing(pieces, places):
    """Malformed input gives requests and perhaps one protocol error, the same in one piece and in many."""
    data = b"".join(pieces)
    whole = parse([data])
    assert parse(cut(data, places)) == whole
    assert all(type(argument) is bytes for request in whole[0] for argument in request)


def test_a_map_with_an_array_as_key_is_a_protocol_error():
    """What hiredis cannot even build is refused like any other request that is none."""
    assert parse([b"*1\r\n%1\r\n*1\r\n"]) == ([], "expected '$', got '%'")


def test_an_unfinished_request_that_is_wrong_already_is_refused_at_once():
    """A request inside a request is an error as soon as it begins, after whole requests too."""
    whole = bulks([b"PING"])
    assert parse([whole + b"*1\r\n*1\r\n"]) == ([[b"PING"]], "expected '$', got '*'")
    assert parse([whole, b"*2\r\n$1\r\na\r\n:"]) == ([[b"PING"]], "expected '$', got ':'")


@pytest.mark.parametrize("cuts", [[2], [5], [2, 5]])
def test_an_announced_giant_makes_no_room_for_itself(cuts):
    """`*2000000000` in any number of pieces must not allocate two thousand million arguments."""
    assert parse(cut(b"*2000000000\r\n$4\r\nPING\r\n", cuts)) == ([], None)


def test_too_much_of_one_request_is_an_error():
    """An unfinished request is given up at the limit."""
    parser = RequestParser()
    for piece in (b"*1\r\n$60000000\r\n", b"x" * 59_000_000, b"x" * 900_000):
        parser.feed(piece)
        assert not parser.requests
        assert parser.problem is None
    assert parse([b"*1\r\n$70000000\r\n"]) == ([], "invalid bulk length")


@pytest.mark.parametrize(
    ("value", "text"),
    [(1.0, b"1"), (1.5, b"1.5"), (0.1, b"0.1"), (1e20, b"1e+20"), (float("inf"), b"inf"), (float("-inf"), b"-inf")],
)
def test_doubles_are_printed_as_redis_does(value, text):
    """Whole doubles lose their point, others are as short as they can be."""
    assert double(value) == text


def test_values_have_one_encoding_per_protocol():
    """Null, map and double differ between RESP2 and RESP3, the rest does not."""
    value = [1, b"a", None, {"k": 1.5}, True]
    assert encode(value, resp3=False) == b"*5\r\n:1\r\n$1\r\na\r\n$-1\r\n*2\r\n$1\r\nk\r\n$3\r\n1.5\r\n:1\r\n"
    assert encode(value, resp3=True) == b"*5\r\n:1\r\n$1\r\na\r\n_\r\n%1\r\n$1\r\nk\r\n,1.5\r\n#t\r\n"
