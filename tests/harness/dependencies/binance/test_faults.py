"""Faults of the exchange: what they arm, and that they always disarm. What proves that they bit: test_proof.py."""

import asyncio

import pytest

from harness.dependencies.binance import faults
from harness.dependencies.binance.arms import KINDS
from harness.dependencies.binance.gate.errors import ERRORS
from harness.dependencies.binance.settings import SHORT_FUTURES_LIMITS
from harness.faults.base import Stage
from harness.tape import Tape
from harness.units import ms

MENU = [
    faults.storm(),
    faults.ban(),
    faults.order_storm(),
    faults.unavailable(),
    faults.unknown_status(),
    faults.recv_window(),
    faults.firewall(),
    faults.rejects(),
    faults.timeouts(),
    faults.resets(),
    faults.latency(),
    faults.tenants(),
    faults.lower_limits(),
    faults.no_headers(),
    faults.thin_book(),
    faults.slippage(),
    faults.flash_crash(),
    faults.streams(),
]
WAYS = [pytest.param(fault, mode, id=f"{fault.name}-{mode}") for fault in MENU for mode in fault.modes]


class Exchange:
    """A world with one exchange, which writes down what is armed and can fail at one of the calls."""

    name = "binance"

    def __init__(self, fails_at=None):
        self.armed = {}
        self.log = []
        self.calls = 0
        self.fails_at = fails_at
        self.time_ns = 0

    def dependency(self, name):
        """Itself."""
        assert name == "binance"
        return self

    def _call(self):
        self.calls += 1
        if self.calls == self.fails_at:
            raise OSError("no")

    async def arm(self, arm):
        """Keep it."""
        self._call()
        name = f"arm-{self.calls}"
        self.armed[name] = arm
        self.log.append(("arm", self.time_ns, arm))
        return name

    async def disarm(self, name):
        """Forget it."""
        self._call()
        self.log.append(("disarm", self.time_ns, self.armed.pop(name)))

    def now_ns(self):
        """The time."""
        return self.time_ns

    async def sleep_until(self, time_ns):
        """Be there after one turn of the loop."""
        await asyncio.sleep(0)
        self.time_ns = max(self.time_ns, time_ns)


def hold(fault, mode, exchange):
    """The fault's scope."""
    return fault.hold(Stage(exchange, {}), mode, Tape(1).stream("fault/0"))


async def armed_by(fault, mode):
    """What it arms."""
    exchange = Exchange()
    async with hold(fault, mode, exchange):
        await asyncio.sleep(0)
        return list(exchange.armed.values())


@pytest.mark.parametrize(("fault", "mode"), WAYS)
async def test_whatever_is_armed_is_disarmed(fault, mode):
    """Also when the run is cut short inside the fault; the error comes out."""
    exchange = Exchange()

    async def cut_short():
        async with hold(fault, mode, exchange):
            await asyncio.sleep(0)
            assert exchange.armed
            raise InterruptedError

    with pytest.raises(InterruptedError):
        await cut_short()
    assert exchange.armed == {}


async def test_what_cannot_be_armed_takes_the_rest_with_it():
    """Of two arms the second fails: the first is disarmed before the error comes out."""
    exchange = Exchange(fails_at=2)
    with pytest.raises(OSError, match="no"):
        async with hold(faults.storm(), "no-headers", exchange):
            raise AssertionError("it cannot have begun")
    assert [what for what, _, _ in exchange.log] == ["arm", "disarm"]


async def test_every_kind_is_on_the_menu():
    """Nothing that can be armed is out of the reach of a scenario."""
    arms = [arm for fault in MENU for mode in fault.modes for arm in await armed_by(fault, mode)]
    assert {arm.kind for arm in arms} == set(KINDS)


async def test_share_count_and_scope_reach_the_exchange():
    """As they were asked for, in each mode."""
    order_paths = ("/fapi/v1/order", "/fapi/v1/batchOrders", "/api/v3/order")
    for mode in ("before", "after"):
        (arm,) = await armed_by(faults.resets(share=0.25, count=3, scope="orders"), mode)
        assert (arm.share, arm.count, arm.methods, arm.paths) == (0.25, 3, ("POST",), order_paths)
    (arm,) = await armed_by(faults.timeouts(scope="reads"), "after")
    assert (arm.methods, arm.paths) == (("GET",), ())
    (arm,) = await armed_by(faults.firewall(), "firewall")
    assert (arm.share, arm.count, arm.methods, arm.paths) == (1.0, 0, (), ())


