"""One followed conversation: which request each reply belongs to, and what matching toxics make of both.

The exchange stands at the entrance of a conduit, before all byte toxics, in both directions. Bytes that no rule takes
leave it as they came. It holds back what cannot be judged yet, which is an unfinished head or line: no server acts on
such a thing and no client can read it, so nobody can tell.
"""

from typing import Final

from harness.toxics.base import Active, Dice, Direction, Item, Signal
from harness.toxics.exchange.late import Late
from harness.toxics.exchange.match import ON_REPLY, Match
from harness.toxics.exchange.open_requests import OpenRequest, OpenRequests
from harness.toxics.exchange.rules import Rule
from harness.toxics.exchange.shapes import Begins, ReplyScanner, Request, RequestScanner, Unfollowable

_MILLISECOND_NS: Final = 1_000_000


class Outlet:
    """What leaves an exchange, by direction."""

    __slots__ = ("downstream", "upstream")

    def __init__(self) -> None:
        self.upstream: list[Item] = []
        self.downstream: list[Item] = []


class Exchange:
    """Follows one connection. Methods say what leaves it, as `Conduit`'s do; nothing does after a reset or close."""

    __slots__ = (
        "_answering",
        "_cut",
        "_cut_after",
        "_deaf",
        "_downstream_held",
        "_is_between",
        "_is_lost",
        "_is_over",
        "_late",
        "_mute",
        "_open",
        "_replies",
        "_requests",
        "_rules",
        "_stops",
        "_swallowed",
        "_upstream_held",
    )

    def __init__(self, requests: RequestScanner, replies: ReplyScanner) -> None:
        self._requests = requests
        self._replies = replies
        self._rules: list[Rule] = []
        self._open = OpenRequests()
        self._late = Late()
        self._upstream_held = b""
        self._downstream_held = b""
        self._is_over = False
        self._stops = False  # requests cannot be followed any more; the replies to those before still can
        self._is_lost = False  # nor can replies
        self._deaf: Rule | None = None  # the server hears nothing any more, by this rule
        self._mute: Rule | None = None  # the client hears nothing any more, by this rule
        self._swallowed: OpenRequest | None = None  # the request under way is not for the server
        self._is_between = True  # no message from the server is under way
        self._answering = False  # the one under way answers the oldest request
        self._cut: Rule | None = None  # the connection ends within the reply under way, by this rule
        self._cut_after = 0  # bytes of it that still get through

    @property
    def due_ns(self) -> int | None:
        """When `wake` wants to be called."""
        return self._late.due_ns

    @property
    def is_needless(self) -> bool:
        """True once everything is passed on untouched for good, and nothing is held."""
        return (
            self._is_lost
            and not (self._deaf or self._mute or self._swallowed or self._late.held)
            and self._late.due_ns is None
        )

    @property
    def backlog(self) -> int:
        """About how many bytes the open requests take, since each has to be remembered until its reply has come."""
        return 0 if self._is_lost else self._open.held

    def held(self, direction: Direction) -> int:
        """Return how many bytes of that direction have been taken in and neither passed on nor dropped."""
        if direction == "upstream":
            return len(self._upstream_held)
        return len(self._downstream_held) + self._late.held

    def add(self, active: Active, match: Match, dice: Dice) -> None:
        """Have one more matching toxic, behind those there are."""
        if self._stops:
            active.effects["unfollowed"] += 1
        else:
            self._rules.append(Rule(active, match, dice))

    def change(self, active: Active, match: Match) -> None:
        """A matching toxic was given other attributes."""
        for rule in self._rules:
            if rule.active is active:
                rule.change(match)

    def remove(self, active: Active, out: Outlet) -> None:
        """Take a matching toxic out. Replies it waited for pass; those it delayed go on their way.

        Answers that were promised are still given, and a connection that lost something stays silent behind it.
        """
        for rule in [rule for rule in self._rules if rule.active is active]:
            self._rules.remove(rule)
            self._open.forget(rule)
            if self._cut is rule:
                self._cut = None
            if rule.match.action == "delay_reply":
                self._late.release(out.downstream)

    def feed(self, direction: Direction, now_ns: int, data: bytes, out: Outlet) -> None:
        """Bytes have arrived from the sender of that direction."""
        if self._is_over:
            return
        if direction == "downstream":
            self._late.pop(now_ns, out.downstream)
            self._feed_downstream(now_ns, data, out)
        elif self._deaf is not None:
            self._deaf.effects["dropped"] += len(data)
        else:
            self._feed_upstream(now_ns, data, out)

    def finish(self, direction: Direction, now_ns: int, out: Outlet) -> None:
        """The sender of that direction has closed its side. An unfinished head or line goes on its way.

        Behind a lost reply the client does not hear of the end either. The client's own end is always passed on.
        """
        if self._is_over:
            return
        self._flush_held(direction, now_ns, out)
        if direction == "upstream":
            out.upstream.append(Signal.END)
        elif self._mute is not None:
            self._mute.effects["ends"] += 1
        elif self._cut is not None:  # this is where the reply ends
            self._end_within_reply(self._cut, now_ns, out)
        else:
            self._late.push(now_ns, Signal.END, out.downstream)

    def wake(self, now_ns: int, out: Outlet) -> None:
        """`due_ns` has come."""
        self._late.pop(now_ns, out.downstream)

    # -- requests

    def _feed_upstream(self, now_ns: int, data: bytes, out: Outlet) -> None:
        data = self._upstream_held + data
        self._upstream_held = b""
        position = sent = 0
        size = len(data)
        while position < size and not (self._stops and self._swallowed is None):
            try:
                span = self._requests.next(data, position)
            except Unfollowable:
                self._swallowed = None
                self._stop_following(now_ns, out)
                break
            if span is None:
                self._upstream_held = data[position:]
                size = position
                break
            end, request, ends = span
            if request is not None and (rule := self._interceptor(request)) is not None:
                if position > sent:
                    out.upstream.append(data[sent:position])
                sent = position
                if self._intercept(rule, request, len(data) - position, out):
                    return
            position = end
            if self._swallowed is not None:
                sent = end
                if ends:
                    self._swallowed.is_complete = True
                    self._swallowed = None
                    self._settle(now_ns, out)
        if size > sent:
            out.upstream.append(data[sent:size])

    def _interceptor(self, request: Request) -> Rule | None:
        """Return the rule that keeps this request from the server, None after having noted that it will get there."""
        for rule in self._rules:
            if rule.takes(request):
                if rule.match.action not in ON_REPLY:
                    return rule
                break
        else:
            rule = None
        self._open.forwarded(request.tag, rule)
        return None

    def _intercept(self, rule: Rule, request: Request, size: int, out: Outlet) -> bool:
        """Keep a request from the server. True if nothing goes there any more, `size` bytes already included."""
        action = rule.match.action
        if action == "answer":
            self._swallowed = self._open.answered(request.tag, rule, rule.match.answer(request))
            return False
        if action == "drop_request":
            rule.effects["dropped_requests"] += 1
            rule.effects["dropped"] += size
            self._deaf = rule
        else:
            self._reset(rule, out.upstream)
        return True

    # -- replies

    def _feed_downstream(self, now_ns: int, data: bytes, out: Outlet) -> None:
        data = self._downstream_held + data
        self._downstream_held = b""
        position = sent = 0
        size = len(data)
        while position < size and not self._is_lost:
            oldest = self._open.oldest
            tag = None if oldest is None or oldest.answer is not None else oldest.tag
            try:
                span = self._replies.next(data, position, tag)
            except Unfollowable:
                self._lose(now_ns, out)
                break
            if span is None:
                self._downstream_held = data[position:]
                size = position
                break
            end, begins, ends, leaves = span
            if begins is not None:
                self._is_between = False
                self._answering = begins is not Begins.ASIDE
                if self._answering and oldest is not None and oldest.rule is not None:
                    self._pass_on(now_ns, data[sent:position], out)
                    sent = position
                    self._begin_reply(oldest.rule, now_ns, out)
            if self._cut is not None:
                if ends or end - position >= self._cut_after:
                    self._pass_on(now_ns, data[sent : min(end, position + self._cut_after)], out)
                    self._end_within_reply(self._cut, now_ns, out)
                self._cut_after -= end - position
            if self._is_over:
                return
            position = end
            if ends and (self._end_message() or leaves):
                self._pass_on(now_ns, data[sent:position], out)
                sent = position
                (self._lose if leaves else self._settle)(now_ns, out)
        self._pass_on(now_ns, data[sent:size], out)

    def _begin_reply(self, rule: Rule, now_ns: int, out: Outlet) -> None:
        """A reply has come that a rule waits for."""
        action = rule.match.action
        if action == "drop_reply":
            rule.effects["dropped_replies"] += 1
            self._mute = self._mute or rule
        elif self._mute is not None:
            return  # it is lost behind the one that was dropped
        elif action == "reset_after":
            self._reset(rule, out.downstream)
        elif action == "delay_reply":
            rule.effects["delayed_replies"] += 1
            self._late.delay(now_ns + rule.match.delay * _MILLISECOND_NS)
        else:
            self._cut = rule
            self._cut_after = rule.match.after_bytes

    def _end_message(self) -> bool:
        """Note that the message under way is complete. True if there is something to settle before the next one."""
        self._is_between = True
        if not self._answering:
            oldest = self._open.oldest
            return self._stops or (oldest is not None and oldest.answer is not None)
        self._answering = False
        self._open.pop()
        oldest = self._open.oldest
        return self._stops if oldest is None else oldest.answer is not None

    def _settle(self, now_ns: int, out: Outlet) -> None:
        """Between two messages of the server: give answers of ours whose turn has come, stop where it ends."""
        if not self._is_between:
            return
        while (oldest := self._open.oldest) is not None and oldest.answer is not None and oldest.is_complete:
            if self._mute is None and oldest.rule is not None:
                oldest.rule.effects["answered"] += 1
            self._pass_on(now_ns, oldest.answer, out)
            self._open.pop()
        if oldest is None and self._stops:
            self._lose(now_ns, out)

    def _pass_on(self, now_ns: int, data: bytes, out: Outlet) -> None:
        if not data:
            return
        if self._mute is not None:
            self._mute.effects["dropped"] += len(data)
        else:
            self._late.push(now_ns, data, out.downstream)

    # -- ends

    def _end_within_reply(self, rule: Rule, now_ns: int, out: Outlet) -> None:
        if rule.match.action == "reset_mid_reply":
            self._reset(rule, out.downstream)
            return
        rule.effects["closed"] += 1
        self._late.push(now_ns, Signal.CLOSE, out.downstream)
        self._is_over = True

    def _reset(self, rule: Rule, out: list[Item]) -> None:
        rule.effects["reset"] += 1
        self._late.release([])
        out.append(Signal.RESET)
        self._is_over = True

    def _stop_following(self, now_ns: int, out: Outlet) -> None:
        """Requests cannot be told apart from here on."""
        if not self._stops:
            self._stops = True
            for rule in self._rules:
                rule.effects["unfollowed"] += 1
        self._settle(now_ns, out)

    def _lose(self, now_ns: int, out: Outlet) -> None:
        """Replies cannot be told apart from here on, so requests need not be."""
        if not self._is_lost:
            self._is_lost = True
            self._stop_following(now_ns, out)
            self._flush_held("upstream", now_ns, out)
            self._flush_held("downstream", now_ns, out)

    def _flush_held(self, direction: Direction, now_ns: int, out: Outlet) -> None:
        if direction == "upstream":
            data, self._upstream_held = self._upstream_held, b""
            if data and self._swallowed is None:
                out.upstream.append(data)
        else:
            data, self._downstream_held = self._downstream_held, b""
            self._pass_on(now_ns, data, out)
