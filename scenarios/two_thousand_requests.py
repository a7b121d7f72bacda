"""Patch 2, the plan's own test: 2,000 requests at once, no ban. Others use the IP meanwhile, and limits are halved.

The plan's limiter passes a test that only counts exceptions. Here the exchange counts: weight, windows, what others
use; and being slow is no way out either, as what is allowed is to be used.
"""

from harness.dependencies.binance import faults as binance
from harness.dependencies.binance.settings import SHORT_FUTURES_LIMITS
from harness.experiment import Exploring, cannot_bear
from harness.invariants.answers import all_answered
from harness.invariants.goodput import goodput
from harness.invariants.needs import at_least, observed_at_least
from harness.invariants.rate_limits import no_ban
from harness.invariants.within_limits import within_limits
from harness.scenario import DependencySpec, Profile, Scenario, between, during
from harness.units import ms, seconds
from scenarios.binance_hosts import LIGHT_READS, READS, trader
from scenarios.binance_invariants import REFERENCE, flawed, flawed_limits

_HINDERING = (
    "storm",
    "ban",
    "unavailable",
    "unknown_status",
    "recv_window",
    "firewall",
    "timeouts",
    "resets",
    "latency",
    "no_headers",
)
_MENU = (READS[1], READS[2], *LIGHT_READS)

SCENARIO = Scenario(
    name="two-thousand-requests",
    title="2,000 requests at once, and no ban",
    patch=2,
    priority="P0",
    ports=REFERENCE,
    dependencies=(DependencySpec(name="binance", kind="binance"),),
    profiles={
        "full": Profile(
            hosts=(trader(burst=2_000, menu=_MENU, read_deadline_ns=seconds(400), warm_up_ns=ms(500)),),
            schedule=(
                during(ms(100), seconds(215), binance.tenants("weight", share=0.1)),
                during(between(seconds(101), seconds(103)), seconds(110), binance.lower_limits()),
            ),
            settle_ns=seconds(5),
            needs=(at_least(2_000, "read", outcome="ok"), observed_at_least(2_000, "request", where={"status": 200})),
        ),
        "short": Profile(
            hosts=(trader(burst=260, menu=LIGHT_READS, read_deadline_ns=seconds(60), warm_up_ns=ms(200)),),
            schedule=(during(ms(100), seconds(12), binance.tenants("weight", share=0.2, limits=SHORT_FUTURES_LIMITS)),),
            settle_ns=seconds(2),
            needs=(at_least(260, "read", outcome="ok"), observed_at_least(260, "request", where={"status": 200})),
            options={"binance": {"windows": "short"}},
        ),
    },
    invariants=(
        no_ban(),
        within_limits(),
        all_answered("read"),
        goodput("read", waiting=8, despite=("binance.tenants", "binance.lower_limits")),
    ),
    explore=Exploring(
        # The goodput that is owed is reckoned despite others. Limits that are lowered for a moment are believed for
        # longer, as nobody says that they were raised again.
        budget=cannot_bear(
            "binance.lower_limits/*",
            "process.*",
            "network.*",
            "clock.*",
            "disk.*",
            *(f"binance.{fault}/*" for fault in _HINDERING),
            invariants=("RL5",),
        ),
    ),
    flawed=(
        flawed("planned", "RL1", "RL3", "RL4"),
        flawed_limits("counts_requests_not_weight", "RL3"),
        flawed_limits("bursts_at_window_edge", "RL3"),
        flawed_limits("paces_too_timidly", "RL5"),
    ),
)
