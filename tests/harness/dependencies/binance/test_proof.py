"""What proves that a fault of the exchange bit: what the exchange recorded in time, all of it, and nothing else."""

import pytest

from harness.dependencies.binance import faults
from harness.faults.base import WithoutEffect
from harness.history.events import SCHEMA, FaultBegan, FaultHealed, Observation, RunStarted
from harness.history.history import History
from harness.history.query import fault_windows
from harness.units import ms, seconds

START, WITHIN, END = seconds(10), seconds(12), seconds(20)
BEFORE = {"limits": {"futures": [["REQUEST_WEIGHT", 60_000, 2_400], ["ORDERS", 10_000, 300]]}}
HALVED = {"limits": {"futures": [["REQUEST_WEIGHT", 60_000, 1_200], ["ORDERS", 10_000, 150]]}}


def order(**fields):
    """A new order that reached the exchange within the fault."""
    base = {"n": 1, "method": "POST", "path": "/fapi/v1/order", "market": "futures", "status": 200, "after_ns": 1}
    return ("request", base | fields)


def read(**fields):
    """A read likewise."""
    return order(**{"method": "GET", "path": "/fapi/v1/depth", "weight": 2, **fields})


def ended(kind, **counts):
    """What the exchange said of a fault when it ended."""
    return ("exchange_fault", {"fault": kind, "arm": "arm-1", **counts})


def imposed(**fields):
    """A ban that somebody imposed when the fault began."""
    return ("ban", {"ip": "203.0.113.7", "length_ns": seconds(5), "until_ns": seconds(15), **fields})


def weight(used, limit=2_400, **fields):
    """A read that was counted against the weight."""
    return read(used=used, limit=limit, window_ms=60_000, **fields)


def orders(used, limit=300, **fields):
    """An order that was counted."""
    return order(orders=1, counts=[[10_000, used, limit]], **fields)


SPOT_ORDER = order(market="spot", orders=1, counts=[[10_000, 1, 100]])
UNKNOWN = {"fault": "unknown_error", "status": 503}
PROOF = [
    (faults.storm(), "short", [read(fault="too_many_requests", status=429, code=-1003)], {"hit": 1}),
    (faults.ban(), "first", [imposed(), read(fault="ban", status=418)], {"turned_away": 1, "bans": 1, "bans_met": 1}),
    (faults.order_storm(), "at-400", [order(fault="too_many_orders", status=400, code=-1015)], {"hit": 1}),
    (faults.unavailable(), "A-executed", [order(**UNKNOWN, executed=True)], {"hit": 1, "executed": 1}),
    (faults.unavailable(), "A-not-executed", [order(**UNKNOWN)], {"hit": 1}),
    (faults.unavailable(), "B", [order(fault="service_unavailable", status=503)], {"hit": 1}),
    (faults.unavailable(), "C", [order(fault="throttled", status=503, code=-1008)], {"hit": 1}),
    (faults.unavailable(), "D", [order(fault="internal_error", status=503)], {"hit": 1}),
    (
        faults.unknown_status(),
        "1007-executed",
        [order(fault="backend_timeout", code=-1007, executed=True)],
        {"hit": 1, "executed": 1},
    ),
    (faults.unknown_status(), "1006-not-executed", [order(fault="bus_unknown", code=-1006)], {"hit": 1}),
    (
        faults.recv_window(),
        "recv-window",
        [order(fault="outside_recv_window", status=400, code=-1021)],
        {"hit": 1},
    ),
    (faults.firewall(), "firewall", [read(fault="firewall", status=403)], {"hit": 1}),
    (faults.rejects(), "-2019", [order(fault="reject", status=400, code=-2019)], {"hit": 1}),
    (faults.timeouts(), "before", [order(fault="silent_before", after_ns=-1)], {"hit": 1}),
    (
        faults.timeouts(),
        "after",
        [order(fault="silent_after", after_ns=-1, executed=True)],
        {"hit": 1, "executed": 1},
    ),
    (faults.timeouts(scope="reads"), "after", [read(fault="silent_after", after_ns=-1)], {"hit": 1}),
    (faults.resets(), "before", [order(fault="reset_before")], {"hit": 1}),
    (faults.resets(), "after", [order(fault="reset_after", executed=True)], {"hit": 1, "executed": 1}),
    (
        faults.latency(jitter_ms=500),
        "spikes",
        [read(fault="latency", after_ns=ms(1_500))],
        {"delayed": 1, "longest_ms": 1_500},
    ),
    (
        faults.tenants(),
        "weight",
        [ended("tenant", weight=900), weight(1_200, others=900)],
        {"weight": 900, "shared_windows": 1, "felt": 1},
    ),
    (
        faults.tenants(),
        "orders",
        [ended("tenant", orders=140), orders(100), orders(150)],
        {"orders": 140, "of_others_at_least": 49, "felt": 1},
    ),
    (
        faults.tenants(),
        "orders",
        [ended("tenant", orders=170), orders(290), orders(160)],
        {"orders": 170, "of_others_at_least": 159, "felt": 2},
    ),
    (faults.lower_limits(), "lower-limits", [weight(600, 1_200)], {"counted": 1, "felt": 1, "highest_percent": 50}),
    (faults.lower_limits(), "lower-limits", [orders(75, 150)], {"counted": 1, "felt": 1, "highest_percent": 50}),
    (faults.no_headers(), "no-headers", [ended("no_headers", requests=3), read()], {"answers": 3, "charged": 1}),
    (faults.thin_book(), "thin-book", [ended("thin_book", fills=2)], {"fills": 2}),
    (faults.slippage(), "slippage", [ended("price_move", fills=2)], {"fills": 2}),
    (faults.flash_crash(), "flash-crash", [ended("price_fall", told=2)], {"told": 2}),
    (faults.streams(), "disconnect", [ended("stream_disconnect", streams=1)], {"streams": 1}),
    (faults.streams(), "expiry", [ended("listen_key_expiry", streams=1)], {"streams": 1}),
]
PROVED = [pytest.param(*case, id=f"{case[0].name}-{case[1]}-{number}") for number, case in enumerate(PROOF)]


