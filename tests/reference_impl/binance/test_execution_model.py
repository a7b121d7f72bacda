"""The machine of an execution against an independent model of an exchange that loses and delays whatever it likes."""

from decimal import Decimal

import hypothesis.strategies as st
import pytest
from hypothesis import Phase, settings
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from reference_impl._binance.actions import Cancel, Finish, Query, Send, Wait
from reference_impl._binance.execution import Execution
from reference_impl._binance.outcome import Outcome
from reference_impl._binance.report import Attempt, Order
from reference_impl._binance.symbols import SymbolRules
from reference_impl.flawed import binance_execution as flawed
from reference_impl.retry import RetryPolicy

STEP = Decimal("0.01")
RULES = SymbolRules(tick=Decimal("0.1"), step=STEP, min_quantity=STEP, min_notional=Decimal(5))
POLICY = RetryPolicy()
SKEW_MS = 7_000_000
BLIND_MS = 400
"""How much later than it was accepted an order may be visible to queries; within the policy's `settle_ms`."""

parts = st.sampled_from([Decimal(0), Decimal("0.13"), Decimal("0.5"), Decimal("0.951"), Decimal(1)])
troubles = st.sampled_from(["unknown", "failed", "limited", "clock"])


class ModelExchange:
    """Takes an order whenever its request arrives, if that is within its window, as often as it arrives."""

    def __init__(self) -> None:
        self.now_ms = 0
        self.in_flight: list[tuple[Send, int]] = []
        self.orders: dict[str, tuple[Decimal, int, bool]] = {}  # executed, visible from, open
        self.filled = Decimal(0)

    def arrive(self, send: Send, expires_ms: int, share: Decimal, *, rests: bool) -> Decimal | None:
        if self.now_ms > expires_ms:
            return None
        assert send.quantity % STEP == 0
        assert send.quantity * send.price >= RULES.min_notional
        if send.client_id in self.orders and self.orders[send.client_id][2]:
            return None  # unique among open orders only
        executed = (send.quantity * share) // STEP * STEP
        self.filled += executed
        self.orders[send.client_id] = (executed, self.now_ms + BLIND_MS, rests and executed < send.quantity)
        return executed

    def show(self, client_id: str) -> Outcome:
        executed, visible, is_open = self.orders.get(client_id, (Decimal(0), 1 << 60, False))
        if self.now_ms < visible:
            return Outcome("absent", -2013)
        return Outcome("done", data=order_json(client_id, executed, "NEW" if is_open else "EXPIRED", priced=True))

    def cancel(self, client_id: str) -> Outcome:
        executed, visible, is_open = self.orders.get(client_id, (Decimal(0), 1 << 60, False))
        if self.now_ms < visible or not is_open:
            return Outcome("absent", -2011)
        self.orders[client_id] = (executed, visible, False)
        return Outcome("done", data=order_json(client_id, executed, "CANCELED"))


def order_json(client_id: str, executed: Decimal, status: str, *, priced: bool = False) -> dict[str, str]:
    quote = {"cumQuote": str(executed * 100)} if priced else {}
    return {"clientOrderId": client_id, "executedQty": str(executed), "status": status, **quote}


