"""`junit.xml`: a suite for each scenario run, a case for each invariant.

It never looks greener than the session was. Outcomes that no invariant carries (an unmet need, a harness
error, a flawed variant that went unnoticed, a session cut short) become cases of their own, so that a CI
which reads only this file comes to the same verdict. The shape is that of the common XSD (Ant's, as published
by windyroad): attributes it requires are there, elements it does not know are not; characters that XML 1.0
forbids are made visible.
"""

import xml.etree.ElementTree as ET
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, Literal

from harness.comparison import Comparison
from harness.verdict import EXIT_PASS, FlawedResult, InvariantResult, Outcome, RunResult, Session, Verdict, patch_name
from reports.baseline import rows_of
from reports.findings import chosen, sentence_of, untold_errors
from reports.matrix import place_of
from reports.model import Report
from reports.text import figure, plural, visible

FILE_NAME: Final = "junit.xml"
_MESSAGE_MAX: Final = 1000
_EPOCH: Final = "1970-01-01T00:00:00"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Case:
    """One test case; `trouble` says how it ended, None is a pass."""

    name: str
    trouble: Literal["failure", "error"] | None = None
    kind: str = ""
    message: str = ""
    body: str = ""


def render(report: Report) -> str:
    """Return the XML text, declaration included."""
    session = report.session
    root = ET.Element("testsuites")
    timestamp = _timestamp(session.started_utc)
    for run in session.runs:
        cases = [_invariant_case(run, invariant) for invariant in run.invariants]
        _suite(root, _run_name(run), timestamp, cases + _run_cases(run, cases), run)
    if session.flawed:
        _suite(root, "flawed variants", timestamp, [_flawed_case(flawed) for flawed in session.flawed])
    if session.comparison is not None and (compared := _baseline_cases(session.comparison)):
        _suite(root, "baseline", timestamp, compared)
    rest = list(_session_cases(session, root))
    if rest:
        _suite(root, "session", timestamp, rest)
    ET.indent(root, " ")
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ET.tostring(root, encoding="unicode") + "\n"


def _run_name(run: RunResult) -> str:
    return f"{run.scenario} [{place_of(run.world, run.profile)}, seed {run.seed}]"


def _class_name(run: RunResult) -> str:
    """A name of the run's own: GitLab takes cases of the same class and name for one, and shows the first only.

    Readers that group by package split it at its last point, so the scenario is the package.
    """
    place = place_of(run.world, run.profile).replace(", ", "-")
    return f"harness.{patch_name(run.patch).replace(' ', '')}.{run.scenario}.{place}-seed-{run.seed}"


def _suite(root: ET.Element, name: str, timestamp: str, cases: list[_Case], run: RunResult | None = None) -> None:
    package = "harness" if run is None else _class_name(run)
    wall_s = 0.0 if run is None or run.wall_s is None else run.wall_s
    suite = ET.SubElement(
        root,
        "testsuite",
        {
            "id": str(len(root)),
            "name": visible(name),
            "package": visible(package),
            "timestamp": timestamp,
            "hostname": "localhost",
            "tests": str(len(cases)),
            "failures": str(sum(case.trouble == "failure" for case in cases)),
            "errors": str(sum(case.trouble == "error" for case in cases)),
            "time": f"{wall_s:.3f}",
        },
    )
    properties = ET.SubElement(suite, "properties")
    for key, value in [] if run is None else _properties(run):
        ET.SubElement(properties, "property", {"name": visible(key), "value": visible(value)})
    for case in cases:
        element = ET.SubElement(
            suite, "testcase", {"name": visible(case.name), "classname": visible(package), "time": "0"}
        )
        if case.trouble is not None:
            message = visible(case.message, _MESSAGE_MAX)
            trouble = ET.SubElement(element, case.trouble, {"message": message, "type": visible(case.kind)})
            trouble.text = case.body
    ET.SubElement(suite, "system-out").text = "" if run is None or not run.replay else f"replay: {visible(run.replay)}"
    ET.SubElement(suite, "system-err").text = ""


def _properties(run: RunResult) -> Iterable[tuple[str, str]]:
    yield "patch", str(run.patch)
    yield "priority", run.priority
    yield "world", run.world
    yield "seed", str(run.seed)
    for port, target in sorted(run.target.items()):
        yield f"target.{port}", target
    yield "trace_digest", run.trace_digest or "not measured"
    for key, value in sorted(run.metrics.items()):
        yield f"metric.{key}", figure(value)


def _invariant_case(run: RunResult, invariant: InvariantResult) -> _Case:
    name = f"{invariant.id} {invariant.name}"
    if invariant.verdict is Outcome.HOLDS:
        return _Case(name=name)
    return _Case(
        name=name,
        trouble="failure" if invariant.verdict is Outcome.VIOLATED else "error",
        kind=invariant.verdict.value,
        message=sentence_of(invariant),
        body="\n".join(_lines(run, invariant)),
    )


