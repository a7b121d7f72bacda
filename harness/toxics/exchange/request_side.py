"""The client's side of an exchange: which requests reach the server."""

from harness.toxics.base import Signal
from harness.toxics.exchange.match import ON_REPLY
from harness.toxics.exchange.open_requests import OpenRequest, OpenRequests
from harness.toxics.exchange.outlet import Outlet
from harness.toxics.exchange.rules import Rule
from harness.toxics.exchange.shapes import Request, RequestScanner, Unfollowable


class RequestSide:
    """Passes requests on or keeps them from the server, and notes which replies are to come."""

    __slots__ = ("_deaf", "_open", "_scanner", "_swallowed", "held", "is_over", "rules", "stops")

    def __init__(self, scanner: RequestScanner, open_requests: OpenRequests) -> None:
        self._scanner = scanner
        self._open = open_requests
        self._deaf: Rule | None = None  # the server hears nothing any more, by this rule
        self._swallowed: OpenRequest | None = None  # the request under way is not for the server
        self.rules: list[Rule] = []
        self.held = b""
        """An unfinished head."""
        self.stops = False
        """Requests cannot be told apart any more; all is passed on."""
        self.is_over = False
        """The connection was reset from here."""

    @property
    def is_plain(self) -> bool:
        """True if all bytes are passed on untouched for good."""
        return self.stops and self._deaf is None and self._swallowed is None and not self.held

    def feed(self, data: bytes, out: Outlet) -> None:
        """Bytes have come from the client."""
        if self._deaf is not None:
            self._deaf.effects["dropped"] += len(data)
        else:
            held, self.held = self.held, b""
            self._scan(held + data, out)

    def _scan(self, data: bytes, out: Outlet) -> None:
        position = sent = 0
        size = len(data)
        while position < size and not (self.stops and self._swallowed is None):
            if not self.rules and self._swallowed is None:
                position, count = self._scanner.skip(data, position)
                if count:
                    self._open.forwarded("", count=count)
                    continue
            try:
                span = self._scanner.next(data, position)
            except Unfollowable:
                self._swallowed = None
                self.stop()
                break
            if span is None:
                self.held = data[position:]
                size = position
                break
            end, request, ends = span
            if request is not None and (rule := self._interceptor(request)) is not None:
                _pass_on(data[sent:position], out)
                sent = position
                if self._intercept(rule, request, len(data) - position, out):
                    return
            position = end
            if self._swallowed is not None:
                sent = end
                if ends:
                    self._swallowed.is_complete = True
                    self._swallowed = None
        _pass_on(data[sent:size], out)

    def stop(self) -> None:
        """Follow requests no more."""
        if not self.stops:
            self.stops = True
            for rule in self.rules:
                rule.effects["unfollowed"] += 1

    def flush(self, out: Outlet) -> None:
        """Let an unfinished head go."""
        held, self.held = self.held, b""
        if self._swallowed is None:
            _pass_on(held, out)

    def _interceptor(self, request: Request) -> Rule | None:
        """Return the rule that keeps this request from the server, None after having noted that it will get there."""
        acting = next((rule for rule in self.rules if rule.takes(request)), None)
        if acting is not None and acting.match.action not in ON_REPLY:
            return acting
        self._open.forwarded(request.tag, acting)
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
            rule.effects["reset"] += 1
            out.upstream.append(Signal.RESET)
            self.is_over = True
        return True


def _pass_on(data: bytes, out: Outlet) -> None:
    if data:
        out.upstream.append(data)
