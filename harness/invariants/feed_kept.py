"""WS8: a client that keeps up is left alone.

A session ends when its client leaves, when something disturbed it within the last `lookback_ns`, or when the server is
closed. One that ended otherwise was `dropped` (with a close code), `lost`, or given up by its client because the server
had been silent for three of its heartbeats: for no reason of its own, so it was for somebody else's.

Checked: sessions of clients that keep up. Observed: those that ended for no reason.
"""

from dataclasses import dataclass

from harness.history.history import History
from harness.history.query import operations
from harness.invariants.base import none_of
from harness.invariants.feed_findings import Offence, explain
from harness.invariants.feed_record import DEFAULT_FOLLOWING, Following, Session, read_feed
from harness.units import seconds
from harness.verdict import InvariantResult

_HOW = {"closed": "was dropped", "lost": "was lost", "silent": "heard nothing for three heartbeats"}
_ROUND_TRIP_NS = seconds(1)
"""A closing is heard of a little later by clients."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """WS8: no client that keeps up loses its connection without a fault of its own."""

    id: str
    name: str
    statement: str
    lookback_ns: int
    following: Following = DEFAULT_FOLLOWING
    needs_end: bool = False

    def judge(self, history: History) -> InvariantResult:
        """Judge how each session ended."""
        feed = read_feed(history, self.following)
        closings = [
            (one.start_ns, (one.end_ns or history.end_ns) + _ROUND_TRIP_NS) for one in operations(history, "close")
        ]
        sessions = [one for one in feed.sessions if not feed.is_slow(one.host)]
        offences = [
            Offence(one.host, one.label, one.end_ns, _HOW[one.why] + _code(one))
            for one in sessions
            if one.why in _HOW
            and not feed.is_disturbed(one.host, one.end_ns - self.lookback_ns, one.end_ns + 1)
            and not any(start_ns <= one.end_ns <= end_ns for start_ns, end_ns in closings)
        ]
        offences.sort(key=lambda one: one.time_ns)
        return none_of(
            self,
            offences,
            checked=len(sessions),
            unit="sessions",
            explain=lambda: explain(history, offences, "against clients that kept up"),
        )


def _code(session: Session) -> str:
    return "" if session.code is None else f" with {session.code}"


def kept(
    *,
    id: str = "WS8",  # noqa: A002 - as its neighbours
    lookback_ns: int = seconds(5),
    following: Following = DEFAULT_FOLLOWING,
) -> Kept:
    """Declare WS8."""
    statement = "a client that keeps up is left alone, whatever others do"
    return Kept(id=id, name="kept", statement=statement, lookback_ns=lookback_ns, following=following)
