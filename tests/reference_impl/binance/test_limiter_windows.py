"""Windows by the exchange's clock: edges, in flight, the server's count, other tenants, changed limits."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reference_impl._binance.server_clock import ServerClock
from reference_impl._binance.windows import Counter, rate_limit, read_limits

EPOCH_MS = 1_800_000_000_000  # a full minute


def counter(cap: int = 100, *, second: float = 30.0, doubt: float = 0.0) -> Counter:
    """Return a weight counter at monotonic 0, `second` into a minute, the exchange's time known to `doubt` seconds."""
    clock = ServerClock(now=0.0, wall=0.0)
    clock.learn_time(EPOCH_MS + int(second * 1_000), sent=-doubt, received=0.0)
    return Counter(rate_limit("weight", 60, cap, "1M"), clock)


def test_limits_of_exchange_info() -> None:
    """Types, intervals and header names of futures and spot; unknown types are left out, senseless ones refused."""
    entries = [
        {"rateLimitType": "REQUEST_WEIGHT", "interval": "MINUTE", "intervalNum": 1, "limit": 2_400},
        {"rateLimitType": "ORDERS", "interval": "SECOND", "intervalNum": 10, "limit": 300},
        {"rateLimitType": "RAW_REQUESTS", "interval": "MINUTE", "intervalNum": 5, "limit": 61_000},
        {"rateLimitType": "CONNECTIONS", "interval": "MINUTE", "intervalNum": 5, "limit": 300},
    ]
    assert [(one.kind, one.seconds, one.cap, one.header) for one in read_limits(entries)] == [
        ("weight", 60, 2_400, "x-mbx-used-weight-1m"),
        ("orders", 10, 300, "x-mbx-order-count-10s"),
        ("requests", 300, 61_000, ""),
    ]


@pytest.mark.parametrize("broken", [{"limit": 0}, {"limit": "many"}, {"interval": "MOON"}, {"intervalNum": 0}])
def test_a_senseless_limit_is_refused(broken: dict[str, object]) -> None:
    """Rather than limiting by nothing."""
    entry = {"rateLimitType": "ORDERS", "interval": "SECOND", "intervalNum": 10, "limit": 300}
    with pytest.raises(ValueError, match="not a rate limit"):
        read_limits([{**entry, **broken}])


def test_a_burst_takes_half_and_the_rest_comes_evenly() -> None:
    """At the start of a window 48 of 100 are open; at nine tenths of it 96; never more than the normal share."""
    fresh = counter(second=0.0)
    assert fresh.earliest(48, 0.0, risk=False) == 0.0
    assert fresh.earliest(49, 0.0, risk=False) == pytest.approx(60 * 0.9 / 48, abs=0.01)
    assert fresh.earliest(96, 0.0, risk=False) == pytest.approx(54, abs=0.01)
    assert fresh.earliest(97, 0.0, risk=True) == 0.0


def test_risk_uses_the_reserve() -> None:
    """96 % used: a normal request waits for the edge, a cancel goes; at 99 % it waits as well."""
    full = counter(second=55.0)
    full.charge(96, 0.0)
    assert full.earliest(1, 0.0, risk=False) == pytest.approx(5.0, abs=0.01)
    assert full.earliest(3, 0.0, risk=True) == 0.0
    assert full.earliest(4, 0.0, risk=True) == pytest.approx(5.0, abs=0.01)


def test_what_never_fits_never_waits() -> None:
    """A cost beyond the whole limit has no instant."""
    assert counter().earliest(101, 0.0, risk=True) == math.inf


def test_in_flight_at_the_edge_counts_in_both_windows() -> None:
    """Sent just before the edge and not answered: it may be counted after it. Its late answer says nothing of that."""
    edge = counter(second=59.0)
    edge.charge(40, 0.5)
    assert (edge.used, edge.earliest(9, 1.01, risk=False) > 1.01) == (40, True)
    edge.answered(40, 90, sent=0.5, now=1.2)
    assert edge.used == 40


def test_a_doubtful_edge_must_fit_on_both_sides() -> None:
    """The exchange's time is known to a second: the old window holds until the last instant that it may."""
    doubtful = counter(second=58.0, doubt=1.0)
    doubtful.charge(96, 0.5)
    assert doubtful.earliest(1, 1.5, risk=False) >= 2.0
    doubtful.roll(2.01)
    assert doubtful.used == 96  # it was in flight, and may have arrived after the edge


def test_answers_that_overtake_each_other_never_lower_the_count() -> None:
    """50 is known, then comes an older answer that says 10."""
    late = counter()
    late.charge(1, 0.0)
    late.charge(1, 0.0)
    late.answered(1, 50, sent=0.0, now=0.1)
    late.answered(1, 10, sent=0.0, now=0.2)
    assert late.used == 50


