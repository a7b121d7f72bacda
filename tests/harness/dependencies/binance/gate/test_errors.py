"""The table of error bodies against the facts page, and the exception that carries them."""

import json
import subprocess
import sys

import pytest

from harness.dependencies.binance.gate import errors
from harness.dependencies.binance.gate.errors import ERRORS, HTML, UNAVAILABLE, ErrorBody, Reject

FACTS = [
    (-1006, 400, "An unexpected response was received from the message bus. Execution status unknown."),
    (-1007, 408, "Timeout waiting for response from backend server. Send status unknown; execution status unknown."),
    (
        -1008,
        503,
        "Request throttled by system-level protection. Reduce-only/close-position orders are exempt. Please try again.",
    ),
    (-1021, 400, "Timestamp for this request is outside of the recvWindow."),
    (-1022, 400, "Signature for this request is not valid."),
    (-2010, 400, "Account has insufficient balance for requested action."),
    (-2011, 400, "Unknown order sent."),
    (-2013, 400, "Order does not exist."),
    (-2019, 400, "Margin is insufficient."),
    (-2022, 400, "ReduceOnly Order is rejected."),
    (-4003, 400, "Quantity less than zero."),
    (-4116, 400, "ClientOrderId is duplicated."),
    (
        -4120,
        400,
        "Order type not supported for this endpoint. Please use the Algo Order API endpoints instead.",
    ),
]
VARIANTS = [
    ("A", "Unknown error, please check your request or try again later."),
    ("B", "Service Unavailable."),
    ("C", FACTS[2][2]),
    ("D", "Internal error; unable to process your request. Please try again."),
]


@pytest.mark.parametrize(("code", "status", "text"), FACTS)
def test_a_code_has_the_documented_status_and_text(code: int, status: int, text: str) -> None:
    """Clients match on these three; the facts page is the source."""
    assert (Reject(code).code, Reject(code).status, Reject(code).text) == (code, status, text)
    assert json.loads(Reject(code).body) == {"code": code, "msg": text}


@pytest.mark.parametrize(("letter", "text"), VARIANTS)
def test_each_variant_of_503_has_its_text(letter: str, text: str) -> None:
    """The variants differ only by text, and what they mean differs a lot."""
    assert UNAVAILABLE[letter].status == 503
    assert json.loads(UNAVAILABLE[letter].body())["msg"] == text


@pytest.mark.parametrize(("letter", "text"), VARIANTS[:2])
def test_variants_a_and_b_have_no_code(letter: str, text: str) -> None:
    """A client that indexes `code` must meet its absence, as users did; what they mean only the text tells."""
    assert json.loads(UNAVAILABLE[letter].body()) == {"msg": text}
    assert json.loads(Reject.of(UNAVAILABLE[letter]).body) == {"msg": text}


def test_limits_and_bans_say_whom_and_how_long() -> None:
    """Clients parse the address, the limit and the end of the ban out of these texts."""
    assert Reject(-1003, ip="1.2.3.4", limit=2400, window="minute").text == (
        "Too many requests; current limit of IP(1.2.3.4) is 2400 requests per minute. "
        "Please use the websocket for live updates to avoid polling the API."
    )
    assert Reject(-1015, limit=300, window="TEN_SECONDS").text == (
        "Too many new orders; current limit is 300 orders per TEN_SECONDS."
    )
    banned = Reject.of(errors.BANNED, ip="1.2.3.4", until_ms=1_700_000_000_000)
    assert (banned.code, banned.status) == (-1003, 418)
    assert banned.text == (
        "Way too many requests; IP(1.2.3.4) banned until 1700000000000. "
        "Please use the websocket for live updates to avoid bans."
    )


def test_the_firewall_answers_html() -> None:
    """A client that parses the body of a 403 as JSON must fail here as it would there."""
    made = Reject.of(errors.FIREWALL)
    assert (made.status, made.content_type) == (403, HTML)
    assert made.body.startswith(b"<html>")


def test_text_and_status_of_the_caller_win() -> None:
    """The market words some refusals itself, and -1015 was seen at 400 as well."""
    made = Reject(-1015, status=400, limit=300, window="TEN_SECONDS")
    assert (made.code, made.status) == (-1015, 400)
    assert (Reject(-9999, "made up").status, Reject(-9999, "made up").text) == (400, "made up")
    assert Reject(-2010, "Duplicate order sent.").body == errors.DUPLICATE_SPOT_ORDER.body()


def test_a_code_without_a_text_or_a_field_is_an_error_of_the_caller() -> None:
    """A typo in the emulator must not become an answer."""
    with pytest.raises(KeyError):
        Reject(-9999)
    with pytest.raises(KeyError):
        Reject(-1102)


def test_every_body_can_be_encoded() -> None:
    """No template has a stray brace."""
    fields = errors.EXAMPLE_FIELDS
    named = [value for value in vars(errors).values() if isinstance(value, ErrorBody)]
    assert len(named) >= 9
    for error in (*ERRORS.values(), *named):
        assert error.body(**fields)


def test_the_table_is_imported_alone() -> None:
    """Unit tests of httpx users import it through respx routes; it must not bring the emulator along."""
    seen = subprocess.run(
        [
            sys.executable,
            "-c",
            "import sys, harness.dependencies.binance.gate.errors; print([m for m in sys.modules if 'harness' in m])",
        ],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    assert "exchange" not in seen
