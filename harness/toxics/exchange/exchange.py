"""One followed conversation: which request each reply belongs to, and what matching toxics make of both.

The exchange stands at the entrance of a conduit, before all byte toxics, in both directions. Bytes that no rule takes
leave it as they came. It holds back what cannot be judged yet, which is an unfinished head or line: no server acts on
such a thing and no client can read it, so nobody can tell.
"""

from harness.toxics.base import Active, Dice, Direction, Signal
from harness.toxics.exchange.match import Match
from harness.toxics.exchange.open_requests import OpenRequests
from harness.toxics.exchange.outlet import Outlet
from harness.toxics.exchange.reply_side import ReplySide
from harness.toxics.exchange.request_side import RequestSide
from harness.toxics.exchange.rules import Rule
from harness.toxics.exchange.shapes import ReplyScanner, RequestScanner


class Exchange:
    """Follows one connection. Methods put into `out` what leaves it; a conduit lets nothing pass after a reset."""

    __slots__ = ("_open", "_replies", "_requests")

    def __init__(self, requests: RequestScanner, replies: ReplyScanner) -> None:
        self._open = OpenRequests()
        self._requests = RequestSide(requests, self._open)
        self._replies = ReplySide(replies, self._open)

    @property
    def due_ns(self) -> int | None:
        """When `wake` wants to be called."""
        return self._replies.late.due_ns

    @property
    def is_needless(self) -> bool:
        """True once everything is passed on untouched for good, and nothing is held."""
        return self._replies.is_lost and self._replies.is_plain and self._requests.is_plain

    @property
    def backlog(self) -> int:
        """About how many bytes the open requests take, since each has to be remembered until its reply has come."""
        return 0 if self._replies.is_lost else self._open.held

    def held(self, direction: Direction) -> int:
        """Return how many bytes of that direction have been taken in and neither passed on nor dropped."""
        if direction == "upstream":
            return len(self._requests.held)
        return len(self._replies.held) + self._replies.late.held

    def add(self, active: Active, match: Match, dice: Dice) -> None:
        """Have one more matching toxic, behind those there are."""
        if self._requests.stops:
            active.effects["unfollowed"] += 1
        else:
            self._requests.rules.append(Rule(active, match, dice))

    def change(self, active: Active, match: Match) -> None:
        """A matching toxic was given other attributes."""
        for rule in self._requests.rules:
            if rule.active is active:
                rule.change(match)

    def remove(self, active: Active, out: Outlet) -> None:
        """Take a matching toxic out. Replies it waited for pass; those it delayed go on their way."""
        rules = self._requests.rules
        for rule in [rule for rule in rules if rule.active is active]:
            rules.remove(rule)
            self._replies.forget(rule, out)

    def feed(self, direction: Direction, now_ns: int, data: bytes, out: Outlet) -> None:
        """Bytes have arrived from the sender of that direction."""
        if self._is_over:
            return
        if direction == "upstream":
            self._requests.feed(data, out)
            self._replies.settle(now_ns, out)
        else:
            self._replies.feed(now_ns, data, out)
        self._stop_where_it_ends(now_ns, out)

    def finish(self, direction: Direction, now_ns: int, out: Outlet) -> None:
        """The sender of that direction has closed its side. An unfinished head or line goes on its way.

        The client's end is always passed on, the server's not behind a lost reply.
        """
        if self._is_over:
            return
        if direction == "upstream":
            self._requests.flush(out)
            out.upstream.append(Signal.END)
        else:
            self._replies.finish(now_ns, out)

    def wake(self, now_ns: int, out: Outlet) -> None:
        """`due_ns` has come."""
        self._replies.late.pop(now_ns, out.downstream)

    @property
    def _is_over(self) -> bool:
        return self._requests.is_over or self._replies.is_over

    def _stop_where_it_ends(self, now_ns: int, out: Outlet) -> None:
        """Replies cannot be followed without requests, once those before are answered, nor requests without replies."""
        if self._requests.stops and self._replies.is_at_rest:
            self._replies.is_lost = True
        if self._replies.is_lost:
            self._requests.stop()
            self._requests.flush(out)
            self._replies.flush(now_ns, out)