def test_without_headers_the_own_count_stands_until_a_later_header_holds_it() -> None:
    """Three answers without a count, then one of a request sent after them, which must include them."""
    blind = counter()
    for _ in range(3):
        blind.charge(5, 0.0)
        blind.answered(5, None, sent=0.0, now=0.1)
    assert blind.used == 15
    blind.charge(1, 0.2)
    blind.answered(1, 16, sent=0.2, now=0.3)
    assert blind.used == 16


def test_a_lost_request_stays_counted_while_it_may_arrive() -> None:
    """A header within two seconds does not settle it, one of a request sent later does."""
    shaky = counter()
    shaky.charge(5, 0.0)
    shaky.lost(5, sent=0.0, now=0.1)
    for sent, used in ((1.0, 1 + 5), (3.0, 2)):
        shaky.charge(1, sent)
        shaky.answered(1, int(sent) // 3 + 1, sent=sent, now=sent + 0.1)
        assert shaky.used == used


def test_others_are_left_room_until_the_end_of_the_window() -> None:
    """Others use one a second, unseen at first: with 30 s to go, some 36 are left for them."""
    shared = counter(cap=100, second=0.0)
    for second in range(1, 31):
        shared.charge(1, float(second))
        shared.answered(1, 2 * second, sent=float(second), now=second + 0.01)
    assert shared.others_rate == pytest.approx(1.0, rel=0.1)
    assert shared.used == 60
    assert shared.earliest(1, 31.0, risk=False) > 31.0
    assert counter_with(60).earliest(1, 31.0, risk=False) == 31.0


def counter_with(used: int) -> Counter:
    """Return a counter at 31 s of whose use nothing is by others."""
    own = counter(cap=100, second=0.0)
    own.charge(used, 30.0)
    own.answered(used, used, sent=30.0, now=30.1)
    return own


def test_a_smaller_limit_holds_at_once() -> None:
    """Halved in mid-window: what is used stays used, and nothing more fits."""
    halved = counter(second=50.0)
    halved.charge(50, 0.0)
    halved.change(rate_limit("weight", 60, 50, "1M"))
    assert halved.earliest(1, 0.0, risk=True) == pytest.approx(10.0, abs=0.01)


def test_a_stepped_clock_carries_the_use_over() -> None:
    """The exchange's clock jumps by half a minute into another window: nobody knows, so what was used is used still."""
    clock = ServerClock(now=0.0, wall=0.0)
    clock.learn_time(EPOCH_MS + 50_000, sent=0.0, received=0.0)
    stepped = Counter(rate_limit("weight", 60, 100, "1M"), clock)
    stepped.charge(40, 0.0)
    contradicts = clock.learn_time(EPOCH_MS + 80_000, sent=1.0, received=1.0)
    stepped.clock_changed(1.0, contradicts=contradicts)
    assert (contradicts, stepped.used) == (True, 40)


@given(
    true=st.floats(-100, 100),
    trips=st.lists(st.tuples(st.floats(0, 2), st.floats(0, 2), st.booleans()), min_size=1, max_size=20),
)
def test_the_clocks_interval_always_holds_the_truth(true: float, trips: list[tuple[float, float, bool]]) -> None:
    """Whatever round trips are seen, by time or by Date, the true offset is between the bounds, which only narrow."""
    base = EPOCH_MS / 1_000
    clock = ServerClock(now=0.0, wall=base + true)
    now, width = 0.0, math.inf
    for there, back, precise in trips:
        sent = now
        now += there
        server = now + base + true
        now += back
        if precise:
            clock.learn_time(int(server * 1_000), sent=sent, received=now)
        else:
            clock.learn_date(math.floor(server), sent=sent, received=now)
        low, high = clock.bounds(now)
        assert low - 1e-6 <= base + true <= high + 1e-6
        assert high - low <= width + 2e-4 * (there + back) + 1e-6
        width = high - low


def test_an_assumed_limit_bounds_the_own_use_only() -> None:
    """After a restart the exchange counts what an earlier life used; that must not close an assumed, smaller limit."""
    clock = ServerClock(now=0.0, wall=0.0)
    clock.learn_time(EPOCH_MS + 30_000, sent=0.0, received=0.0)
    guessed = Counter(rate_limit("weight", 60, 1_200, "1M"), clock, assumed=True)
    guessed.charge(1, 0.0)
    guessed.answered(1, 1_191, sent=0.0, now=0.1)
    assert (guessed.used, guessed.earliest(40, 0.1, risk=False)) == (1, 0.1)
    guessed.assumed = False
    assert guessed.earliest(40, 0.1, risk=False) > 1.0
