"""Counters of fixed windows: by hand at the edges, and against a model that counts events one millisecond at a time."""

from fractions import Fraction

import hypothesis.strategies as st
import pytest
from hypothesis import settings as hypothesis_settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from harness.dependencies.binance.gate.windows import Counter, OrderBudget, WeightBudget, scaled
from harness.dependencies.binance.settings import FUTURES_LIMITS, SHORT_FUTURES_LIMITS, SPOT_LIMITS, Limit

NOON_MS = 1_700_000_040_000
MINUTE = Limit("REQUEST_WEIGHT", "MINUTE", 1, 100)


def test_windows_are_aligned_to_the_clock_and_not_to_the_first_request() -> None:
    """Twice the limit fits around an edge, which is how the real exchange counts."""
    budget = WeightBudget((MINUTE,), plain_header=False)
    assert budget.charge(100, NOON_MS + 59_999) is None
    assert budget.charge(100, NOON_MS + 60_000) is None
    assert budget.charge(1, NOON_MS + 60_001) is budget.counters[0]


def test_a_day_ends_at_midnight_utc() -> None:
    """Spot's order limit is by the UTC day."""
    budget = OrderBudget((Limit("ORDERS", "DAY", 1, 1),))
    midnight_ms = 19_675 * 86_400_000
    assert budget.take((1, 1), midnight_ms - 1) is None
    assert budget.take((1, 1), midnight_ms) is None
    assert budget.take((1, 1), midnight_ms + 86_399_999) is budget.counters[0]


def test_refused_weight_is_counted_and_refused_orders_are_not() -> None:
    """Who polls on while told to stop digs deeper; an order over a limit leaves the counters as they are."""
    weight = WeightBudget((MINUTE,), plain_header=False)
    weight.charge(100, NOON_MS)
    assert weight.charge(5, NOON_MS) is not None
    assert weight.headers() == {"X-MBX-USED-WEIGHT-1M": "105"}
    orders = OrderBudget(FUTURES_LIMITS)
    assert orders.take((300, 1), NOON_MS) is None
    assert orders.take((1, 1), NOON_MS) is orders.counters[0]
    assert orders.headers() == {"X-MBX-ORDER-COUNT-10S": "300", "X-MBX-ORDER-COUNT-1M": "1"}


def test_weightless_requests_pass_a_full_window_and_not_an_overrun_one() -> None:
    """An order weighs nothing: it is refused only once the limit was broken."""
    weight = WeightBudget((MINUTE,), plain_header=False)
    weight.charge(100, NOON_MS)
    assert weight.charge(0, NOON_MS) is None
    weight.charge(1, NOON_MS)
    assert weight.charge(0, NOON_MS) is weight.counters[0]


def test_of_two_full_windows_the_longer_wait_is_told() -> None:
    """A wait for the short window only would end in another refusal."""
    orders = OrderBudget((Limit("ORDERS", "MINUTE", 1, 2), Limit("ORDERS", "SECOND", 10, 2)))
    assert [counter.window_ms for counter in orders.counters] == [10_000, 60_000]
    orders.take((2, 2), NOON_MS)
    assert orders.take((1, 1), NOON_MS + 1) is orders.counters[1]


def test_a_batch_takes_more_of_the_short_window() -> None:
    """Documented for batchOrders: 5 of the 10 s count, 1 of the minute."""
    orders = OrderBudget(FUTURES_LIMITS)
    orders.take((5, 1), NOON_MS)
    assert orders.headers() == {"X-MBX-ORDER-COUNT-10S": "5", "X-MBX-ORDER-COUNT-1M": "1"}


@pytest.mark.parametrize(
    ("limits", "plain", "expected"),
    [
        (FUTURES_LIMITS, False, ["X-MBX-USED-WEIGHT-1M"]),
        (SPOT_LIMITS, True, ["X-MBX-USED-WEIGHT", "X-MBX-USED-WEIGHT-1M"]),
        (SHORT_FUTURES_LIMITS, False, ["X-MBX-USED-WEIGHT-5S"]),
    ],
)
def test_headers_are_named_after_their_windows(limits, plain, expected) -> None:
    """Clients read the window's length out of the header's name."""
    assert list(WeightBudget(limits, plain_header=plain).headers()) == expected


def test_the_rest_of_a_window_is_told_to_the_millisecond() -> None:
    """What `Retry-After` is made of."""
    counter = Counter(MINUTE)
    assert [counter.rest_ms(NOON_MS + late) for late in (0, 1, 59_999)] == [60_000, 59_999, 1]


def test_other_tenants_use_a_steady_rate_and_never_overrun() -> None:
    """They are refused like everybody: a window that they filled holds no more than its limit."""
    counter = Counter(MINUTE)
    counter.share(10.0, NOON_MS)
    counter.roll(NOON_MS + 2_550)
    assert (counter.others, counter.used) == (25, 25)
    counter.roll(NOON_MS + 59_000)
    assert counter.used == 100
    counter.roll(NOON_MS + 60_100)
    assert counter.others == 1