def judge(fault, mode, seen, *, time_ns=WITHIN, actor="binance"):
    """The evidence of a fault from 10 to 20 s, if this was seen at that time."""
    header = RunStarted(0, "harness", 1, SCHEMA, "0", "s", "full", "sim", 7, {}, [])
    limits = Observation(0, actor, 1, "exchange", BEFORE)
    lowered = Observation(START, actor, 1, "exchange", HALVED)
    began = FaultBegan(START, "harness", 1, 0, fault.name, mode, fault.on)
    observed = [Observation(time_ns, actor, 1, name, fields) for name, fields in seen]
    history = History.of([header, limits, began, lowered, *observed, FaultHealed(END, "harness", 1, 0)])
    return fault.evidence(history, fault_windows(history)[0])


@pytest.mark.parametrize(("fault", "mode", "seen", "counts"), PROVED)
def test_what_the_exchange_recorded_proves_it(fault, mode, seen, counts):
    """Within the fault, the instant of its healing included; a fault that was held back is judged by the same rule."""
    for which in (fault, WithoutEffect(fault)):
        evidence = judge(which, mode, seen)
        assert (evidence.bit, dict(evidence.counts)) == (True, counts)
    if fault.name != "binance.ban":
        assert judge(fault, mode, seen, time_ns=END).bit
        assert judge(fault, mode, seen, time_ns=START).bit


@pytest.mark.parametrize(("fault", "mode", "seen", "counts"), PROVED)
def test_nothing_else_proves_it(fault, mode, seen, counts):
    """Not what was before or after, nor at another exchange, nor requests that no fault hit, nor half of the proof."""
    assert not judge(fault, mode, seen, time_ns=START - 1).bit
    assert not judge(fault, mode, seen, time_ns=END + 1).bit
    assert not judge(fault, mode, seen, actor="other").bit
    unhurt = [
        (name, {key: value for key, value in fields.items() if key not in {"fault", "limit", "counts"}})
        for name, fields in seen
        if name != "exchange_fault"
    ]
    assert not judge(fault, mode, unhurt).bit
    for left_out in range(len(seen)):
        assert not judge(fault, mode, [*seen[:left_out], *seen[left_out + 1 :]]).bit


