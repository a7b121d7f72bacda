"""`report.json`: stable, typed, and free of anything made up.

The structs below are the contract; scripts of users rely on their keys and their order. Unknown values are
null: so are infinities and NaN, which JSON does not have. The text is ASCII (everything else escaped), so
that it is safe to print to a terminal and survives any encoding.

It is also the record of a run folder: `reports.stored` makes the session of it again, so every field of a session that
a format shows is here. What came into the schema later has a default, for the files that were written before it.
"""

import json
from typing import Final

import msgspec

from harness.verdict import FlawedResult, InvariantResult, RunResult
from reports.json_comparison import ComparisonJson, finite
from reports.json_comparison import document as comparison_document
from reports.json_summary import CampaignJson, ReadinessJson, campaign, readiness
from reports.model import Report

FILE_NAME: Final = "report.json"


class RowJson(msgspec.Struct, frozen=True, kw_only=True):
    """One row of a finding's timeline."""

    time_s: float | None
    actor: str
    event: str
    id: str
    offending: bool


class FindingJson(msgspec.Struct, frozen=True, kw_only=True):
    """One violation, explained."""

    sentence: str
    count: int
    first: str
    worst: str
    last: str
    rows: list[RowJson]


class NeedJson(msgspec.Struct, frozen=True, kw_only=True):
    """What must have happened, and what did."""

    text: str
    met: bool
    observed: float | int | None


class FaultJson(msgspec.Struct, frozen=True, kw_only=True):
    """One fault; `end_s` is null when it was never healed."""

    name: str
    mode: str
    on: str
    start_s: float | None
    end_s: float | None
    bit: bool
    evidence: dict[str, int]


class InvariantJson(msgspec.Struct, frozen=True, kw_only=True):
    """What one invariant came to."""

    id: str
    name: str
    verdict: str
    observed: float | int | str | None
    limit: float | int | str | None
    unit: str
    finding: FindingJson | None
    checked: int
    reason: str
    statement: str = ""


class RunJson(msgspec.Struct, frozen=True, kw_only=True):
    """One run."""

    scenario: str
    patch: int
    priority: str
    world: str
    seed: int
    target: dict[str, str]
    verdict: str
    trace_digest: str | None
    simulated_s: float | None
    wall_s: float | None
    history: str | None
    replay: str
    needs: list[NeedJson]
    faults: list[FaultJson]
    invariants: list[InvariantJson]
    metrics: dict[str, float | int | None]
    errors: list[str]
    doubts: list[str]
    profile: str
    lost: str | None
    config: str | None
    title: str = ""
    left_out: list[str] = []


class FlawedJson(msgspec.Struct, frozen=True, kw_only=True):
    """One flawed variant."""

    variant: str
    scenario: str
    caught: bool
    by: list[str]
    seeds: int
    world: str
    expected: list[str]
    seed: int | None
    replay: str = ""
    errors: list[str] = []


class Document(msgspec.Struct, frozen=True, kw_only=True):
    """The whole document."""

    schema: int
    verdict: str
    exit_code: int
    harness_version: str
    command: list[str]
    runs: list[RunJson]
    flawed: list[FlawedJson]
    skipped: list[str]
    campaigns: list[CampaignJson]
    environment: dict[str, str]
    comparison: ComparisonJson | None
    readiness: list[ReadinessJson]
    omitted: list[str]
    started_utc: str = ""


def render(report: Report) -> str:
    """Return the JSON text, indented, with a line feed at its end."""
    return json.dumps(finite(msgspec.to_builtins(document(report))), indent=1, allow_nan=False) + "\n"


def document(report: Report) -> Document:
    """Return the report as the typed document that `render` writes."""
    session = report.session
    return Document(
        schema=report.schema,
        verdict=session.verdict.value,
        exit_code=session.exit_code,
        harness_version=session.harness_version,
        command=list(session.command),
        runs=[_run(run) for run in session.runs],
        flawed=[_flawed(flawed) for flawed in session.flawed],
        skipped=list(session.skipped),
        campaigns=[campaign(scenario) for scenario in report.scenarios],
        environment={name: str(value) for name, value in session.environment.items()},
        comparison=None if session.comparison is None else comparison_document(session.comparison),
        readiness=[readiness(one) for one in session.readiness],
        omitted=list(session.omitted),
        started_utc=session.started_utc,
    )


def _run(run: RunResult) -> RunJson:
    return RunJson(
        scenario=run.scenario,
        patch=run.patch,
        priority=run.priority,
        world=run.world,
        seed=run.seed,
        target=dict(run.target),
        verdict=run.verdict.value,
        trace_digest=run.trace_digest,
        simulated_s=run.simulated_s,
        wall_s=run.wall_s,
        history=run.history,
        replay=run.replay,
        needs=[NeedJson(text=need.text, met=need.met, observed=need.observed) for need in run.needs],
        faults=[
            FaultJson(
                name=fault.name,
                mode=fault.mode,
                on=fault.on,
                start_s=fault.start_s,
                end_s=fault.end_s,
                bit=fault.bit,
                evidence=dict(fault.evidence),
            )
            for fault in run.faults
        ],
        invariants=[_invariant(invariant) for invariant in run.invariants],
        metrics=dict(run.metrics),
        errors=list(run.errors),
        doubts=list(run.doubts),
        profile=run.profile,
        lost=run.lost or None,
        config=run.config or None,
        title=run.title,
        left_out=list(run.left_out),
    )


def _invariant(invariant: InvariantResult) -> InvariantJson:
    finding = invariant.finding
    return InvariantJson(
        id=invariant.id,
        name=invariant.name,
        verdict=invariant.verdict.value,
        observed=invariant.observed,
        limit=invariant.limit,
        unit=invariant.unit,
        finding=None
        if finding is None
        else FindingJson(
            sentence=finding.sentence,
            count=finding.count,
            first=finding.first,
            worst=finding.worst,
            last=finding.last,
            rows=[
                RowJson(time_s=row.time_s, actor=row.actor, event=row.event, id=row.id, offending=row.offending)
                for row in finding.rows
            ],
        ),
        checked=invariant.checked,
        reason=invariant.reason,
        statement=invariant.statement,
    )


def _flawed(flawed: FlawedResult) -> FlawedJson:
    example = flawed.example
    return FlawedJson(
        variant=flawed.variant,
        scenario=flawed.scenario,
        caught=flawed.caught,
        by=list(flawed.by),
        seeds=flawed.seeds,
        world=flawed.world,
        expected=list(flawed.expected),
        seed=flawed.seed,
        replay="" if example is None else example.replay,
        errors=[] if example is None else list(example.errors),
    )
