"""WS7: who has no business on the feed is turned away and told why, and only as many get in as there is room for.

Intruders record what became of them in operations `intrude` {client, kind}: {code, status, events, lasted_ns}. Each
kind has the close codes that it may get, an HTTP error at the handshake is as good, and `limit_ns` is how long one may
last; who showed no token must not have been sent any event. `max_clients` is an option of the server (operation
`start`): no more sessions than that may be there at once, each from its welcome to its end for one of both sides.

Checked: intruders, and sessions where there is a cap. Observed: offences.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from harness.history.history import History
from harness.history.query import OperationRecord, operations
from harness.invariants.base import none_of
from harness.invariants.feed_findings import Offence, explain
from harness.invariants.feed_record import DEFAULT_FOLLOWING, Feed, Following, read_feed
from harness.units import human, seconds
from harness.verdict import InvariantResult

_CODES: Final[Mapping[str, tuple[int, ...]]] = {
    "wrong_token": (4401,),
    "no_token": (4401, 4400),
    "late_hello": (4401,),
    "not_a_hello": (4400, 4401),
    "malformed_hello": (4400, 4401),
    "oversized_hello": (1009,),
    "malformed": (4400,),
    "binary": (4400,),
    "oversized": (1009,),
    "flood": (4429,),
}
"""What each kind of intruder may be told; the last four have shown a token before they misbehave."""
_ADMITTED: Final = ("malformed", "binary", "oversized", "flood")
_FULL: Final = 1013
"""Anyone may be told that there is no room."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Guarded:
    """WS7: intruders are turned away within `limit_ns` with a reason, and see nothing; the cap holds."""

    id: str
    name: str
    statement: str
    limit_ns: int
    codes: Mapping[str, tuple[int, ...]] = field(default_factory=lambda: _CODES)
    following: Following = DEFAULT_FOLLOWING
    needs_end: bool = False

    def judge(self, history: History) -> InvariantResult:
        """Judge each intruder, and the number of sessions over time."""
        feed = read_feed(history, self.following)
        intruders = [one for one in operations(history, "intrude") if one.outcome == "ok"]
        offences = [offence for one in intruders for offence in self._intruder(history, feed, one)]
        cap = feed.options.get("max_clients")
        offences += [] if cap is None else _over(feed, int(cap))
        offences.sort(key=lambda one: one.time_ns)
        return none_of(
            self,
            offences,
            checked=len(intruders) + (0 if cap is None else len(feed.sessions)),
            unit="offences",
            explain=lambda: explain(history, offences, "against who may be on the feed"),
        )

    def _intruder(self, history: History, feed: Feed, one: OperationRecord) -> Iterator[Offence]:
        value, told = one.value, one.result or {}
        kind, code, status = str(value["kind"]), told.get("code"), told.get("status")
        assert one.end_ns is not None
        label = f"{value['client']} ({kind})"
        if kind not in _ADMITTED and told.get("events"):
            yield Offence(one.actor, label, one.end_ns, f"was sent {told['events']} events without a token")
        if feed.is_disturbed(one.actor, one.start_ns, one.end_ns):
            return
        if told.get("lasted_ns", 0) > self.limit_ns + feed.slack_ns:
            yield Offence(one.actor, label, one.end_ns, f"was there for {human(told['lasted_ns'])}")
        elif status is None and code not in (*self.codes[kind], _FULL) and not _closes(history, feed, one):
            said = "the connection just ended" if code is None else f"was told {code}"
            yield Offence(one.actor, label, one.end_ns, f"{said}, not {' or '.join(map(str, self.codes[kind]))}")


def _closes(history: History, feed: Feed, one: OperationRecord) -> bool:
    """Tell whether the server was being closed, or not yet open again, when the intruder was told something.

    Where it is reached through a proxy, who comes in between is let in by that, and the connection then just ends.
    """
    assert one.end_ns is not None
    opened = [start.end_ns for start in operations(history, "start") if start.end_ns is not None]
    return any(
        close.start_ns <= one.end_ns
        and one.start_ns <= min((at for at in opened if at > close.start_ns), default=history.end_ns) + feed.slack_ns
        for close in operations(history, "close")
    )


def _over(feed: Feed, cap: int) -> Iterator[Offence]:
    """Yield each welcome with which there were more than `cap` sessions."""
    served = {(one.client, one.session): one.end_ns for one in feed.served}
    changes: list[tuple[int, int, str, str]] = []
    for session in feed.sessions:
        end_ns = min(session.end_ns, served.get((session.client, session.number)) or session.end_ns)
        changes += [(session.ready_ns, 1, session.host, session.label), (end_ns, -1, session.host, session.label)]
    there = 0
    for time_ns, change, host, label in sorted(changes):
        there += change
        if change > 0 and there > cap:
            yield Offence(host, label, time_ns, f"was let in as number {there}, and there is room for {cap}", there)


def guarded(
    *,
    id: str = "WS7",  # noqa: A002 - as its neighbours
    limit_ns: int = seconds(4),
    following: Following = DEFAULT_FOLLOWING,
) -> Guarded:
    """Declare WS7."""
    statement = f"who has no token, or misbehaves, is turned away within {human(limit_ns)}, and the cap holds"
    return Guarded(id=id, name="guarded", statement=statement, limit_ns=limit_ns, following=following)
