"""What an answer to a health check means. Pure.

Healthy is 200 *and* a JSON object whose `status` says so. A status code alone proves that a web server runs: a proxy's
login page is 200 as well. The words are those of the services themselves (`healthy`, `ok`, `up`) and of the IETF's
draft-inadarei-api-health-check (`pass`, `warn`, `fail`).
"""

import json
from http import HTTPStatus
from typing import Final

from reference_impl._health.model import Reading, State

_HEALTHY: Final = frozenset({"healthy", "ok", "up", "pass"})
_DEGRADED: Final = frozenset({"degraded", "warn"})


def read_answer(status: int, body: bytes) -> Reading:
    """Return what a complete answer says."""
    if status != HTTPStatus.OK:
        return Reading(State.CRITICAL, f"http_{status}")
    try:
        said = json.loads(body)
    except (ValueError, RecursionError):
        return Reading(State.CRITICAL, "not_json")
    word = said.get("status") if isinstance(said, dict) else None
    if not isinstance(word, str):
        return Reading(State.CRITICAL, "no_status")
    word = word.lower()
    if word in _HEALTHY:
        return Reading(State.HEALTHY)
    if word in _DEGRADED:
        return Reading(State.DEGRADED, "says_degraded")
    return Reading(State.CRITICAL, "says_down")
