"""What an answer means: healthy is 200 and JSON that says so, and nothing else is."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reference_impl._health.model import Reading, State
from reference_impl._health.verdict import read_answer

DOWN = State.CRITICAL


@pytest.mark.parametrize("word", ["healthy", "ok", "up", "pass", "HEALTHY", "Ok"])
def test_words_for_health(word: str) -> None:
    """The services' words, and the IETF draft's, in any case."""
    assert read_answer(200, f'{{"status": "{word}"}}'.encode()) == Reading(State.HEALTHY)


@pytest.mark.parametrize("word", ["degraded", "warn"])
def test_words_for_less(word: str) -> None:
    """Working, and not well."""
    assert read_answer(200, f'{{"status": "{word}"}}'.encode()) == Reading(State.DEGRADED, "says_degraded")


@pytest.mark.parametrize(
    ("status", "body", "reason"),
    [
        (500, b'{"status": "healthy"}', "http_500"),
        (503, b'{"status": "degraded"}', "http_503"),
        (204, b"", "http_204"),
        (302, b'{"status": "ok"}', "http_302"),
        (200, b"", "not_json"),
        (200, b"<title>healthy</title>", "not_json"),
        (200, b'{"status": "healthy"', "not_json"),
        (200, b"\xff\xfe", "not_json"),
        (200, b"[" * 100_000, "not_json"),
        (200, b"null", "no_status"),
        (200, b'["healthy"]', "no_status"),
        (200, b'"healthy"', "no_status"),
        (200, b'{"state": "healthy"}', "no_status"),
        (200, b'{"status": true}', "no_status"),
        (200, b'{"status": ["healthy"]}', "no_status"),
        (200, b'{"status": "unhealthy"}', "says_down"),
        (200, b'{"status": "fail"}', "says_down"),
        (200, b'{"status": " healthy"}', "says_down"),
        (200, b'{"status": ""}', "says_down"),
    ],
)
def test_everything_else_is_down(status: int, body: bytes, reason: str) -> None:
    """With a word that says why, and none of the service's own."""
    assert read_answer(status, body) == Reading(DOWN, reason)


@given(st.integers(100, 599), st.binary(max_size=200))
def test_no_answer_is_too_odd(status: int, body: bytes) -> None:
    """Any status and any bytes are judged; a reason is one short word, whatever the service says."""
    reading = read_answer(status, body)
    assert reading.reason == reading.reason.strip()
    assert len(reading.reason) <= 13
    assert (reading.state is State.HEALTHY) == (reading.reason == "")
