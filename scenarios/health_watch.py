"""Patch 10: services fail in every way, one by one, all at once, and with the monitor itself."""

from harness.experiment import Exploring, cannot_bear
from harness.faults import network, process, service
from harness.faults.base import Fault
from harness.invariants.health_alert_ids import distinct
from harness.invariants.health_alerts import once, quiet
from harness.invariants.health_checks import honest, isolated
from harness.invariants.health_states import detects, recovers
from harness.invariants.needs import at_least
from harness.scenario import FlawedVariant, Profile, Scenario, between, during
from harness.units import ms, seconds
from harness.world.base import HostSpec
from scenarios.health_hosts import MONITOR, monitor, onlooker
from scenarios.health_hosts import service as serving

STORE = "store"
DEPENDENTS = ("executor", "portfolio", "policy")
ALL = (STORE, *DEPENDENTS, "feed", "ai-engine", "risk", "dashboard", "journal")
OPTIONAL = ("dashboard", "journal")
_FEW = (STORE, "executor", "feed", "journal")
"""Those of the short size."""


def hosts(*names: str, interval_ns: int, timeout_ns: int, every_ns: int, patience_ns: int) -> tuple[HostSpec, ...]:
    """Return these services, the monitor and who looks at it, in the order of their start."""
    causes = {name: [STORE] if name in DEPENDENTS else [] for name in names}
    watched = [{"name": name, "critical": name not in OPTIONAL, "depends_on": causes[name]} for name in names]
    return (
        *(serving(name, depends_on=causes[name]) for name in names),
        monitor(watched, interval_ns=interval_ns, timeout_ns=timeout_ns),
        onlooker(every_ns=every_ns, patience_ns=patience_ns),
    )


def silent(name: str) -> tuple[Fault, ...]:
    """Return every way in which a service keeps a check waiting."""
    return (
        process.freeze(name),
        service.misbehaves(MONITOR, name, "hangs", "drips"),
        network.half_open(MONITOR, name),
        network.partition(MONITOR, name),
    )


def every_way(name: str) -> tuple[Fault, ...]:
    """Return every way in which a service fails."""
    return (
        process.kill(name),
        service.misbehaves(MONITOR, name),
        network.refuse(MONITOR, name),
        process.power_off(name),
        network.bandwidth(MONITOR, name, rate_kb_s=0),
        *silent(name),
    )


def slow(name: str, *, latency_ms: int, jitter_ms: int) -> tuple[Fault, ...]:
    """Return ways in which a service answers late, and yet in time."""
    return (
        network.latency(MONITOR, name, latency_ms=latency_ms, jitter_ms=jitter_ms),
        network.slices(MONITOR, name, average_bytes=60, variation_bytes=40, delay_us=10_000),
    )


def at_once(name: str) -> tuple[Fault, ...]:
    """Return what happens to this one when it happens to all."""
    return (process.kill(name), network.partition(MONITOR, name, "both-ways"))


def flawed(name: str, *caught_by: str) -> FlawedVariant:
    """Return the monitor's flawed variant of that name, to be caught by any of these invariants."""
    return FlawedVariant(
        port="health", name=name, factory=f"reference_impl.flawed.health_service:{name}", caught_by=caught_by
    )


SCENARIO = Scenario(
    name="health-watch",
    title="Services refuse, hang, drip, lie and flap; the monitor sees it, says it once, and survives",
    patch=10,
    priority="P2",
    ports={"health": "reference_impl.health_service:make"},
    dependencies=(),
    profiles={
        "full": Profile(
            hosts=hosts(*ALL, interval_ns=seconds(2), timeout_ns=seconds(1), every_ns=ms(500), patience_ns=seconds(15)),
            schedule=(
                during(between(seconds(5), seconds(7)), seconds(12), *every_way("feed")),
                during(between(seconds(5), seconds(7)), seconds(13), *slow("ai-engine", latency_ms=500, jitter_ms=300)),
                during(between(seconds(8), seconds(10)), seconds(11), *silent("dashboard")),
                during(seconds(22), seconds(30), service.flaps(MONITOR, "risk", pause_ns=(ms(500), ms(3_000)))),
                during(between(seconds(24), seconds(26)), seconds(11), process.kill(STORE), process.freeze(STORE)),
                during(between(seconds(40), seconds(41)), seconds(19), *every_way("journal")),
                during(between(seconds(45), seconds(47)), seconds(9), process.kill(MONITOR), process.freeze(MONITOR)),
                *(during(between(seconds(70), seconds(71)), seconds(11), *at_once(name)) for name in ALL),
            ),
            settle_ns=seconds(11),
            needs=(at_least(120, "look", outcome="ok"), at_least(200, "health", outcome="ok")),
        ),
        "short": Profile(
            hosts=hosts(
                *_FEW,
                interval_ns=ms(700),
                timeout_ns=ms(500),
                every_ns=ms(150),
                patience_ns=seconds(3),
            ),
            schedule=(
                during(seconds(1), ms(6_500), *every_way("feed")),
                during(seconds(1), ms(6_500), *slow("journal", latency_ms=120, jitter_ms=60)),
                during(seconds(2), seconds(6), process.kill(STORE), process.freeze(STORE)),
                during(ms(8_500), ms(500), process.kill(MONITOR)),
            ),
            settle_ns=ms(5_000),
            needs=(at_least(40, "look", outcome="ok"), at_least(20, "health", outcome="ok")),
        ),
    },
    invariants=(detects(), quiet(), isolated(), once(), recovers(), honest(), distinct()),
    # Slower than a check's time limit, or than a service's patience with its store, is no harmless latency any more.
    explore=Exploring(
        add=tuple(fault for name in _FEW for fault in slow(name, latency_ms=120, jitter_ms=60)),
        without=("network.latency/* (400 ms)",),
        # A kilobyte a second is enough for an answer, sooner or later: no outage, and no health either; what it holds
        # up arrives in another life of the monitor. A reset is over at once, whatever else holds then.
        budget=cannot_bear("network.bandwidth/*", "network.reset/*", invariants=("HM1", "HM4", "HM6")),
    ),
    flawed=(
        flawed("planned", "HM1", "HM3", "HM4", "HM6"),
        flawed("sequential_polling", "HM3"),
        flawed("healthy_by_default", "HM6"),
        flawed("no_hysteresis", "HM4"),
        flawed("alert_storm", "HM4"),
        flawed("caches_last_good", "HM1"),
        flawed("ok_status_is_healthy", "HM1"),
        flawed("slow_is_down", "HM2"),
        flawed("shares_one_connection", "HM3"),
        flawed("timeout_per_read", "HM1"),
        flawed("needs_ten_good_checks", "HM5"),
        flawed("tells_consequences", "HM4"),
        flawed("forgets_what_it_told", "HM4"),
        flawed("trusts_its_history", "HM6"),
        flawed("never_stale", "HM6"),
        flawed("repeats_alert_ids", "HM7"),
    ),
)
