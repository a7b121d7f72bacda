"""What answers say about limits, the absurd included."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reference_impl._binance.verdicts import LONGEST, Verdict, read_verdict

NOW = 1_800_000_000.0
WEIGHT = b'{"code": -1003, "msg": "Too many requests; current limit of IP(1.2.3.4) is 1200 requests per minute. Use."}'
BAN = b'{"code": -1003, "msg": "Way too many requests; IP(1.2.3.4) banned until 1800000090500. Please."}'
ORDERS = b'{"code": -1015, "msg": "Too many new orders; current limit is 300 orders per TEN_SECONDS."}'


def verdict(status: int, body: bytes = b"", **headers: str) -> Verdict:
    """Read an answer that came at NOW."""
    return read_verdict(status, {name.replace("_", "-"): text for name, text in headers.items()}, body, server_s=NOW)


@pytest.mark.parametrize(
    ("status", "body", "ruling"),
    [
        (200, b"{}", "fine"),
        (429, WEIGHT, "refused"),
        (429, b"", "refused"),
        (429, ORDERS, "orders_refused"),
        (400, ORDERS, "orders_refused"),
        (418, BAN, "banned"),
        (418, b"<html>", "banned"),
        (403, b"<html>Forbidden</html>", "firewall"),
        (403, b'{"code": -2015, "msg": "Invalid API-key."}', "fine"),
        (503, b'{"code": -1008, "msg": "Request throttled"}', "throttled"),
        (503, b'{"msg": "Unknown error"}', "fine"),
        (500, b"[" * 5_000, "fine"),
        (400, b'{"code": -2019, "msg": "Margin is insufficient."}', "fine"),
    ],
)
def test_rulings(status: int, body: bytes, ruling: str) -> None:
    """Status and code decide, never the text."""
    assert verdict(status, body).ruling == ruling


@pytest.mark.parametrize(
    ("text", "cap"),
    [
        ("is 2400 requests per minute.", (60, 2_400)),
        ("of IP(1.1.1.1) is 200 requests per 5 seconds.", (5, 200)),
        ("is 300 orders per TEN_SECONDS.", (10, 300)),
        ("is 150 orders per FIVE_SECONDS.", (5, 150)),
        ("is 1200 orders per MINUTE.", (60, 1_200)),
        ("is 100 orders per 10 SECOND.", (10, 100)),
        ("is 0 orders per MINUTE.", None),
        ("is 300 orders per ELEVENTY_SECONDS.", None),
        ("is 300 orders per fortnight.", None),
    ],
)
def test_limits_that_refusals_name(text: str, cap: tuple[int, int] | None) -> None:
    """In all the ways in which both markets write them."""
    assert verdict(429, f'{{"code": -1003, "msg": "current limit {text}"}}'.encode()).cap == cap


@pytest.mark.parametrize(
    ("text", "seconds", "note"),
    [
        ("7", 7.0, ""),
        ("0", 0.0, ""),
        ("Fri, 15 Jan 2027 08:00:30 GMT", 30.0, ""),
        ("-5", None, "is no wait"),
        ("nan", None, "is no wait"),
        ("inf", None, "is no wait"),
        ("soon", None, "is not understood"),
        ("99999999999", LONGEST, "the longest ban there is"),
    ],
)
def test_retry_after(text: str, seconds: float | None, note: str) -> None:
    """Seconds or a date; what makes no sense is set aside or cut, and said to be."""
    read = verdict(429, WEIGHT, retry_after=text)
    assert read.retry_after == seconds
    assert note in read.note
    assert bool(note) == bool(read.note)


def test_banned_until() -> None:
    """Milliseconds of the server's time; the past is no ban, a thousand years are cut."""
    assert verdict(418, BAN).until_ms == 1_800_000_090_500
    past = verdict(418, BAN.replace(b"1800000090500", b"1700000000000"))
    assert (past.until_ms, "is no wait" in past.note) == (None, True)
    far = verdict(418, BAN.replace(b"1800000090500", b"9" * 17))
    assert (far.until_ms, "longest" in far.note) == (int((NOW + LONGEST) * 1_000), True)


@given(status=st.integers(100, 599), body=st.binary(max_size=200), text=st.text(max_size=40))
def test_no_answer_breaks_it(status: int, body: bytes, text: str) -> None:
    """Whatever comes, a verdict is read, and no wait is negative or beyond the longest."""
    read = verdict(status, body, retry_after=text)
    assert read.retry_after is None or 0 <= read.retry_after <= LONGEST