class ExecutionMachine(RuleBasedStateMachine):
    """Steps of the program, and whatever the network and the exchange may do between them."""

    execution_type = Execution

    def __init__(self) -> None:
        super().__init__()
        self.exchange = ModelExchange()
        self.now = 0.0
        self.order = Order(
            intent="intent", symbol="BTCUSDT", side="BUY", quantity=Decimal("1.004"), limit=Decimal("100.55")
        )
        self.sends = 0
        self.ids: set[str] = set()
        self.terminal = 0
        self.end = None
        self._begin()

    def _begin(self, *, sending: bool = True, attempts: tuple = ()) -> None:
        self.deadline = self.now + 30.0
        self.stopped = False
        self.machine = self.execution_type(
            self.order,
            RULES,
            POLICY,
            deadline=self.deadline,
            dice=lambda low, high: (low + high) / 2,
            attempts=attempts,
            sending=sending,
        )
        self.end = None

    def _pass(self, seconds: float) -> None:
        self.now += seconds
        self.exchange.now_ms += round(seconds * 1_000)

    def _act(self) -> Send | Query | Cancel | None:
        action = self.machine.next(self.now, self.exchange.now_ms + SKEW_MS)
        if isinstance(action, Wait):
            assert self.now < action.until <= self.deadline
            self._pass(action.until - self.now)
            return None
        if isinstance(action, Finish):
            self.end = action.end
            return None
        if isinstance(action, Send):
            assert self.terminal == 0, "sent after a terminal error"
            assert not self.stopped, "sent although it was stopped"
            assert action.client_id not in self.ids, "a client id is used once"
            assert len(action.client_id) <= 36
            self.ids.add(action.client_id)
            self.sends += 1
            self.machine.begun(action, self.exchange.now_ms + SKEW_MS + POLICY.recv_window_ms)
        return action

    def _outcome(self, action: Send | Query | Cancel, outcome: Outcome) -> None:
        match action:
            case Send():
                self.machine.answered(outcome, self.now)
            case Query():
                self.machine.told(action, outcome, self.now)
            case Cancel():
                self.machine.cancelled(outcome, self.now)

    def _serve(self, action: Send | Query | Cancel, share: Decimal, *, rests: bool = False) -> Outcome:
        match action:
            case Query(client_id):
                return self.exchange.show(client_id)
            case Cancel(client_id):
                return self.exchange.cancel(client_id)
        expires = self.exchange.now_ms + POLICY.recv_window_ms
        executed = self.exchange.arrive(action, expires, share, rests=rests)
        assert executed is not None
        status = "FILLED" if executed == action.quantity else "NEW" if rests else "EXPIRED"
        return Outcome("done", data=order_json(action.client_id, executed, status))

    @precondition(lambda self: self.end is None)
    @rule(share=parts, rests=st.booleans())
    def answer(self, share: Decimal, *, rests: bool) -> None:
        """All goes well: in time, with an answer. An order may be found open, against its kind."""
        if (action := self._act()) is not None:
            self._outcome(action, self._serve(action, share, rests=rests))

    @precondition(lambda self: self.end is None)
    @rule(share=parts, took=st.floats(0.0, 6.0))
    def lose_the_answer(self, share: Decimal, took: float) -> None:
        """It took effect, and nobody hears of it."""
        if (action := self._act()) is not None:
            self._serve(action, share)
            self._pass(took)
            self._outcome(action, Outcome("unknown"))

    @precondition(lambda self: self.end is None)
    @rule(took=st.floats(0.0, 6.0))
    def lose_the_request(self, took: float) -> None:
        """It is under way for any time, and the caller gives up."""
        if (action := self._act()) is not None:
            if isinstance(action, Send):
                self.exchange.in_flight.append((action, self.exchange.now_ms + POLICY.recv_window_ms))
            self._pass(took)
            self._outcome(action, Outcome("unknown"))

    @precondition(lambda self: self.exchange.in_flight)
    @rule(which=st.integers(0, 5), share=parts, rests=st.booleans())
    def arrive_late(self, which: int, share: Decimal, *, rests: bool) -> None:
        """A request that was given up arrives, if ever, once."""
        flying = self.exchange.in_flight
        send, expires = flying.pop(which % len(flying))
        self.exchange.arrive(send, expires, share, rests=rests)

    @precondition(lambda self: self.end is None)
    @rule(kind=troubles)
    def trouble(self, kind: str) -> None:
        """It is refused for now; whether an order took effect is told by the kind."""
        if (action := self._act()) is not None:
            self._outcome(action, Outcome(kind))

    @precondition(lambda self: self.end is None)
    @rule()
    def refuse(self) -> None:
        """An order is refused for good; queries are not."""
        if (action := self._act()) is not None:
            if isinstance(action, Send):
                self.terminal += 1
                self._outcome(action, Outcome("rejected", -2019))
            else:
                self._outcome(action, Outcome("failed"))

    @precondition(lambda self: self.end is None)
    @rule()
    def duplicate(self) -> None:
        """An order is called a duplicate of an open one."""
        if (action := self._act()) is not None:
            self._outcome(action, Outcome("duplicate" if isinstance(action, Send) else "unknown", -4116))

    @precondition(lambda self: self.end is None)
    @rule()
    def stop(self) -> None:
        """Nobody wants it any more."""
        self.machine.stop("stopped")
        self.stopped = True

    @precondition(lambda self: self.end is None)
    @rule(flies=st.booleans())
    def break_off(self, *, flies: bool) -> None:
        """The same while a request is on its way, which may arrive all the same."""
        action = self._act()
        self.stop()
        if isinstance(action, Send):
            if flies:
                self.exchange.in_flight.append((action, self.exchange.now_ms + POLICY.recv_window_ms))
            self.machine.broken_off(self.now)
        elif action is not None:
            self._outcome(action, Outcome("unknown"))

    @rule(seconds=st.floats(0.0, 20.0))
    def stall(self, seconds: float) -> None:
        """The program stands still."""
        self._pass(seconds)

    @precondition(lambda self: self.terminal == 0)
    @rule(sending=st.booleans())
    def restart(self, *, sending: bool) -> None:
        """The program is killed at any moment, or the intent is asked for again; only attempts are remembered."""
        self._begin(sending=sending, attempts=tuple(self.machine.attempts))

    @invariant()
    def never_overfilled(self) -> None:
        """EX1, at every instant; and what is reported as filled is never more than there is."""
        assert self.machine.filled <= self.exchange.filled <= self.order.quantity

    @invariant()
    def bounded(self) -> None:
        """EX6: so many orders over all lives."""
        assert self.sends <= POLICY.sends_max

    @invariant()
    def typed_end(self) -> None:
        """EX4: an end says what was filled, and why not all of it."""
        if self.end is not None:
            enough = self.order.quantity * POLICY.enough
            assert (self.end.status == "filled") == (self.machine.filled >= enough and self.machine.unsettled is None)
            assert self.end.reason or self.machine.filled == self.order.quantity

    def teardown(self) -> None:
        """EX2: in the end, when the exchange answers again and nothing is under way, both agree."""
        self.exchange.in_flight.clear()
        self._begin(sending=False, attempts=tuple(self.machine.attempts))
        for _ in range(200):
            if self.end is not None:
                break
            if (action := self._act()) is not None:
                assert not isinstance(action, Send)
                self._outcome(action, self._serve(action, Decimal(0)))
        assert self.end is not None
        assert self.end.status != "unknown"
        assert self.machine.filled == self.exchange.filled
        report = self.machine.report(self.end)
        assert report.average_price in (None, Decimal(100))
        assert (report.average_price is None) <= (report.filled == 0)


