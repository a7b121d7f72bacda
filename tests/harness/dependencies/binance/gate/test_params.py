"""Parameters and signatures: Binance's documented rules, and the standard library's reading of the same bytes."""

import hmac
from urllib.parse import parse_qsl, quote_plus, urlencode

import hypothesis.strategies as st
import pytest
from hypothesis import given

from harness.dependencies.binance.gate.errors import Reject
from harness.dependencies.binance.gate.params import authenticate, check_time, parse
from harness.dependencies.binance.wire import Request

SECRET = b"shh"
NOW_MS = 1_700_000_040_000


def request(query: bytes = b"", body: bytes = b"", **headers: str) -> Request:
    """A request with these raw parts."""
    return Request(method="POST", path="/fapi/v1/order", query=query, body=body, headers=headers)


def sign(payload: bytes) -> bytes:
    """The signature of a payload."""
    return hmac.new(SECRET, payload, "sha256").hexdigest().encode()


def code_of(made: Request, wall_ms: int = NOW_MS, *, key: str = "key", signed: bool = True) -> int | None:
    """The code that authentication refuses it with; None if it lets it in."""
    try:
        authenticate(parse(made), made.headers, wall_ms, key=key, secret=SECRET, signed=signed)
    except Reject as refusal:
        return refusal.code
    return None


def test_parameters_come_from_query_and_body() -> None:
    """Documented: either, or both; the query wins where both have one."""
    made = parse(request(b"symbol=A&side=BUY", b"symbol=B&quantity=1"))
    assert (made.values, made.refusal) == ({"symbol": "A", "side": "BUY", "quantity": "1"}, None)


@pytest.mark.parametrize(
    ("query", "body", "code"),
    [
        (b"symbol=A&symbol=A", b"", -1101),
        (b"", b"symbol=A&side=BUY&symbol=B", -1101),
        (b"a=1&signature=x&signature=y", b"", -1101),
        (b"symbol=", b"", -1105),
        (b"symbol", b"", -1105),
        (b"&".join(b"p%d=1" % each for each in range(300)), b"", -1101),
    ],
)
def test_malformed_parameters_are_refused_by_their_code(query: bytes, body: bytes, code: int) -> None:
    """Duplicates, empty ones, and too many."""
    refusal = parse(request(query, body)).refusal
    assert refusal is not None
    assert refusal.code == code


def test_a_json_body_is_no_parameters_but_is_signed() -> None:
    """What is sent is covered by the signature, whatever is made of it."""
    made = parse(request(b"symbol=A", b'{"b":1}', **{"content-type": "application/json"}))
    assert (made.values, made.payload) == ({"symbol": "A"}, b'symbol=A{"b":1}')


@given(st.lists(st.tuples(st.text(min_size=1, max_size=6), st.text(min_size=1, max_size=8)), max_size=6))
def test_encoded_parameters_read_as_the_standard_library_reads_them(pairs: list[tuple[str, str]]) -> None:
    """Percent signs, pluses and any character, as form encoding has them."""
    unique = {name: value for name, value in pairs if name != "signature"}
    query = urlencode(unique).encode()
    made = parse(request(query))
    assert made.refusal is None
    assert made.values == dict(parse_qsl(query.decode(), keep_blank_values=True)) == unique
    assert made.payload == query


@given(query=st.binary(max_size=80), body=st.binary(max_size=80))
def test_no_bytes_break_the_parser(query: bytes, body: bytes) -> None:
    """Whatever comes, there is either a value for each name or a refusal; authentication refuses or lets in."""
    made = parse(request(query, body))
    assert all(isinstance(value, str) for value in made.values.values())
    assert code_of(request(query, body, **{"x-mbx-apikey": "key"})) in {-1100, -1102, -1022, -1021, -1131}


PLAIN = b"symbol=A&timestamp=%d" % NOW_MS


@pytest.mark.parametrize(
    ("query", "body"),
    [
        (PLAIN + b"&signature=" + sign(PLAIN), b""),
        (b"", PLAIN + b"&signature=" + sign(PLAIN)),
        (b"symbol=A", b"timestamp=%d&signature=" % NOW_MS + sign(b"symbol=Atimestamp=%d" % NOW_MS)),
        (b"symbol=A&signature=" + sign(b"symbol=Atimestamp=%d" % NOW_MS), b"timestamp=%d" % NOW_MS),
        (b"symbol=A", b"signature=" + sign(b"symbol=A")),
        (b"signature=" + sign(PLAIN) + b"&" + PLAIN, b""),
        (b"symbol=A&signature=" + sign(PLAIN) + b"&timestamp=%d" % NOW_MS, b""),
        (PLAIN + b"&signature=" + sign(PLAIN).upper(), b""),
    ],
    ids=["query", "body", "mixed", "signature-in-query", "incomplete", "first", "middle", "upper-case"],
)
def test_the_signature_covers_the_raw_query_and_body(query: bytes, body: bytes) -> None:
    """Both as they were sent, put together without anything between, less the signature itself."""
    made = request(query, body, **{"x-mbx-apikey": "key"})
    expected = None if b"timestamp" in query + body else -1102
    assert code_of(made) == expected