def _lines(run: RunResult, invariant: InvariantResult) -> Iterable[str]:
    yield visible(sentence_of(invariant), _MESSAGE_MAX)
    if invariant.statement:
        yield f"invariant: {visible(invariant.statement)}"
    yield (
        f"observed: {figure(invariant.observed, invariant.unit)}; limit: {figure(invariant.limit, invariant.unit)}; "
        f"checked: {invariant.checked:,}"
    )
    finding = invariant.finding
    if finding is not None:
        yield f"count: {finding.count:,}"
        yield f"first: {visible(finding.first)}"
        yield f"worst: {visible(finding.worst)}"
        yield f"last:  {visible(finding.last)}"
        for row in chosen(finding.rows):
            mark = ">" if row.offending else " "
            yield f"{mark} {row.time_s:10.3f} s  {visible(row.actor)}  {visible(row.event)}  {visible(row.id)}".rstrip()
    if run.replay:
        yield f"replay: {visible(run.replay, _MESSAGE_MAX)}"


def _run_cases(run: RunResult, cases: list[_Case]) -> list[_Case]:
    """What a run came to beyond its invariants."""
    replay = f"\nreplay: {visible(run.replay, _MESSAGE_MAX)}" if run.replay else ""
    kind = Verdict.ERROR.value if run.verdict is Verdict.ERROR else Verdict.INCONCLUSIVE.value
    more = [
        _Case(name=f"run {at}", trouble="error", kind=kind, message=text, body=visible(text, 4000) + replay)
        for at, text in enumerate(untold_errors(run), start=1)
    ]
    unmet = [need for need in run.needs if not need.met]
    toothless = [fault for fault in run.faults if not fault.bit]
    why = [f"unmet need: {visible(need.text)} (observed {figure(need.observed)})" for need in unmet]
    why += [f"fault without effect: {visible(fault.name)} on {visible(fault.on)}" for fault in toothless]
    unhealed = [fault for fault in run.faults if fault.end_s is None]
    why += [f"fault never healed: {visible(fault.name)} on {visible(fault.on)}" for fault in unhealed]
    if why:
        more.append(
            _Case(
                name="needs and faults",
                trouble="error",
                kind="INCONCLUSIVE",
                message="; ".join(why),
                body="\n".join(why) + replay,
            )
        )
    troubled = {case.trouble for case in [*cases, *more]} - {None}
    owed: Literal["failure", "error"] = "failure" if run.verdict is Verdict.FAIL else "error"
    if not cases or (run.verdict is not Verdict.PASS and owed not in troubled):
        verdict = run.verdict if run.verdict is not Verdict.PASS else Verdict.INCONCLUSIVE
        text = "the run's verdict" if cases else "no invariant was checked"
        if verdict is not run.verdict or not troubled or owed not in troubled:
            more.append(
                _Case(
                    name="verdict",
                    trouble=owed,
                    kind=verdict.value,
                    message=f"{verdict.value}: {text}",
                    body=replay,
                )
            )
    return more


def _flawed_case(flawed: FlawedResult) -> _Case:
    name = f"{flawed.variant} is caught in {flawed.scenario} [{flawed.world}]"
    if flawed.caught:
        return _Case(name=name)
    text = f"{flawed.variant} passed {plural(flawed.seeds, 'seed')}; expected: {', '.join(flawed.expected) or 'any'}"
    return _Case(name=name, trouble="error", kind="INCONCLUSIVE", message=text, body=visible(text, _MESSAGE_MAX))


def _baseline_cases(comparison: Comparison) -> list[_Case]:
    """A case for each measure that moved beyond the spread of seeds: a regression fails, an improvement passes."""
    return [
        _Case(name=f"{row.where}: {row.measure}")
        if row.change == "improvement"
        else _Case(
            name=f"{row.where}: {row.measure}",
            trouble="failure",
            kind="REGRESSION",
            message=f"{row.measure} of {row.where}: {row.before} before, {row.after} after",
            body=visible(
                f"{row.before} before, {row.after} after; shift {row.shift}, {row.interval} over seeds {row.seeds}, "
                f"against {comparison.baseline}",
                _MESSAGE_MAX,
            ),
        )
        for row in rows_of(comparison)
        if row.change in ("regression", "improvement")
    ]


def _session_cases(session: Session, root: ET.Element) -> Iterable[_Case]:
    """The session's verdict, where nothing above carries it: an interrupted, an empty or a regressed session."""
    green = not any(int(suite.get("failures", "0")) + int(suite.get("errors", "0")) for suite in root)
    if not green or (session.exit_code == EXIT_PASS and session.verdict is Verdict.PASS and session.runs):
        return
    text = f"verdict {session.verdict.value}, exit code {session.exit_code}, {plural(len(session.runs), 'run')}"
    yield _Case(name="verdict", trouble="error", kind=session.verdict.value, message=text, body=text)


def _timestamp(started_utc: str) -> str:
    """Return the start as the XSD wants it: UTC, whole seconds, no zone."""
    try:
        started = datetime.fromisoformat(started_utc)
    except ValueError:
        return _EPOCH
    if started.tzinfo is not None:
        started = started.astimezone(UTC)
    return started.strftime("%Y-%m-%dT%H:%M:%S")