ExecutionMachine.TestCase.settings = settings(max_examples=300, stateful_step_count=40, deadline=None)
TestExecution = ExecutionMachine.TestCase
TestExecution.__doc__ = "Never overfilled, agreed at the end, bounded, terminal once: for any order of mishaps."


class _BelievesFirstAbsence(Execution):
    """Takes "order does not exist" for final, although the order may still arrive."""

    def _final(self, attempt: Attempt) -> bool:
        return not attempt.open


class _HeedsNoStop(Execution):
    """Goes on sending what nobody wants any more."""

    def stop(self, reason: str) -> None:
        pass


class _ForgetsWhatWasBrokenOff(Execution):
    """Takes an order whose sending was broken off for one that never was."""

    def broken_off(self, now: float) -> None:
        if self.unsettled is not None:
            self._void(self.attempts[-1], "stopped")


MUTANTS = [
    _HeedsNoStop,
    _ForgetsWhatWasBrokenOff,
    _BelievesFirstAbsence,
    flawed._NewIdAfterTimeout,
    flawed._SameIdAfterFill,
    flawed._FullQuantity,
    flawed._RetriesTerminal,
    flawed._IgnoresLotSize,
    flawed._WithoutEnd,
]


@pytest.mark.parametrize("mutant", MUTANTS)
def test_the_model_catches_what_it_is_for(mutant):
    """A model that any machine satisfies would prove nothing."""

    class Mutated(ExecutionMachine):
        execution_type = mutant

    with pytest.raises(AssertionError):
        run_state_machine_as_test(
            Mutated,
            settings=settings(
                max_examples=2_000, stateful_step_count=40, deadline=None, phases=[Phase.generate], derandomize=True
            ),
        )
