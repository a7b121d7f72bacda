"""Patch 4: an engine's models are removed, broken, hung, swapped and retrained, and the dashboard is told the truth."""

from typing import Final

from harness.experiment import Exploring, cannot_bear
from harness.faults import network, process
from harness.invariants.ai_absence import absent_is_absent
from harness.invariants.ai_freshness import fresh
from harness.invariants.ai_metrics import causal, not_constant
from harness.invariants.bounds import bounded
from harness.invariants.needs import Need, at_least, observed_at_least
from harness.scenario import FlawedVariant, Profile, Scenario, between, during
from harness.units import as_seconds, ms, seconds
from scenarios.ai_feeder import STAGES
from scenarios.ai_hosts import dashboard, engine

WINDOW: Final = 40
STUCK_AFTER: Final = 10
STALE_NS: Final = ms(1_500)


def _options(**more: object) -> dict[str, object]:
    return {
        "models": "small",
        "window": WINDOW,
        "stuck_after": STUCK_AFTER,
        "stale_after_s": as_seconds(STALE_NS),
        "predict_limit_s": 0.1,
        **more,
    }


def _needs(*, answers: int, outcomes: int) -> tuple[Need, ...]:
    """Every stage was carried through; questions were asked and outcomes given all the while."""
    return (
        at_least(answers, "metrics", outcome="ok"),
        at_least(outcomes, "resolve", outcome="ok"),
        at_least(1, "metrics", inside="process.kill"),
        at_least(3, "metrics", outcome="ok", inside="network.latency"),
        *(observed_at_least(1, "stage", where={"kind": stage}) for stage in STAGES),
    )


def _flawed(name: str, *caught_by: str) -> FlawedVariant:
    return FlawedVariant(port="ai", name=name, factory=f"reference_impl.flawed.ai_engine:{name}", caught_by=caught_by)


SCENARIO = Scenario(
    name="ai-metrics",
    title="Models are removed, broken, hung, swapped and retrained under the eyes of a dashboard",
    patch=4,
    priority="P0",
    ports={"ai": "reference_impl.ai_engine:make"},
    dependencies=(),
    profiles={
        "full": Profile(
            hosts=(
                engine(
                    history=140,
                    tick_ns=ms(250),
                    stage_ticks=9,
                    fit_ns=ms(700),
                    pause_ns=seconds(3),
                    options=_options(folds=0),
                ),
                engine(
                    name="other",
                    history=140,
                    tick_ns=ms(500),
                    stage_ticks=0,
                    stages=(),
                    pause_ns=0,
                    options=_options(folds=0),
                ),
                dashboard(every_ns=ms(350)),
            ),
            schedule=(
                during(between(seconds(8), seconds(14)), ms(500), process.kill("engine")),
                during(
                    between(seconds(20), seconds(25)),
                    seconds(4),
                    network.latency("dashboard", "engine", latency_ms=60, jitter_ms=40),
                ),
            ),
            settle_ns=seconds(16),
            needs=_needs(answers=200, outcomes=80),
        ),
        "short": Profile(
            hosts=(
                engine(
                    history=400,
                    tick_ns=ms(70),
                    stage_ticks=8,
                    fit_ns=ms(100),
                    pause_ns=ms(2_300),
                    options=_options(),
                ),
                engine(
                    name="other",
                    history=140,
                    tick_ns=ms(140),
                    stage_ticks=0,
                    stages=(),
                    pause_ns=0,
                    options=_options(folds=0),
                ),
                dashboard(every_ns=ms(120)),
            ),
            schedule=(
                during(
                    between(ms(500), ms(1_500)),
                    seconds(1),
                    network.latency("dashboard", "engine", latency_ms=30, jitter_ms=20),
                ),
                during(between(ms(3_000), ms(4_500)), ms(300), process.kill("engine")),
            ),
            settle_ns=seconds(6),
            needs=_needs(answers=100, outcomes=60),
        ),
    },
    invariants=(
        causal(window=WINDOW, stuck_after=STUCK_AFTER),
        not_constant(window=WINDOW, stuck_after=STUCK_AFTER),
        absent_is_absent(window=WINDOW, stuck_after=STUCK_AFTER),
        fresh(STALE_NS, window=WINDOW, stuck_after=STUCK_AFTER),
        bounded("metrics", ms(200), id="AI5", at="p99", real_limit_ns=seconds(1)),
    ),
    explore=Exploring(
        budget=(
            *cannot_bear("clock.*", invariants=("AI4",)),  # ages outlive a restart, so they are told by the wall clock
            *cannot_bear("service.misbehaves/*", invariants=("AI3",)),  # that speaks in the engine's name
            *cannot_bear(
                "process.power_off/*",
                "process.freeze/*",
                "network.half_open/*",
                "network.partition/*",
                "network.drop_http_reply/*",
                "network.bandwidth/*",
                "network.latency/* (400 ms)",
                "network.slice/*",
                "service.misbehaves/*",
                invariants=("AI4", "AI5"),  # what nobody answers is late, whatever the engine does
            ),
        ),
    ),
    flawed=(
        _flawed("planned", "AI1", "AI2", "AI3", "AI4"),
        _flawed("hard_coded_scores", "AI2"),
        _flawed("zero_when_missing", "AI3"),
        _flawed("random_numbers", "AI1"),
        _flawed("cached_forever", "AI4"),
        _flawed("never_stale", "AI4"),
        _flawed("last_known_when_gone", "AI3"),
        _flawed("leaks_exception_text", "AI3"),
        _flawed("blocks_while_training", "AI5"),
        _flawed("hangs_with_model", "AI5"),
        _flawed("counts_repeats", "AI1"),
        _flawed("forgets_on_restart", "AI1"),
    ),
)
