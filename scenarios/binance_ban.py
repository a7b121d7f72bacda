"""Patch 2: the IP is banned, again and longer, for nothing that the trader did; work keeps coming all the while."""

from harness.dependencies.binance import faults as binance
from harness.experiment import Exploring
from harness.invariants.needs import at_least, observed_at_least
from harness.invariants.resumption import recovers
from harness.scenario import DependencySpec, Profile, Scenario, between, during
from harness.units import ms, seconds
from harness.world.base import HostSpec
from scenarios.binance_hosts import HEAVY_READS, LIGHT_READS, trader
from scenarios.binance_invariants import REFERENCE, flawed, flawed_limits, limits

_SHORT_BANS = (
    during(
        seconds(3),
        seconds(4),
        binance.ban("escalating", lengths_ms=(1_000, 1_500, 2_000), pause_ms=(300, 600)),
        binance.ban("first", "second", "third", lengths_ms=(3_000, 3_500, 4_000)),
    ),
)


def _hurried_trader(*, reads_per_s: int) -> HostSpec:
    """Return the trader of the small sizes: light reads, and orders that come and go within seconds."""
    return trader(
        reads_per_s=reads_per_s,
        menu=LIGHT_READS,
        read_deadline_ns=seconds(3),
        resting=("BNBUSDT",),
        resting_gap_ns=ms(300),
        resting_deadline_ns=seconds(3),
    )


SCENARIO = Scenario(
    name="binance-ban",
    title="The IP is banned, again and longer, while work goes on",
    patch=2,
    priority="P0",
    ports=REFERENCE,
    dependencies=(DependencySpec(name="binance", kind="binance"),),
    profiles={
        "full": Profile(
            hosts=(trader(reads_per_s=1.0, menu=HEAVY_READS, resting=("BNBUSDT",), resting_gap_ns=seconds(5)),),
            schedule=(
                during(
                    between(seconds(40), seconds(50)),
                    between(seconds(80), seconds(110)),
                    binance.ban("escalating", lengths_ms=(15_000, 30_000, 45_000), pause_ms=(5_000, 12_000)),
                ),
                during(
                    between(seconds(190), seconds(195)),
                    between(seconds(20), seconds(60)),
                    binance.ban("first", "second", "third", lengths_ms=(20_000, 30_000, 45_000)),
                ),
            ),
            settle_ns=seconds(60),
            needs=(
                at_least(100, "read", outcome="ok"),
                at_least(5, "read", outcome="fail"),
                observed_at_least(2, "ban"),
            ),
        ),
        "short": Profile(
            hosts=(_hurried_trader(reads_per_s=14),),
            schedule=_SHORT_BANS,
            settle_ns=seconds(6),
            needs=(at_least(60, "read", outcome="ok"), observed_at_least(1, "ban")),
            options={"binance": {"windows": "short"}},
        ),
        "explored": Profile(  # few reads, and time for a second wait and for what RL6 allows after it
            hosts=(_hurried_trader(reads_per_s=6),),
            schedule=_SHORT_BANS,
            settle_ns=seconds(15),
            needs=(at_least(40, "read", outcome="ok"), observed_at_least(1, "ban")),
            options={"binance": {"windows": "short"}},
        ),
    },
    invariants=(*limits(), recovers("read", stretch_ns=seconds(4))),
    explore=Exploring(profile="explored", span_ns=seconds(16)),
    flawed=(
        flawed("planned", "RL1", "RL2", "RL4"),
        flawed_limits("ignores_retry_after", "RL1", "RL2"),
        flawed_limits("never_shortens_backoff", "RL6"),
    ),
)
