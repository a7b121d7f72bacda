"""One intent's way to its end, as a pure machine: it says what to do next, and is told what came of it.

```
            ┌────────── what is missing, after a pause ───────────┐
            ▼                                                     │
  Send ──► answered ──► final (filled, expired, refused) ─────────┴──► Finish
            │                     ▲
            └─► no answer ──► Query ──► open ──► Cancel
                              ▲   │
                              └───┘ does not exist, and may still arrive
```

What keeps it sound:

- At most one order is unsettled at any time, and nothing is sent while one is. What is missing is worked out from
  settled orders only, so the sum of what was sent and may fill never exceeds what was asked for.
- A client id is sent once. It is derived from the intent and the attempt's number, which the journal never forgets.
- "Order does not exist" settles an order only if, before the question was put, its window had surely passed on the
  exchange's clock. Before that it may still arrive; after that it would be refused.
- An order that exists is settled by its final state only. One found open is cancelled: all orders here are immediate.

Time is monotonic seconds, passed in; the exchange's own clock is milliseconds.
"""

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal

from reference_impl._binance.actions import Action, Cancel, Finish, Query, Send, Wait, client_id
from reference_impl._binance.order_view import view
from reference_impl._binance.outcome import Outcome
from reference_impl._binance.report import Attempt, End, ExecutionReport, Order, report
from reference_impl._binance.symbols import SymbolRules
from reference_impl.retry import Dice, RetryPolicy, equal_jitter, full_jitter


