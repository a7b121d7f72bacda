"""What the two floods share: their faults, what must have happened, and how they are put together."""

from collections.abc import Sequence
from typing import Final

from harness.dependencies.binance import faults as binance
from harness.experiment import Exploring, cannot_bear
from harness.faults import process
from harness.invariants.needs import Need, at_least, observed_at_least
from harness.scenario import DependencySpec, FlawedVariant, Profile, Scenario, between, during
from harness.units import ms, seconds
from harness.world.base import HostSpec
from scenarios.signal_invariants import PORTS, flawed, invariants

_SCHEDULE: Final = (
    during(
        between(seconds(1), ms(1_500)),
        ms(2_500),
        binance.latency("all", latency_ms=1_500, jitter_ms=1_000),
        binance.timeouts("before", share=1.0),
        binance.unavailable("B", "D", share=0.9),
        binance.resets("before", share=0.9),
    ),
    during(ms(4_200), ms(1_800), binance.rejects(-2019, -4164, -1111, share=1.0)),
    during(between(ms(6_100), ms(7_400)), between(ms(100), ms(700)), process.kill("engine")),
)
_NEEDS: Final = (
    at_least(12, "execution"),
    at_least(2, "execution", outcome="fail"),
    observed_at_least(40, "disposed", where={"reason": "expired"}),
    observed_at_least(40, "disposed", where={"reason": "superseded"}),
    observed_at_least(3, "disposed", where={"reason": "executed", "exit": True}),
    observed_at_least(1, "trading", where={"allowed": False}),
)
_SHORT_SCHEDULE: Final = (
    during(
        ms(500),
        seconds(3),
        binance.latency("all", latency_ms=700, jitter_ms=500),
        binance.resets("before", share=0.9),
    ),
    during(ms(3_600), ms(1_700), binance.rejects(-2019, -4164, share=1.0)),
    during(between(ms(5_500), ms(5_900)), ms(200), process.kill("engine")),
)
_SHORT_NEEDS: Final = (
    at_least(6, "execution"),
    at_least(1, "execution", outcome="fail"),
    observed_at_least(20, "disposed", where={"reason": "expired"}),
    observed_at_least(20, "disposed", where={"reason": "superseded"}),
    observed_at_least(1, "disposed", where={"reason": "executed", "exit": True}),
    observed_at_least(1, "trading", where={"allowed": False}),
)


def disposed(count: int, reason: str) -> Need:
    """Need so many signals that ended for that reason."""
    return observed_at_least(count, "disposed", where={"reason": reason})


def flood(
    *,
    name: str,
    title: str,
    full: HostSpec,
    full_needs: Sequence[Need],
    short: HostSpec,
    short_needs: Sequence[Need],
    variants: Sequence[FlawedVariant],
) -> Scenario:
    """Return a flood of that engine's size; its needs are those of every flood and these."""
    return Scenario(
        name=name,
        title=title,
        patch=3,
        priority="P0",
        ports=PORTS,
        dependencies=(DependencySpec(name="binance", kind="binance"),),
        profiles={
            "full": Profile(hosts=(full,), schedule=_SCHEDULE, settle_ns=seconds(14), needs=(*full_needs, *_NEEDS)),
            "short": Profile(
                hosts=(short,),
                schedule=_SHORT_SCHEDULE,
                settle_ns=seconds(7),
                needs=(*short_needs, *_SHORT_NEEDS),
                options={"binance": {"windows": "short"}},
            ),
        },
        invariants=invariants(),
        # A frozen engine finds all that came meanwhile due at one instant: in which order it offers that is nobody's
        # promise, and of two signals of one id it may be the first that is refused.
        explore=Exploring(budget=cannot_bear("process.freeze/*", invariants=("SF3", "SF5", "SF8"))),
        flawed=(flawed("planned", "SF3", "SF4", "SF5"), *variants),
    )