@pytest.mark.parametrize(
    ("fault", "mode", "seen"),
    [
        (faults.storm(), "short", [read(fault="too_many_requests", status=418, code=-1003)]),
        (faults.ban(), "first", [imposed(earned=True), read(fault="ban", status=418)]),
        (faults.ban(), "escalating", [imposed(), read(fault="ban", status=418)]),
        (faults.ban(), "first", [imposed(until_ns=seconds(11)), read(fault="ban", status=418)]),
        (faults.order_storm(), "at-400", [order(fault="too_many_orders", status=429, code=-1015)]),
        (faults.unavailable(), "A-executed", [order(**UNKNOWN)]),
        (faults.unavailable(), "A-not-executed", [order(**UNKNOWN, executed=True)]),
        (faults.unavailable(), "A-not-executed", [read(**UNKNOWN)]),
        (faults.rejects(), "-2019", [order(fault="reject", code=-4116)]),
        (faults.timeouts(), "before", [order(fault="silent_before", after_ns=5)]),
        (faults.timeouts(), "after", [order(fault="silent_after", after_ns=-1)]),
        (faults.resets(), "after", [order(fault="reset_after")]),
        (faults.latency(), "all", [read(fault="latency", after_ns=ms(1_999))]),
        (faults.latency(), "all", [read(fault="latency", after_ns=-1)]),
        (faults.tenants(), "weight", [ended("tenant", weight=900), weight(1_199, others=900)]),
        (faults.tenants(), "weight", [ended("tenant", weight=900), weight(2_000)]),
        (faults.tenants(), "weight", [ended("tenant"), weight(2_000, others=900)]),
        (faults.tenants(), "orders", [ended("tenant", orders=140), orders(148), orders(149)]),
        (faults.tenants(), "orders", [ended("tenant", orders=140), orders(150), orders(151), orders(1)]),
        (faults.tenants(), "orders", [ended("tenant", orders=140), orders(2), orders(149)]),
        (faults.tenants(), "orders", [ended("tenant", orders=140), orders(150), SPOT_ORDER, orders(151)]),
        (faults.tenants(), "orders", [ended("tenant"), orders(100), orders(150)]),
        (faults.lower_limits(), "lower-limits", [weight(599, 1_200)]),
        (faults.lower_limits(), "lower-limits", [weight(2_400, 2_400)]),
        (faults.no_headers(), "no-headers", [ended("no_headers", requests=3), order()]),
        (faults.no_headers(), "no-headers", [ended("no_headers", requests=3), read(after_ns=-1)]),
        (faults.thin_book(), "thin-book", [ended("thin_book"), ended("price_move", fills=2)]),
        (faults.flash_crash(), "flash-crash", [ended("price_fall")]),
    ],
)
def test_half_of_a_bite_is_none(fault, mode, seen):
    """Hit otherwise than the mode says, by another ban, too early, or without ever coming near a limit."""
    assert not judge(fault, mode, seen).bit


def test_a_fault_never_healed_is_judged_to_the_end():
    """A run that was cut short still has its evidence."""
    fault = faults.firewall()
    header = RunStarted(0, "harness", 1, SCHEMA, "0", "s", "full", "sim", 7, {}, [])
    began = FaultBegan(START, "harness", 1, 0, fault.name, "firewall", fault.on)
    hit = Observation(seconds(99), "binance", 1, *read(fault="firewall", status=403))
    history = History.of([header, began, hit])
    assert fault.evidence(history, fault_windows(history)[0]).bit


def test_limits_that_were_lowered_at_once_are_compared_with_the_first_ones():
    """A fault that begins with the run, in the very instant in which the exchange first says its limits."""
    fault = faults.lower_limits()
    header = RunStarted(0, "harness", 1, SCHEMA, "0", "s", "full", "sim", 7, {}, [])
    began = FaultBegan(0, "harness", 1, 0, fault.name, "lower-limits", fault.on)
    said = [Observation(0, "binance", 1, "exchange", limits) for limits in (BEFORE, HALVED)]
    hit = Observation(5, "binance", 1, *weight(600, 1_200))
    history = History.of([header, began, *said, hit])
    assert fault.evidence(history, fault_windows(history)[0]).bit