class Execution:
    """The machine of one intent. `attempts` are those of earlier calls and lives.

    With `sending=False` it only finds out what became of the attempts there are; `why` is then given as the reason for
    what is missing.
    """

    def __init__(
        self,
        order: Order,
        rules: SymbolRules,
        policy: RetryPolicy,
        *,
        deadline: float,
        dice: Dice,
        attempts: Sequence[Attempt] = (),
        sending: bool = True,
        why: str = "restart",
    ) -> None:
        self.order = order
        self.attempts = list(attempts)
        self._rules = rules
        self._policy = policy
        self._deadline = deadline
        self._dice = dice
        self._sending = sending
        self._earlier = len(self.attempts)
        self._trouble = "" if sending else why
        self._refused = ""  # why no further order is sent, ever or in this call
        self._terminal = False
        self._failures = 0
        self._shorts = 0
        self._asks = 0
        self._price_asks = 0
        self._not_before = 0.0
        self._cancel = False
        self._asked_ms: int | None = None

    @property
    def filled(self) -> Decimal:
        """Confirmed by the exchange."""
        return sum((attempt.executed for attempt in self.attempts), Decimal(0))

    @property
    def unsettled(self) -> Attempt | None:
        """The order whose fate is not final, if there is one; it can only be the last."""
        return next((attempt for attempt in self.attempts if not attempt.settled), None)

    def report(self, end: End) -> ExecutionReport:
        """Return the report of that end."""
        return report(self.order, self.attempts, end)

    def next(self, now: float, server_ms: int | None) -> Action:
        """Return what to do. `server_ms` is what the exchange's clock shows at least; None while nobody knows."""
        if now >= self._deadline:
            return self._finish(self._refused or self._trouble or "deadline")
        if self.unsettled is not None or self._wants_price():
            return self._settle(now, server_ms)
        if reason := self._over(now):
            return self._finish(reason)
        if now < self._not_before:
            return Wait(min(self._not_before, self._deadline))
        return self._send()

    def begun(self, send: Send, expires_ms: int) -> None:
        """Take that an order is being sent, which the exchange refuses once its clock shows `expires_ms`."""
        assert self.unsettled is None, "two orders of one intent at a time"
        self.attempts.append(send.attempt(expires_ms))
        self._asks = 0
        self._cancel = False

    def not_sent(self, reason: str) -> None:
        """Take that an order was not even begun, and none can be in time."""
        self._refused = reason

    def stop(self, reason: str) -> None:
        """Send nothing more; what was sent is still found out about."""
        self._refused = self._refused or reason
        self._not_before = 0.0  # the pause was for the next order

    def broken_off(self, now: float) -> None:
        """Take that the sending of an order was broken off: if it was begun, nobody knows how far it got."""
        if self.unsettled is not None:
            self._in_doubt(now)

    def held_up(self, reason: str, now: float) -> None:
        """Take that an order was not even begun, and that trying again may help."""
        self._trouble = reason
        self._back_off(now)

    def answered(self, outcome: Outcome, now: float) -> None:
        """Take what came of the order that was begun last."""
        attempt = self.attempts[-1]
        match outcome.kind:
            case "done":
                self._confirmed(attempt, outcome, now)
            case "unknown" | "duplicate":
                self._in_doubt(now)
            case "rejected" | "absent":
                self._rejected(attempt, outcome)
            case "blocked":
                self._void(attempt, "blocked")
                self._refused = "blocked"
            case "limited":
                self._void(attempt, "rate_limited")  # the limiter knows how long to wait
            case kind:
                self._void(attempt, "unavailable" if kind == "failed" else kind)
                self._back_off(now)

    def told(self, query: Query, outcome: Outcome, now: float) -> None:
        """Take what came of a query."""
        index = next(i for i, attempt in enumerate(self.attempts) if attempt.client_id == query.client_id)
        attempt = self.attempts[index]
        if attempt.settled:
            self._priced(index, outcome, now)
        elif outcome.kind == "done":
            self._confirmed(attempt, outcome, now)
        elif outcome.kind == "absent" and self._final(attempt):
            self._void(attempt, "unavailable")
        else:
            self._ask_again(now)

    def cancelled(self, outcome: Outcome, now: float) -> None:
        """Take what came of a cancel. Whatever it was, the order's own state is what counts."""
        self._cancel = False
        if outcome.kind == "done":
            self._confirmed(self.attempts[-1], outcome, now)
        else:
            self._ask_again(now)

    # What becomes of an attempt.

    def _confirmed(self, attempt: Attempt, outcome: Outcome, now: float) -> None:
        order = view(outcome.data, attempt.client_id)
        if order is None:
            self._ask_again(now)
        elif order.open and not self.order.resting:
            self._replace(replace(attempt, executed=max(attempt.executed, order.executed), open=True))
            self._cancel = self._asks > 0  # asked twice: it is no answer from before its end
            self._ask_again(now)
        else:
            self._replace(
                replace(attempt, executed=order.executed, quote=order.quote, settled=True, open=order.open),
            )
            self._short(now)

    def _short(self, now: float) -> None:
        if self.filled < self.order.quantity:
            self._trouble = "slippage"  # nothing more was to be had within the limit
            policy = self._policy
            self._not_before = now + equal_jitter(policy.book_pause, self._shorts, policy.pause_max, self._dice)
            self._shorts += 1

    def _in_doubt(self, now: float) -> None:
        self._not_before = now  # ask at once

    def _rejected(self, attempt: Attempt, outcome: Outcome) -> None:
        self._void(attempt, outcome.name)
        self._refused = outcome.name
        self._terminal = True

    def _void(self, attempt: Attempt, trouble: str) -> None:
        self._replace(replace(attempt, executed=Decimal(0), quote=Decimal(0), settled=True, open=False))
        self._trouble = trouble

    def _replace(self, attempt: Attempt) -> None:
        self.attempts = [attempt if old.client_id == attempt.client_id else old for old in self.attempts]

    def _back_off(self, now: float) -> None:
        policy = self._policy
        self._not_before = now + full_jitter(policy.failed_pause, self._failures, policy.pause_max, self._dice)
        self._failures += 1

    # Finding out.

    def _settle(self, now: float, server_ms: int | None) -> Action:
        if now < self._not_before:
            return Wait(min(self._not_before, self._deadline))
        self._asked_ms = server_ms
        if (attempt := self.unsettled) is not None:
            return Cancel(attempt.client_id) if self._cancel else Query(attempt.client_id)
        priceless = next(attempt for attempt in self.attempts if attempt.executed and attempt.quote is None)
        return Query(priceless.client_id, urgent=False)

    def _final(self, attempt: Attempt) -> bool:
        """Whether "does not exist", in answer to the last question, means that it never will."""
        if attempt.open or self._asked_ms is None:
            return False
        return self._asked_ms >= attempt.expires_ms + self._policy.settle_ms

    def _ask_again(self, now: float) -> None:
        policy = self._policy
        self._not_before = now + equal_jitter(policy.ask_pause, self._asks, policy.pause_max / 4, self._dice)
        self._asks += 1

    def _wants_price(self) -> bool:
        missing = any(attempt.executed and attempt.quote is None for attempt in self.attempts)
        return missing and not self.order.resting and self._price_asks < self._policy.price_asks

    def _priced(self, index: int, outcome: Outcome, now: float) -> None:
        attempt = self.attempts[index]
        order = view(outcome.data, attempt.client_id) if outcome.kind == "done" else None
        if order is not None and order.quote is not None and order.executed == attempt.executed:
            self._replace(replace(attempt, quote=order.quote))
        else:
            self._price_asks += 1
            self._ask_again(now)

    # Going on, or not.

    def _remaining(self) -> Decimal:
        return self._rules.quantity(self.order.quantity - self.filled)

    def _over(self, now: float) -> str:
        """Return why nothing more is sent, if so; all attempts are settled."""
        if self._refused:
            return self._refused
        if self.filled >= self.order.quantity * self._policy.enough:
            return self._trouble or "slippage"
        if not self._sending or (self.order.resting and any(attempt.open for attempt in self.attempts)):
            return self._trouble
        price = self._rules.price(self.order.side, self.order.limit)
        if reason := self._rules.refuses(self._remaining(), price, reduce_only=self.order.reduce_only):
            self._terminal = True
            return reason
        return self._bound(now)

    def _bound(self, now: float) -> str:
        if len(self.attempts) >= self._policy.sends_max:
            return self._trouble or "attempts"
        if len(self.attempts) > self._earlier and now + self._policy.settle_time > self._deadline:
            return self._trouble or "deadline"
        return ""

    def _send(self) -> Action:
        number = len(self.attempts) + 1
        price = self._rules.price(self.order.side, self.order.limit)
        return Send(number, client_id(self.order.intent, number), self._remaining(), price)

    def _finish(self, reason: str) -> Finish:
        filled = self.filled
        if self.unsettled is not None:
            return Finish(End(status="unknown", reason="unknown"))
        if filled >= self.order.quantity * self._policy.enough:
            return Finish(End(status="filled", reason=reason if filled < self.order.quantity else ""))
        if filled:
            return Finish(End(status="partial", reason=reason))
        return Finish(End(status="rejected" if self._terminal else "abandoned", reason=reason))
