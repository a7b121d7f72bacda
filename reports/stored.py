"""A stored session, read back from `report.json`, so that every format can be made of a run folder again.

What the file does not hold is what no format shows: of a flawed variant's example run only its errors and how to
replay it. A file that was written before a field came into the schema gives that field's default.
"""

from pathlib import Path

import msgspec

from harness.comparison import Change, Comparison, Delta, GroupComparison, KnownFinding, Standing
from harness.errors import UsageError
from harness.verdict import (
    FaultResult,
    Finding,
    FlawedResult,
    InvariantResult,
    NeedResult,
    Outcome,
    PatchReadiness,
    Row,
    RunResult,
    Session,
    Verdict,
)
from reports.json_comparison import ComparisonJson, GroupJson
from reports.json_report import FILE_NAME, Document, FindingJson, FlawedJson, InvariantJson, RunJson
from reports.model import SCHEMA


def read(path: Path) -> Session:
    """Return the session of a run folder, or of the `report.json` in it.

    Raises `UsageError`, in one line, for whatever is wrong with the path or the file.
    """
    try:
        file = path / FILE_NAME if path.is_dir() else path
        content = file.read_bytes()
    except OSError as error:
        hint = "; a run folder has it where `--report` includes json" if path.is_dir() else ""
        raise UsageError(f"cannot read {file}: {error.strerror or error}{hint}") from error
    try:
        schema = msgspec.json.decode(content, type=_Schema).schema
        if schema != SCHEMA:
            raise UsageError(f"{file} has schema {schema}; this harness reads schema {SCHEMA}")
        return _session(msgspec.json.decode(content, type=Document))
    except (msgspec.DecodeError, UnicodeDecodeError, ValueError, TypeError) as error:
        raise UsageError(f"{file} is not the report of a run: {error}") from error


class _Schema(msgspec.Struct, frozen=True):
    schema: int


def _session(document: Document) -> Session:
    return Session(
        verdict=Verdict(document.verdict),
        exit_code=document.exit_code,
        harness_version=document.harness_version,
        command=tuple(document.command),
        started_utc=document.started_utc,
        runs=tuple(_run(run) for run in document.runs),
        flawed=tuple(_flawed(flawed) for flawed in document.flawed),
        skipped=tuple(document.skipped),
        omitted=tuple(document.omitted),
        readiness=tuple(
            PatchReadiness(
                patch=one.patch,
                priority=one.priority,
                is_required=one.required,
                worlds=tuple(one.worlds),
                runs=one.runs,
                passed=one.passed,
                invariants=one.invariants,
                invariants_total=one.invariants_total,
                variants=one.variants,
                caught=one.caught,
                reasons=tuple(one.reasons),
            )
            for one in document.readiness
        ),
        environment=dict(document.environment),
        comparison=None if document.comparison is None else _comparison(document.comparison),
    )


def _run(run: RunJson) -> RunResult:
    return RunResult(
        scenario=run.scenario,
        title=run.title,
        patch=run.patch,
        priority=run.priority,
        world=run.world,
        profile=run.profile,
        seed=run.seed,
        target=run.target,
        verdict=Verdict(run.verdict),
        trace_digest=run.trace_digest,
        simulated_s=run.simulated_s,
        wall_s=run.wall_s,
        history=run.history,
        replay=run.replay,
        needs=tuple(NeedResult(text=need.text, met=need.met, observed=need.observed) for need in run.needs),
        faults=tuple(
            FaultResult(
                name=fault.name,
                mode=fault.mode,
                on=fault.on,
                start_s=_known(fault.start_s),
                end_s=fault.end_s,
                bit=fault.bit,
                evidence=fault.evidence,
            )
            for fault in run.faults
        ),
        invariants=tuple(_invariant(invariant) for invariant in run.invariants),
        metrics=run.metrics,
        errors=tuple(run.errors),
        doubts=tuple(run.doubts),
        left_out=tuple(run.left_out),
        lost=run.lost or "",
        config=run.config or "",
    )


def _invariant(invariant: InvariantJson) -> InvariantResult:
    return InvariantResult(
        id=invariant.id,
        name=invariant.name,
        statement=invariant.statement,
        verdict=Outcome(invariant.verdict),
        checked=invariant.checked,
        observed=invariant.observed,
        limit=invariant.limit,
        unit=invariant.unit,
        reason=invariant.reason,
        finding=None if invariant.finding is None else _finding(invariant.finding),
    )


def _finding(finding: FindingJson) -> Finding:
    return Finding(
        sentence=finding.sentence,
        count=finding.count,
        first=finding.first,
        worst=finding.worst,
        last=finding.last,
        rows=tuple(
            Row(time_s=_known(row.time_s), actor=row.actor, event=row.event, id=row.id, offending=row.offending)
            for row in finding.rows
        ),
    )


def _known(value: float | None) -> float:
    """A number that a session always has; null stands for one that JSON does not have."""
    return float("nan") if value is None else value


def _flawed(flawed: FlawedJson) -> FlawedResult:
    example = None
    if flawed.replay or flawed.errors:
        example = RunResult(
            scenario=flawed.scenario,
            title="",
            patch=0,
            priority="",
            world=flawed.world,
            profile="",
            seed=flawed.seed or 0,
            target={},
            verdict=Verdict.ERROR if flawed.errors else Verdict.PASS,
            replay=flawed.replay,
            errors=tuple(flawed.errors),
        )
    return FlawedResult(
        variant=flawed.variant,
        scenario=flawed.scenario,
        world=flawed.world,
        expected=tuple(flawed.expected),
        caught=flawed.caught,
        by=tuple(flawed.by),
        seeds=flawed.seeds,
        example=example,
        seed=flawed.seed,
    )


def _comparison(comparison: ComparisonJson) -> Comparison:
    new, ongoing, resolved, unseen = (
        tuple(
            KnownFinding(scenario=one.scenario, world=one.world, profile=one.profile, what=one.what) for one in findings
        )
        for findings in (comparison.new, comparison.ongoing, comparison.resolved, comparison.unseen)
    )
    return Comparison(
        baseline=comparison.baseline,
        groups=tuple(_group(group) for group in comparison.groups),
        new=new,
        ongoing=ongoing,
        resolved=resolved,
        unseen=unseen,
        environment=tuple(comparison.differs),
    )


def _group(group: GroupJson) -> GroupComparison:
    return GroupComparison(
        scenario=group.scenario,
        world=group.world,
        profile=group.profile,
        standing=msgspec.convert(group.standing, Standing),
        is_paired=group.paired,
        why=group.why,
        deltas=tuple(
            Delta(
                name=one.name,
                unit=one.unit,
                less_is_better=one.less_is_better,
                before=one.before,
                after=one.after,
                samples=msgspec.convert(one.samples, tuple[int, int]),
                shift=one.shift,
                low=one.low,
                high=one.high,
                change=msgspec.convert(one.change or "", Change),
            )
            for one in group.measures
        ),
    )
