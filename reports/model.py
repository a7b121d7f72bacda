"""The versioned result model: everything that any format shows comes from a `Report`.

`build` is the only place that reads histories. It loads one history for each scenario (the first run of its
worst verdict), so that a campaign over 500 seeds costs one history, and it groups the same violation over
many seeds into one finding: the first one told in full, the others by seed and replay command.

The words of the verdict are strict: READY is said of a gate that passed with exit code 0 and of nothing else.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias

from harness.errors import HarnessError
from harness.history.history import History
from harness.tally import Tally, tally
from harness.verdict import EXIT_INTERRUPTED, EXIT_PASS, FlawedResult, RunResult, Session, Verdict
from reports.excerpt import Excerpt, excerpt
from reports.findings import FindingReport, findings_of
from reports.limits import limits_of
from reports.matrix import MatrixBlock, matrix_of, place_of
from reports.not_covered import not_covered_of
from reports.readiness import not_required
from reports.recovery import Recovery, recoveries
from reports.series import charts_of
from reports.text import plural
from reports.timeline import BUCKETS_MAX, BUCKETS_MIN, BUCKETS_TOTAL, Timeline, timeline_of

SCHEMA: Final = 1
FINDINGS_WITH_EXCERPT_MAX: Final = 3
"""Findings of one run that get an event excerpt; the rest have their own rows of timeline."""

Tone: TypeAlias = Literal["good", "bad", "unsure"]
Histories: TypeAlias = Mapping[str, History] | Callable[[str], History | None]

_DRAWN_FIRST = (Verdict.FAIL, Verdict.ERROR, Verdict.INCONCLUSIVE, Verdict.PASS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Headline:
    """The verdict in one word, one sentence, and the figures behind it."""

    word: str
    tone: Tone
    sentence: str
    counts: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """What was tested, by what, where, and how long it took. None is unknown."""

    targets: tuple[tuple[str, str], ...]
    worlds: tuple[str, ...]
    profiles: tuple[str, ...]
    seeds: tuple[int, ...]
    simulated_s: float | None
    wall_s: float | None
    environment: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ExcerptOf:
    """The events around one finding."""

    anchor: str
    title: str
    excerpt: Excerpt


@dataclass(frozen=True, slots=True, kw_only=True)
class ScenarioReport:
    """One scenario in one world against one target: all its runs, and one of them drawn."""

    anchor: str
    scenario: str
    title: str
    patch: int
    priority: str
    world: str
    profile: str
    verdict: Verdict
    runs: tuple[RunResult, ...]
    drawn: RunResult
    tally: Tally
    timeline: Timeline | None
    recovery: tuple[Recovery, ...] = ()
    excerpts: tuple[ExcerptOf, ...] = ()
    note: str = ""

    @property
    def place(self) -> str:
        """The world, and the size where it is not the usual one."""
        return place_of(self.world, self.profile)


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """One session, ready to be rendered. `schema` changes when a field changes its meaning or goes."""

    schema: int
    session: Session
    is_gate: bool
    headline: Headline
    identity: Identity
    matrix: tuple[MatrixBlock, ...]
    findings: tuple[FindingReport, ...]
    scenarios: tuple[ScenarioReport, ...]
    flawed: tuple[FlawedResult, ...]
    not_covered: tuple[str, ...]


def build(session: Session, histories: Histories) -> Report:
    """Return the report of a session. `histories` gives the history that a `RunResult.history` names, or None."""
    groups = _grouped(session.runs)
    findings = findings_of(groups, session)
    by_scenario: dict[str, list[FindingReport]] = {}
    for finding in findings:
        by_scenario.setdefault(finding.scenario_anchor, []).append(finding)
    is_gate = session.command[:1] == ("gate",)
    return Report(
        schema=SCHEMA,
        session=session,
        is_gate=is_gate,
        headline=_headline(session, is_gate=is_gate, findings=findings),
        identity=_identity(session),
        matrix=matrix_of(groups),
        findings=findings,
        scenarios=tuple(
            _scenario(
                anchor,
                runs,
                histories,
                by_scenario.get(anchor, []),
                max(BUCKETS_MIN, min(BUCKETS_MAX, BUCKETS_TOTAL // len(groups))),
            )
            for anchor, runs in groups.items()
        ),
        flawed=session.flawed,
        not_covered=not_covered_of(session),
    )


def _grouped(runs: Iterable[RunResult]) -> dict[str, tuple[RunResult, ...]]:
    groups: dict[tuple[Any, ...], list[RunResult]] = {}
    for run in runs:
        key = (run.patch, run.scenario, run.world, run.profile, tuple(sorted(run.target.items())))
        groups.setdefault(key, []).append(run)
    return {f"s{at}": tuple(groups[key]) for at, key in enumerate(sorted(groups), start=1)}


def drawn_of(runs: tuple[RunResult, ...]) -> RunResult:
    """Return the run to draw: the first of the worst verdict, a failure before an error."""
    return min(runs, key=lambda run: _DRAWN_FIRST.index(run.verdict))


def _scenario(
    anchor: str,
    runs: tuple[RunResult, ...],
    histories: Histories,
    findings: list[FindingReport],
    buckets_max: int,
) -> ScenarioReport:
    drawn = drawn_of(runs)
    history, note = _load(drawn, histories)
    drawing: Timeline | None = None
    recovery: tuple[Recovery, ...] = ()
    excerpts: tuple[ExcerptOf, ...] = ()
    if history is not None:
        try:
            drawing = timeline_of(history, charts_of(history, buckets_max), limits_of(drawn), buckets_max)
            recovery = recoveries(history)
        except HarnessError as error:
            note = f"The history does not fit together: {error}"
        excerpts = _excerpts(history, [finding for finding in findings if finding.seed == drawn.seed])
    return ScenarioReport(
        anchor=anchor,
        scenario=drawn.scenario,
        title=drawn.title,
        patch=drawn.patch,
        priority=drawn.priority,
        world=drawn.world,
        profile=drawn.profile,
        verdict=drawn.verdict,
        runs=runs,
        drawn=drawn,
        tally=tally(runs),
        timeline=drawing,
        recovery=recovery,
        excerpts=excerpts,
        note=note,
    )


def _excerpts(history: History, findings: list[FindingReport]) -> tuple[ExcerptOf, ...]:
    made: list[ExcerptOf] = []
    for finding in findings:
        rows = [row for row in finding.rows if row.offending] or list(finding.rows)
        if rows and len(made) < FINDINGS_WITH_EXCERPT_MAX:
            cut = excerpt(history.events, rows)
            made.append(ExcerptOf(anchor=finding.anchor, title=finding.title, excerpt=cut))
    return tuple(made)


def _load(run: RunResult, histories: Histories) -> tuple[History | None, str]:
    if run.history is None:
        return None, "This run left no history, so nothing over time was measured."
    try:
        history = histories(run.history) if callable(histories) else histories.get(run.history)
    except (HarnessError, OSError) as error:
        return None, f"The history could not be read: {error}"
    return history, "" if history is not None else "The history was not at hand when this report was made."


def _headline(session: Session, *, is_gate: bool, findings: tuple[FindingReport, ...]) -> Headline:
    per_verdict = {verdict: sum(run.verdict is verdict for run in session.runs) for verdict in Verdict}
    missed = sum(not flawed.caught for flawed in session.flawed)
    lost = sum(bool(run.lost) for run in session.runs)
    word, tone = _word(session, is_gate=is_gate)
    parts = [
        (per_verdict[Verdict.FAIL], "violated an invariant"),
        (per_verdict[Verdict.ERROR] - lost, "ended in a harness error"),
        (lost, "was lost, neither pass nor fail" if lost == 1 else "were lost, neither pass nor fail"),
        (per_verdict[Verdict.INCONCLUSIVE], "could not be judged"),
    ]
    told = [f"{count:,} {what}" for count, what in parts if count]
    if not session.runs:
        sentence = "Nothing ran, so nothing was shown."
    elif told:
        sentence = f"Of {plural(len(session.runs), 'run')}, {', '.join(told)}."
    else:
        sentence = f"Every invariant held in {plural(len(session.runs), 'run')}."
    if missed:
        sentence += f" {plural(missed, 'flawed variant')} went unnoticed."
    sentence += not_required(session)
    if session.exit_code == EXIT_INTERRUPTED:
        sentence = "Interrupted before it was done. " + sentence
    return Headline(
        word=word,
        tone=tone,
        sentence=sentence,
        counts=(
            ("run" if len(session.runs) == 1 else "runs", len(session.runs)),
            ("passed", per_verdict[Verdict.PASS]),
            ("failed", per_verdict[Verdict.FAIL]),
            ("inconclusive", per_verdict[Verdict.INCONCLUSIVE]),
            ("error" if per_verdict[Verdict.ERROR] - lost == 1 else "errors", per_verdict[Verdict.ERROR] - lost),
            *([("lost", lost)] if lost else []),
            ("finding" if len(findings) == 1 else "findings", len(findings)),
            ("skipped", len(session.skipped)),
        ),
    )


def _word(session: Session, *, is_gate: bool) -> tuple[str, Tone]:
    """READY needs the exit code as well as the verdict: a regression passes its invariants and is still not ready."""
    if session.exit_code == EXIT_INTERRUPTED:
        return "INTERRUPTED", "unsure"
    if session.verdict is Verdict.PASS and session.exit_code == EXIT_PASS:
        return ("READY" if is_gate else "PASS"), "good"
    if session.verdict is Verdict.INCONCLUSIVE:
        return "INCONCLUSIVE", "unsure"
    if session.verdict is Verdict.ERROR:
        return "ERROR", "bad"
    if session.verdict is Verdict.PASS:
        return ("NOT READY" if is_gate else "REGRESSION"), "bad"
    return ("NOT READY" if is_gate else "FAIL"), "bad"


def _identity(session: Session) -> Identity:
    runs = session.runs
    targets = sorted({pair for run in runs for pair in run.target.items()})
    return Identity(
        targets=tuple(targets),
        worlds=tuple(sorted({run.world for run in runs}, reverse=True)),
        profiles=tuple(sorted({run.profile for run in runs})),
        seeds=tuple(sorted({run.seed for run in runs})),
        simulated_s=_total(run.simulated_s for run in runs if run.world == "sim"),
        wall_s=_total(run.wall_s for run in runs),
        environment=tuple((str(key), str(value)) for key, value in sorted(session.environment.items())),
    )


def _total(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) if known else None