@pytest.mark.parametrize(
    "query",
    [
        PLAIN + b"&signature=" + sign(PLAIN + b" "),
        PLAIN + b"&signature=" + sign(PLAIN) + b"&quantity=9",
        b"quantity=9&" + PLAIN + b"&signature=" + sign(PLAIN),
        b"symbol=%41&timestamp=" + b"%d" % NOW_MS + b"&signature=" + sign(PLAIN),
        PLAIN + b"&signature=" + sign(PLAIN)[:-1],
        PLAIN + b"&signature=%C3%A4",
    ],
    ids=["other-payload", "added-after", "added-before", "other-encoding", "short", "not-hex"],
)
def test_anything_else_is_not_covered(query: bytes) -> None:
    """Not even the same parameters in another encoding: the raw bytes count."""
    assert code_of(request(query, **{"x-mbx-apikey": "key"})) == -1022


@pytest.mark.parametrize(
    ("headers", "signed", "code"),
    [
        ({}, False, -2014),
        ({"x-mbx-apikey": ""}, True, -2014),
        ({"x-mbx-apikey": "no spaces"}, True, -2014),
        ({"x-mbx-apikey": "other"}, False, -2015),
        ({"x-mbx-apikey": "key"}, False, None),
        ({"x-mbx-apikey": "key"}, True, -1102),
    ],
)
def test_the_api_key_comes_first(headers: dict[str, str], signed: bool, code: int | None) -> None:
    """A malformed key, an unknown key, and the right one: for streams it is enough."""
    assert code_of(request(**headers), signed=signed) == code


@pytest.mark.parametrize(("query", "missing"), [(b"a=1", "timestamp"), (b"timestamp=1", "signature")])
def test_what_is_mandatory_is_named(query: bytes, missing: str) -> None:
    """Both are needed, the timestamp first."""
    made = request(query, **{"x-mbx-apikey": "key"})
    with pytest.raises(Reject, match=f"Mandatory parameter '{missing}' was not sent, was empty/null, or malformed."):
        authenticate(parse(made), made.headers, NOW_MS, key="key", secret=SECRET, signed=True)


@pytest.mark.parametrize(
    ("timestamp", "recv_window", "text"),
    [
        (NOW_MS + 999, None, None),
        (NOW_MS + 1_000, None, "Timestamp for this request was 1000ms ahead of the server's time."),
        (NOW_MS - 5_000, None, None),
        (NOW_MS - 5_001, None, "Timestamp for this request is outside of the recvWindow."),
        (NOW_MS - 60_000, "60000", None),
        (NOW_MS - 1, "0", "Timestamp for this request is outside of the recvWindow."),
        (NOW_MS, "0", None),
        (NOW_MS, "60001", "recvWindow must be less than 60000."),
        (NOW_MS * 1_000 + 999, None, None),
        ("12x", None, "Illegal characters found in parameter 'timestamp'; legal range is '^[0-9]{1,20}$'."),
        ("-5", None, "Illegal characters found in parameter 'timestamp'; legal range is '^[0-9]{1,20}$'."),
        ("\u0661" * 13, None, "Illegal characters found in parameter 'timestamp'; legal range is '^[0-9]{1,20}$'."),
        (NOW_MS, "5.5", "Illegal characters found in parameter 'recvWindow'; legal range is '^[0-9]{1,20}$'."),
    ],
)
def test_the_timestamp_rule(timestamp: int | str, recv_window: str | None, text: str | None) -> None:
    """`ts < server + 1000 and server - ts <= recvWindow`, each bound from both sides."""
    if text is None:
        check_time(str(timestamp), recv_window, NOW_MS)
        return
    with pytest.raises(Reject) as refused:
        check_time(str(timestamp), recv_window, NOW_MS)
    assert (refused.value.text, refused.value.status) == (text, 400)


def test_names_are_decoded_as_well() -> None:
    """Clients quote what need not be quoted."""
    assert parse(request(quote_plus("a b").encode() + b"=1")).values == {"a b": "1"}
