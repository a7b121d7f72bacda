"""The server's side of an exchange: which replies reach the client, when, and how far."""

from typing import Final

from harness.toxics.base import Signal
from harness.toxics.exchange.late import Late
from harness.toxics.exchange.open_requests import OpenRequest, OpenRequests
from harness.toxics.exchange.outlet import Outlet
from harness.toxics.exchange.rules import Rule
from harness.toxics.exchange.shapes import Begins, ReplyScanner, ReplySpan, Unfollowable

_MILLISECOND_NS: Final = 1_000_000


class ReplySide:
    """Finds the request that each reply belongs to, and does to the reply what a rule has in mind."""

    __slots__ = (
        "_answering",
        "_cut",
        "_cut_after",
        "_is_between",
        "_mute",
        "_open",
        "_scanner",
        "held",
        "is_lost",
        "is_over",
        "late",
    )

    def __init__(self, scanner: ReplyScanner, open_requests: OpenRequests) -> None:
        self._scanner = scanner
        self._open = open_requests
        self._is_between = True  # no message is under way
        self._answering = False  # the one under way answers the oldest request
        self._mute: Rule | None = None  # the client hears nothing any more, by this rule
        self._cut: Rule | None = None  # the connection ends within the reply under way, by this rule
        self._cut_after = 0  # bytes of it that still get through
        self.late = Late()
        self.held = b""
        """An unfinished line or head."""
        self.is_lost = False
        """Replies cannot be told apart any more; all is passed on."""
        self.is_over = False
        """The connection was reset or closed from here."""

    @property
    def is_plain(self) -> bool:
        """True if all bytes are passed on untouched for good."""
        return self.is_lost and self._mute is None and self.late.due_ns is None and not self.held

    def feed(self, now_ns: int, data: bytes, out: Outlet) -> None:
        """Bytes have come from the server."""
        self.late.pop(now_ns, out.downstream)
        data = self.held + data
        self.held = b""
        position = sent = 0
        size = len(data)
        while position < size and not self.is_lost:
            if self._is_between and (ordinary := self._open.ordinary):
                position, count = self._scanner.skip(data, position, ordinary)
                if count:
                    self._open.pop(count)
                    sent = self._settle_behind(now_ns, data, sent, position, out)
                    continue
            oldest = self._open.oldest
            try:
                span = self._scanner.next(data, position, None if oldest is None else oldest.expected_tag)
            except Unfollowable:
                self.is_lost = True
                break
            if span is None:
                self.held = data[position:]
                size = position
                break
            if span.begins is not None:
                sent = self._begin(span.begins, oldest, now_ns, data, sent, position, out)
            if self._cut is not None and self._ends_within(span, position):
                self._pass_on(now_ns, data[sent : min(span.end, position + self._cut_after)], out)
                self._end_connection(self._cut, now_ns, out)
            if self.is_over:
                return
            self._cut_after -= span.end - position
            position = span.end
            if span.ends:
                self._end(leaves=span.leaves)
                sent = self._settle_behind(now_ns, data, sent, position, out)
        self._pass_on(now_ns, data[sent:size], out)

    def finish(self, now_ns: int, out: Outlet) -> None:
        """The server has closed its side. Behind a lost reply the client does not hear of that either."""
        self.flush(now_ns, out)
        if self._mute is not None:
            self._mute.effects["ends"] += 1
        elif self._cut is not None:  # this is where the reply ends
            self._end_connection(self._cut, now_ns, out)
        else:
            self.late.push(now_ns, Signal.END, out.downstream)

    def settle(self, now_ns: int, out: Outlet) -> None:
        """Give answers of ours whose turn has come."""
        while self._is_between and (oldest := self._open.oldest) is not None and oldest.is_complete:
            assert oldest.answer is not None
            assert oldest.rule is not None
            if self._mute is None:
                oldest.rule.effects["answered"] += 1
            self._pass_on(now_ns, oldest.answer, out)
            self._open.pop()

    @property
    def is_at_rest(self) -> bool:
        """True if no reply is under way, nor to come."""
        return self._is_between and self._open.oldest is None

    def forget(self, rule: Rule, out: Outlet) -> None:
        """A rule is gone: let pass what it held, and what it would have acted upon.

        Answers that were promised are still given, and a client that lost something hears nothing behind it.
        """
        self._open.forget(rule)
        if self._cut is rule:
            self._cut = None
        if rule.match.action == "delay_reply":
            self.late.release(out.downstream)

    def flush(self, now_ns: int, out: Outlet) -> None:
        """Let an unfinished line or head go."""
        held, self.held = self.held, b""
        self._pass_on(now_ns, held, out)

    def _begin(
        self,
        begins: Begins,
        oldest: OpenRequest | None,
        now_ns: int,
        data: bytes,
        sent: int,
        position: int,
        out: Outlet,
    ) -> int:
        """Begin a message; if something is done to it, first pass on what was before. Return up to where that was."""
        self._is_between = False
        self._answering = begins is not Begins.ASIDE
        if not self._answering or oldest is None or oldest.rule is None:
            return sent
        self._pass_on(now_ns, data[sent:position], out)
        rule = oldest.rule
        action = rule.match.action
        if action == "drop_reply":
            rule.effects["dropped_replies"] += 1
            self._mute = self._mute or rule
        elif self._mute is not None:
            pass  # it is lost behind the one that was dropped
        elif action == "reset_after":
            self._reset(rule, out)
        elif action == "delay_reply":
            rule.effects["delayed_replies"] += 1
            self.late.delay(now_ns + rule.match.delay * _MILLISECOND_NS)
        else:
            self._cut = rule
            self._cut_after = rule.match.after_bytes
        return position

    def _ends_within(self, span: ReplySpan, position: int) -> bool:
        return span.ends or span.end - position >= self._cut_after

    def _end(self, *, leaves: bool) -> None:
        """The message under way is complete."""
        self._is_between = True
        if self._answering:
            self._answering = False
            self._open.pop()
        if leaves:
            self.is_lost = True

    def _settle_behind(self, now_ns: int, data: bytes, sent: int, position: int, out: Outlet) -> int:
        """If an answer of ours comes next, give it behind the bytes so far; return up to where these were passed on."""
        oldest = self._open.oldest
        if oldest is None or not oldest.is_complete:
            return sent
        self._pass_on(now_ns, data[sent:position], out)
        self.settle(now_ns, out)
        return position

    def _pass_on(self, now_ns: int, data: bytes, out: Outlet) -> None:
        if not data:
            return
        if self._mute is not None:
            self._mute.effects["dropped"] += len(data)
        else:
            self.late.push(now_ns, data, out.downstream)

    def _end_connection(self, rule: Rule, now_ns: int, out: Outlet) -> None:
        if rule.match.action == "close_mid_reply":
            rule.effects["closed"] += 1
            self.late.push(now_ns, Signal.CLOSE, out.downstream)
            self.is_over = True
        else:
            self._reset(rule, out)

    def _reset(self, rule: Rule, out: Outlet) -> None:
        rule.effects["reset"] += 1
        out.downstream.append(Signal.RESET)
        self.is_over = True