def test_time_before_the_first_look_counts_for_nobody() -> None:
    """An address that is new in the middle of a window has no history."""
    counter = Counter(MINUTE)
    counter.share(10.0, NOON_MS + 30_000)
    counter.roll(NOON_MS + 31_000)
    assert counter.others == 10


@pytest.mark.parametrize(("factor", "expected"), [(0.5, 50), (0.001, 1), (1.0, 100), (0.999, 99)])
def test_a_scaled_limit_is_rounded_down_but_never_nothing(factor, expected) -> None:
    """A limit of 0 would be a ban."""
    assert scaled(MINUTE, factor) == Limit("REQUEST_WEIGHT", "MINUTE", 1, expected)


LIMITS = (
    Limit("REQUEST_WEIGHT", "SECOND", 1, 40),
    Limit("REQUEST_WEIGHT", "SECOND", 3, 90),
    Limit("ORDERS", "SECOND", 1, 6),
    Limit("ORDERS", "SECOND", 2, 9),
)


class WindowsAgainstCounting(RuleBasedStateMachine):
    """The model keeps every event and walks through every millisecond; the real one keeps a few numbers."""

    @initialize(offset=st.integers(0, 6_000))
    def begin(self, offset: int) -> None:
        self.now_ms = NOON_MS + offset
        self.weight = WeightBudget(LIMITS, plain_header=False)
        self.orders = OrderBudget(LIMITS)
        self.counters = (*self.weight.counters, *self.orders.counters)
        self.events: dict[Counter, list[tuple[int, int]]] = {counter: [] for counter in self.counters}
        self.alien: dict[Counter, Fraction] = dict.fromkeys(self.counters, Fraction(0))
        self.rates = {"REQUEST_WEIGHT": Fraction(0), "ORDERS": Fraction(0)}
        self.factor = 1.0

    def own(self, counter: Counter) -> int:
        window = self.now_ms // counter.window_ms
        return sum(amount for at_ms, amount in self.events[counter] if at_ms // counter.window_ms == window)

    def others(self, counter: Counter) -> int:
        return int(self.alien[counter])

    def limit(self, counter: Counter) -> int:
        return max(1, int(counter.declared.limit * self.factor))

    @rule(ms=st.integers(0, 1_500))
    def wait(self, ms: int) -> None:
        for _ in range(ms):
            self.now_ms += 1
            for counter in self.counters:
                if self.now_ms % counter.window_ms == 0:
                    self.alien[counter] = Fraction(0)
            if any(self.rates.values()):
                for counter in self.counters:
                    rate = self.rates[counter.declared.type]
                    if self.now_ms % counter.window_ms == 0 or not rate:
                        continue
                    room = max(self.alien[counter], Fraction(self.limit(counter) - self.own(counter)))
                    self.alien[counter] = min(self.alien[counter] + rate / 1_000, room)

    @rule(weight=st.integers(0, 30))
    def charge(self, weight: int) -> None:
        for counter in self.weight.counters:
            self.events[counter].append((self.now_ms, weight))
        broken = [
            counter
            for counter in self.weight.counters
            if self.own(counter) + self.others(counter) > self.limit(counter)
        ]
        seen = self.weight.charge(weight, self.now_ms)
        assert (seen is None) == (not broken)
        if seen is not None:
            assert seen in broken
            assert seen.rest_ms(self.now_ms) == max(one.rest_ms(self.now_ms) for one in broken)
        assert self.weight.headers() == {
            f"X-MBX-USED-WEIGHT-{one.declared.suffix}": str(self.own(one) + self.others(one))
            for one in self.weight.counters
        }

    @rule(short=st.integers(1, 5), others=st.integers(1, 3))
    def take(self, short: int, others: int) -> None:
        wanted = dict(zip(self.orders.counters, (short, others), strict=True))
        full = [
            counter
            for counter, amount in wanted.items()
            if self.own(counter) + self.others(counter) + amount > self.limit(counter)
        ]
        seen = self.orders.take((short, others), self.now_ms)
        assert (seen is None) == (not full)
        if seen is None:
            for counter, amount in wanted.items():
                self.events[counter].append((self.now_ms, amount))
        else:
            assert seen in full

    @rule(weight=st.integers(0, 60), orders=st.integers(0, 8))
    def share(self, weight: int, orders: int) -> None:
        self.rates = {"REQUEST_WEIGHT": Fraction(weight), "ORDERS": Fraction(orders)}
        for counter in self.counters:
            counter.share(float(self.rates[counter.declared.type]), self.now_ms)

    @rule(factor=st.sampled_from([0.01, 0.5, 1.0, 2.0]))
    def scale(self, factor: float) -> None:
        for counter in self.counters:
            counter.roll(self.now_ms)
            counter.scale(factor)
        self.factor = factor

    @invariant()
    def counts_agree(self) -> None:
        for counter in getattr(self, "counters", ()):
            counter.roll(self.now_ms)
            assert (counter.own, counter.others) == (self.own(counter), self.others(counter))


TestWindowsAgainstCounting = WindowsAgainstCounting.TestCase
TestWindowsAgainstCounting.settings = hypothesis_settings(max_examples=40, stateful_step_count=25, deadline=None)
