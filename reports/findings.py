"""Findings: what a reviewer has to read, the worst first.

Not only violations. A need that was not met, a fault that never bit, an error of the harness and a flawed
variant that went unnoticed each keep the gate shut, so each is a finding with a sentence and a replay command
of its own.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Final

from harness.compare import unnoticed, wrong_of
from harness.comparison import KnownFinding
from harness.verdict import (
    INTERRUPTED,
    NOT_REPRODUCIBLE,
    FlawedResult,
    InvariantResult,
    Outcome,
    Row,
    RunResult,
    Session,
    Verdict,
    patch_name,
)
from reports.matrix import place_of
from reports.text import figure

ROWS_MAX: Final = 25
"""Rows of timeline that one finding shows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Elsewhere:
    """The same finding in another seed."""

    seed: int
    sentence: str
    replay: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FindingReport:
    """One finding, told from the first run that has it; `elsewhere` are the other runs of the same scenario.

    `verdict` is what it makes of the run: FAIL, ERROR or INCONCLUSIVE. `cell` is the key of its cell in the
    matrix.
    """

    anchor: str
    scenario_anchor: str
    cell: tuple[str, str]
    verdict: Verdict
    title: str
    where: str
    seed: int | None
    sentence: str
    statement: str = ""
    observed: str = ""
    limit: str = ""
    count: int | None = None
    first: str = ""
    worst: str = ""
    last: str = ""
    rows: tuple[Row, ...] = ()
    rows_cut: int = 0
    replay: str = ""
    elsewhere: tuple[Elsewhere, ...] = ()
    runs: int = 1
    standing: str = ""
    """Against the baseline: `new`, `ongoing`, or empty where there is none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Raw:
    """One finding of one run, before the same one of other seeds is folded into it."""

    key: str
    verdict: Verdict
    title: str
    sentence: str
    invariant: InvariantResult | None = None


_VERDICT_OF = {
    Outcome.VIOLATED: Verdict.FAIL,
    Outcome.ERROR: Verdict.ERROR,
    Outcome.INCONCLUSIVE: Verdict.INCONCLUSIVE,
}
_FIRST = (Verdict.FAIL, Verdict.ERROR, Verdict.INCONCLUSIVE)


def findings_of(groups: Mapping[str, tuple[RunResult, ...]], session: Session) -> tuple[FindingReport, ...]:
    """Return the findings of a session: failed first, then by scenario and invariant."""
    found: list[FindingReport] = []
    for anchor, runs in groups.items():
        by_key: dict[str, list[tuple[RunResult, _Raw]]] = {}
        for run in runs:
            for raw in _raws(run):
                by_key.setdefault(raw.key, []).append((run, raw))
        for number, same in enumerate(by_key.values(), start=1):
            told = _told(f"{anchor}-f{number}", anchor, same, len(runs))
            found.append(replace(told, standing=_standing(session, *same[0])))
    found.extend(_unnoticed(session))
    if not session.runs:
        found.append(
            FindingReport(
                anchor="f-empty",
                scenario_anchor="",
                cell=("", ""),
                verdict=Verdict.INCONCLUSIVE,
                title="Nothing ran",
                where="session",
                seed=None,
                sentence="No scenario ran, so there is nothing to judge.",
            )
        )
    return tuple(sorted(found, key=lambda finding: _FIRST.index(finding.verdict)))


def _standing(session: Session, run: RunResult, raw: _Raw) -> str:
    """Return whether the baseline has this finding of this scenario as well."""
    if session.comparison is None:
        return ""
    violated = [] if raw.invariant is None or raw.verdict is not Verdict.FAIL else [raw.invariant.id]
    (what, *_) = wrong_of("" if violated else run.verdict, run.lost, violated) or ("",)
    known = KnownFinding(scenario=run.scenario, world=run.world, profile=run.profile, what=what)
    return "new" if known in session.comparison.new else "ongoing" if known in session.comparison.ongoing else ""


def sentence_of(invariant: InvariantResult) -> str:
    """Return one sentence with limit and observed value, from the finding or made from the result."""
    if invariant.finding is not None:
        return invariant.finding.sentence
    if invariant.reason:
        return invariant.reason
    observed, limit = figure(invariant.observed, invariant.unit), figure(invariant.limit, invariant.unit)
    return f"{invariant.name}: observed {observed}, limit {limit}."


def untold_errors(run: RunResult) -> tuple[str, ...]:
    """Return the errors and doubts of a run that its needs, faults and invariants do not tell by themselves.

    They repeat, as text, what those fields hold; a reader should meet each trouble once. Of a run that broke only
    the errors count: everything else about it is in doubt because of them.
    """
    if INTERRUPTED in run.doubts and not run.errors:
        return (INTERRUPTED,)
    told = [need.text for need in run.needs if not need.met]
    told += [f"fault {fault.name} ({fault.mode})" for fault in run.faults if not fault.bit or fault.end_s is None]
    told += [f"{one.id} is inconclusive" for one in run.invariants if one.verdict is Outcome.INCONCLUSIVE]
    told += [f"invariant {one.id} raised" for one in run.invariants if one.verdict is Outcome.ERROR]
    return tuple(text for text in run.errors or run.doubts if not any(part in text for part in told))


def _title(run: RunResult, text: str) -> str:
    if run.lost:
        return f"Run lost: {run.lost}"
    if run.verdict is not Verdict.ERROR:
        return "Doubt"
    return "Not reproducible" if text.startswith(NOT_REPRODUCIBLE) else "Harness error"


def _raws(run: RunResult) -> Iterable[_Raw]:
    is_error = run.verdict is Verdict.ERROR
    broke = bool(run.errors) or INTERRUPTED in run.doubts
    for at, text in enumerate(untold_errors(run)):
        yield _Raw(
            key=f"error {at}",
            verdict=Verdict.ERROR if is_error else Verdict.INCONCLUSIVE,
            title=_title(run, text),
            sentence=text,
        )
    for invariant in run.invariants:
        if invariant.verdict in _VERDICT_OF and not (broke and invariant.verdict is Outcome.INCONCLUSIVE):
            yield _Raw(
                key=f"invariant {invariant.id}",
                verdict=_VERDICT_OF[invariant.verdict],
                title=f"{invariant.id} {invariant.name}",
                sentence=sentence_of(invariant),
                invariant=invariant,
            )
    if broke:
        return
    for need in run.needs:
        if not need.met:
            yield _Raw(
                key=f"need {need.text}",
                verdict=Verdict.INCONCLUSIVE,
                title="Unmet need",
                sentence=f"The scenario needs {need.text}; observed {figure(need.observed)}.",
            )
    for fault in run.faults:
        if not fault.bit:
            yield _Raw(
                key=f"fault {fault.name} {fault.on}",
                verdict=Verdict.INCONCLUSIVE,
                title="Fault did not bite",
                sentence=f"{fault.name} ({fault.mode}) on {fault.on} left no evidence of having hit anything.",
            )
        if fault.end_s is None:
            yield _Raw(
                key=f"heal {fault.name} {fault.on}",
                verdict=Verdict.INCONCLUSIVE,
                title="Fault never healed",
                sentence=f"{fault.name} ({fault.mode}) on {fault.on} was never healed, so recovery was not shown.",
            )


def _told(anchor: str, scenario_anchor: str, same: list[tuple[RunResult, _Raw]], runs: int) -> FindingReport:
    run, raw = same[0]
    invariant = raw.invariant
    finding = None if invariant is None else invariant.finding
    rows = () if finding is None else finding.rows
    return FindingReport(
        anchor=anchor,
        scenario_anchor=scenario_anchor,
        cell=(scenario_anchor, "" if invariant is None else invariant.id),
        verdict=raw.verdict,
        title=raw.title,
        where=f"{patch_name(run.patch)} · {run.scenario} · {place_of(run.world, run.profile)}",
        seed=run.seed,
        sentence=raw.sentence,
        statement="" if invariant is None else invariant.statement,
        observed="" if invariant is None else figure(invariant.observed, invariant.unit),
        limit="" if invariant is None else figure(invariant.limit, invariant.unit),
        count=None if finding is None else finding.count,
        first="" if finding is None else finding.first,
        worst="" if finding is None else finding.worst,
        last="" if finding is None else finding.last,
        rows=chosen(rows),
        rows_cut=max(0, len(rows) - ROWS_MAX),
        replay=run.replay,
        elsewhere=tuple(
            Elsewhere(seed=other.seed, sentence=its.sentence, replay=other.replay) for other, its in same[1:]
        ),
        runs=runs,
    )


def chosen(rows: tuple[Row, ...], limit: int = ROWS_MAX) -> tuple[Row, ...]:
    """Cut a timeline to `limit` rows without losing the offending ones: those are what the finding is about."""
    if len(rows) <= limit:
        return rows
    offending = [at for at, row in enumerate(rows) if row.offending][:limit]
    others = [at for at, row in enumerate(rows) if not row.offending][: limit - len(offending)]
    return tuple(rows[at] for at in sorted(offending + others))


def _unnoticed(session: Session) -> Iterable[FindingReport]:
    for number, flawed in enumerate(session.flawed, start=1):
        if not flawed.caught:
            expected = ", ".join(flawed.expected) or "any invariant"
            broke = () if flawed.example is None else flawed.example.errors
            yield FindingReport(
                anchor=f"w{number}",
                scenario_anchor="",
                cell=("", ""),
                verdict=Verdict.ERROR if broke else Verdict.INCONCLUSIVE,
                title=f"Flawed variant {'not tried out' if broke else 'unnoticed'}: {flawed.variant}",
                where=f"{flawed.scenario} · {flawed.world}",
                seed=None,
                sentence="; ".join(broke)
                or f"{flawed.variant} has a known defect that {expected} must catch, "
                f"and it passed {flawed.seeds} seeds: this test cannot fail.",
                replay="" if flawed.example is None else flawed.example.replay,
                standing=_unnoticed_standing(session, flawed),
            )


def _unnoticed_standing(session: Session, flawed: FlawedResult) -> str:
    if session.comparison is None:
        return ""
    known = unnoticed(flawed.scenario, flawed.world, flawed.variant)
    return "new" if known in session.comparison.new else "ongoing"