@pytest.mark.parametrize(
    ("fault", "mode", "expected"),
    [
        (faults.storm(), "rest-of-window", [("too_many_requests", {})]),
        (faults.storm(short_ms=700), "short", [("too_many_requests", {"retry_after_ms": 700})]),
        (faults.storm(), "no-headers", [("too_many_requests", {}), ("no_headers", {})]),
        (faults.ban(lengths_ms=(1, 2, 3)), "third", [("ban", {"ms": 3})]),
        (faults.order_storm(), "at-400", [("too_many_orders", {"status": 400})]),
        (
            faults.order_storm(retry_after_ms=50),
            "at-429",
            [("too_many_orders", {"status": 429, "retry_after_ms": 50})],
        ),
        (faults.unavailable(), "A-executed", [("unknown_error", {"executed": 1.0})]),
        (faults.unavailable(), "A-not-executed", [("unknown_error", {"executed": 0.0})]),
        (faults.unavailable(), "A-executed-late", [("unknown_error", {"executed": 1.0, "after_ms": 1_000})]),
        (faults.unknown_status(), "1006-executed", [("bus_unknown", {"executed": 1.0})]),
        (faults.unknown_status(), "1007-not-executed", [("backend_timeout", {"executed": 0.0})]),
        (faults.rejects(-2019), "-2019", [("reject", {"code": -2019})]),
        (faults.latency(latency_ms=9, jitter_ms=2), "all", [("latency", {"ms": 9, "jitter_ms": 2})]),
        (faults.tenants(share=0.5), "weight", [("tenant", {"weight_per_s": 20.0, "orders_per_s": 0.0})]),
        (faults.tenants(share=0.5), "orders", [("tenant", {"weight_per_s": 0.0, "orders_per_s": 10.0})]),
        (
            faults.tenants(share=0.25, limits=SHORT_FUTURES_LIMITS),
            "orders",
            [("tenant", {"weight_per_s": 0.0, "orders_per_s": 7.5})],
        ),
        (faults.lower_limits(factor=0.4), "lower-limits", [("limits", {"factor": 0.4})]),
        (faults.thin_book(factor=0.1, refill_ms=9), "thin-book", [("thin_book", {"factor": 0.1, "refill_ms": 9})]),
        (faults.slippage(bps=7), "slippage", [("price_move", {"bps": 7})]),
        (faults.flash_crash(bps=500), "flash-crash", [("price_fall", {"bps": 500, "over_ms": 3000})]),
        (faults.streams(every_ms=5), "disconnect", [("stream_disconnect", {"every_ms": 5})]),
        (faults.streams(every_ms=5), "expiry", [("listen_key_expiry", {"ms": 5})]),
    ],
)
async def test_modes_are_options_of_the_arms(fault, mode, expected):
    """Kind and options of everything that is armed, in order."""
    assert [(arm.kind, dict(arm.options)) for arm in await armed_by(fault, mode)] == expected


async def test_bans_escalate_with_pauses_in_which_the_exchange_answers():
    """Each length in turn, the last one again; between two bans nothing is armed for as long as was drawn."""
    exchange = Exchange()
    fault = faults.ban("escalating", lengths_ms=(100, 200, 300), pause_ms=(5, 10))
    async with hold(fault, "escalating", exchange):
        for _ in range(200):
            await asyncio.sleep(0)
    bans = [(time_ns, arm.options["ms"]) for what, time_ns, arm in exchange.log if what == "arm"]
    ends = [time_ns for what, time_ns, _ in exchange.log if what == "disarm"]
    assert [length_ms for _, length_ms in bans[:5]] == [100, 200, 300, 300, 300]
    for (begins, length_ms), end, (next_one, _) in zip(bans, ends, bans[1:], strict=False):
        assert end == begins + ms(length_ms)
        assert ms(5) <= next_one - end <= ms(10)


async def test_a_ban_that_cannot_be_lifted_is_not_swallowed():
    """The run hears of it when the fault is left."""
    exchange = Exchange(fails_at=2)
    held = hold(faults.ban(), "escalating", exchange)
    await held.__aenter__()
    await asyncio.sleep(0)
    with pytest.raises(OSError, match="no"):
        await held.__aexit__(None, None, None)


def test_what_means_nothing_is_refused():
    """Misspelt modes and scopes, and ban lengths that do not fit the modes, are errors that name what there is."""
    with pytest.raises(ValueError, match="rest-of-window"):
        faults.storm("rest-of-the-window")
    with pytest.raises(ValueError, match="'order'"):
        faults.resets(scope="order")
    with pytest.raises(ValueError, match="first, second, third"):
        faults.ban(lengths_ms=(1, 2))


def test_modes_that_are_named_are_the_only_ones():
    """In the order in which they were named; none named takes all."""
    assert faults.unavailable("D", "A-executed").modes == ("D", "A-executed")
    assert faults.unavailable().modes == ("A-executed", "A-not-executed", "A-executed-late", "B", "C", "D")
    assert faults.rejects(-4116).modes == ("-4116",)


def test_terminal_errors_are_of_the_table():
    """Each of them has a body, and none stands for an outcome that is unknown or can be cured by waiting."""
    assert set(faults.TERMINAL) <= set(ERRORS)
    assert {ERRORS[code].status for code in faults.TERMINAL} == {400}
