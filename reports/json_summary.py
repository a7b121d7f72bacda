"""What many runs come to, as JSON: `campaigns` and `readiness` in `report.json`."""

import dataclasses

import msgspec

from harness.verdict import PatchReadiness
from reports.model import ScenarioReport


class ReadinessJson(msgspec.Struct, frozen=True, kw_only=True):
    """One patch, as a gate judged it."""

    patch: int
    priority: str
    required: bool
    ready: bool
    worlds: list[str]
    runs: int
    passed: int
    invariants: int
    invariants_total: int
    variants: int
    caught: int
    reasons: list[str]


class SpreadJson(msgspec.Struct, frozen=True, kw_only=True):
    """One figure over the seeds that have it; null percentiles need more seeds."""

    name: str
    samples: int
    least: float
    median: float
    p90: float | None
    p99: float | None
    greatest: float


class CampaignJson(msgspec.Struct, frozen=True, kw_only=True):
    """The runs of one scenario in one world, counted; `pass_rate` is that of `passed + failed`."""

    scenario: str
    world: str
    profile: str
    target: dict[str, str]
    runs: int
    passed: int
    failed: int
    inconclusive: int
    errors: int
    crashed: int
    timed_out: int
    pass_rate: float | None
    pass_rate_low: float
    pass_rate_high: float
    lowest_failing_seed: int | None
    replay: str | None
    figures: list[SpreadJson]


def readiness(one: PatchReadiness) -> ReadinessJson:
    """Return the readiness of a patch."""
    return ReadinessJson(
        patch=one.patch,
        priority=one.priority,
        required=one.is_required,
        ready=one.is_ready,
        worlds=list(one.worlds),
        runs=one.runs,
        passed=one.passed,
        invariants=one.invariants,
        invariants_total=one.invariants_total,
        variants=one.variants,
        caught=one.caught,
        reasons=list(one.reasons),
    )


def campaign(scenario: ScenarioReport) -> CampaignJson:
    """Return what the runs of a scenario come to."""
    tally = scenario.tally
    return CampaignJson(
        scenario=scenario.scenario,
        world=scenario.world,
        profile=scenario.profile,
        target=dict(scenario.drawn.target),
        runs=tally.runs,
        passed=tally.passed,
        failed=tally.failed,
        inconclusive=tally.inconclusive,
        errors=tally.errors,
        crashed=tally.crashed,
        timed_out=tally.timed_out,
        pass_rate=tally.rate,
        pass_rate_low=tally.low,
        pass_rate_high=tally.high,
        lowest_failing_seed=tally.lowest_failing,
        replay=tally.replay or None,
        figures=[SpreadJson(**dataclasses.asdict(spread)) for spread in tally.spreads],
    )
