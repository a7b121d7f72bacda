"""The model: what word a session earns, how seeds fold into findings, and that it is the same every time."""

import dataclasses
import json
from html import unescape

import pytest

import reports
from harness.errors import HistoryError
from harness.history.events import Ok
from harness.history.history import History
from harness.units import SECOND
from harness.verdict import Outcome, Row, Verdict
from reports import html, json_report, markdown, terminal
from tests.reports import synthetic

WORDS = {
    "pass": "READY",
    "fail": "NOT READY",
    "inconclusive": "INCONCLUSIVE",
    "error": "ERROR",
    "interrupted": "INTERRUPTED",
    "empty": "INCONCLUSIVE",
    "unnoticed": "INCONCLUSIVE",
    "regression": "NOT READY",
    "single": "PASS",
    "campaign": "NOT READY",
}


@pytest.mark.parametrize("case", WORDS)
def test_the_word_of_the_verdict(case: str) -> None:
    """READY is said of a gate that passed with exit code 0, and of nothing else."""
    session = synthetic.sessions()[case]
    assert reports.build(session, {}).headline.word == WORDS[case]


def test_interrupted_pass_is_not_ready() -> None:
    """A gate cut short is never READY, whatever its runs came to so far."""
    session = synthetic.session(synthetic.run(), exit_code=2)
    assert session.verdict is Verdict.PASS
    assert reports.build(session, {}).headline.word == "INTERRUPTED"


def test_seeds_fold_into_one_finding() -> None:
    """Ten failing seeds of one invariant are one finding, told once, with nine other seeds to replay."""
    report = reports.build(synthetic.sessions()["campaign"], {})
    [finding] = report.findings
    assert finding.seed == 49
    assert [other.seed for other in finding.elsewhere] == list(range(99, 500, 50))
    assert finding.runs == 500
    [block] = report.matrix
    cell = block.rows[0].cells[0]
    assert cell is not None
    assert (cell.outcome, cell.count, cell.runs) == (Outcome.VIOLATED, 10, 500)


def test_only_the_drawn_history_is_loaded() -> None:
    """A campaign over 500 seeds reads one history: that of its first failing run."""
    asked: list[str] = []

    def load(path: str) -> None:
        asked.append(path)

    reports.build(synthetic.sessions()["campaign"], load)
    assert asked == ["histories/redis-outage-sim-49.jsonl"]


def test_unreadable_history_is_said() -> None:
    """A history that cannot be read costs the charts, not the report."""

    def load(path: str) -> History:
        raise HistoryError(f"{path}: cut short")

    [scenario] = reports.build(synthetic.session(synthetic.run()), load).scenarios
    assert scenario.timeline is None
    assert "cut short" in scenario.note


@pytest.mark.parametrize(
    ("case", "title", "verdict"),
    [
        ("fail", "EB1 no-acked-loss", Verdict.FAIL),
        ("inconclusive", "Unmet need", Verdict.INCONCLUSIVE),
        ("error", "Harness error", Verdict.ERROR),
        ("unnoticed", "Flawed variant unnoticed: event_bus:live_overtakes_buffered", Verdict.INCONCLUSIVE),
        ("empty", "Nothing ran", Verdict.INCONCLUSIVE),
    ],
)
def test_whatever_shuts_the_gate_is_a_finding(case: str, title: str, verdict: Verdict) -> None:
    """Each reason for which a gate stays shut is named as a finding."""
    findings = reports.build(synthetic.sessions()[case], {}).findings
    assert [(finding.title, finding.verdict) for finding in findings] == [(title, verdict)]


def test_failed_first() -> None:
    """Violations come before errors, errors before what could not be judged."""
    session = synthetic.session(
        synthetic.run(Verdict.INCONCLUSIVE, scenario="a"),
        synthetic.run(Verdict.ERROR, scenario="b"),
        synthetic.run(Verdict.FAIL, scenario="c"),
    )
    order = [finding.verdict for finding in reports.build(session, {}).findings]
    assert order == [Verdict.FAIL, Verdict.ERROR, Verdict.INCONCLUSIVE]


def test_a_long_finding_keeps_its_offending_rows() -> None:
    """A timeline of 200 rows is cut to 25, and the late offending row is not what is cut."""
    told = synthetic.finding(rows=200)
    run = synthetic.run(Verdict.FAIL)
    invariants = (dataclasses.replace(run.invariants[0], finding=told), *run.invariants[1:])
    session = synthetic.session(dataclasses.replace(run, invariants=invariants))
    [finding] = reports.build(session, {}).findings
    assert len(finding.rows) == 25
    assert finding.rows[-1] == told.rows[-1]
    assert finding.rows_cut == 175


def test_excerpt_shows_the_offending_events() -> None:
    """The excerpt surrounds the first offending row, marks its id and counts every event that it cut."""
    session = synthetic.session(synthetic.run(Verdict.FAIL))
    histories = synthetic.histories(session)
    [scenario] = reports.build(session, histories).scenarios
    [told] = scenario.excerpts
    events = histories["histories/redis-outage-sim-7.jsonl"].events
    cut = told.excerpt
    assert len(cut.rows) == 40
    assert cut.before + len(cut.rows) + cut.samples + cut.after == len(events)
    assert cut.rows[0].time_s <= 30.021 <= cut.rows[-1].time_s


def test_same_session_same_report() -> None:
    """Building twice gives equal models."""
    session = synthetic.sessions()["fail"]
    assert reports.build(session, synthetic.histories(session)) == reports.build(session, synthetic.histories(session))


def test_a_trouble_is_told_once() -> None:
    """Doubts that a run repeats as text are not told again beside the need, fault or invariant that they are about."""
    run = synthetic.run(Verdict.INCONCLUSIVE)
    run = dataclasses.replace(
        run,
        faults=(dataclasses.replace(run.faults[0], end_s=None, bit=False),),
        invariants=(dataclasses.replace(run.invariants[0], verdict=Outcome.INCONCLUSIVE, reason="nothing to check"),),
        doubts=(
            "the history was cut short",
            "fault redis.outage (hang) shows no evidence that it bit",
            "fault redis.outage (hang) was never healed",
            f"need not met: {run.needs[0].text} (observed 12)",
            "EB1 is inconclusive: nothing to check",
        ),
    )
    findings = reports.build(synthetic.session(run), {}).findings
    assert [(finding.title, finding.verdict) for finding in findings] == [
        ("Doubt", Verdict.INCONCLUSIVE),
        ("EB1 no-acked-loss", Verdict.INCONCLUSIVE),
        ("Unmet need", Verdict.INCONCLUSIVE),
        ("Fault did not bite", Verdict.INCONCLUSIVE),
        ("Fault never healed", Verdict.INCONCLUSIVE),
    ]


def test_excerpt_marks_events_by_instant_too() -> None:
    """An event that a finding names otherwise than the history does is marked by its actor and instant."""
    run = synthetic.run(Verdict.FAIL)
    made = synthetic.history(seed=1, lost=3)
    acked = next(event for event in made.events if event.time_ns > 40 * SECOND and isinstance(event, Ok))
    row = Row(time_s=acked.time_ns / SECOND, actor=acked.actor, event="acked", id="order-17", offending=True)
    told = dataclasses.replace(synthetic.finding(), rows=(row,))
    run = dataclasses.replace(run, invariants=(dataclasses.replace(run.invariants[0], finding=told),))
    [scenario] = reports.build(synthetic.session(run), lambda _: made).scenarios
    marked = [one for one in scenario.excerpts[0].excerpt.rows if one.offending]
    assert [(one.time_s, one.id) for one in marked] == [(row.time_s, acked.value["id"])]


def test_what_was_left_out_is_said() -> None:
    """Faults that the given servers do not allow stand under what is not covered, each once."""
    run = dataclasses.replace(synthetic.run(), left_out=("redis.outage/crash", "network.reset/now"))
    report = reports.build(synthetic.session(run, run), {})
    said = "Left out, as the servers that were given do not allow it: redis.outage/crash, network.reset/now."
    assert report.not_covered.count(said) == 1
    assert not any("Left out" in text for text in reports.build(synthetic.session(synthetic.run()), {}).not_covered)


def test_a_lost_run_is_told_apart_from_passes_failures_and_errors() -> None:
    """It has a word of its own in the headline, in the counts, in its finding and in the tally of its seeds."""
    lost = dataclasses.replace(
        synthetic.run(Verdict.ERROR, seed=8), lost="timed out", invariants=(), errors=("s: ended after 3 s",)
    )
    report = reports.build(synthetic.session(synthetic.run(), lost), {})
    assert report.headline.sentence == "Of 2 runs, 1 was lost, neither pass nor fail."
    assert dict(report.headline.counts)["errors"] == 0
    assert dict(report.headline.counts)["lost"] == 1
    assert [finding.title for finding in report.findings] == ["Run lost: timed out"]
    (scenario,) = report.scenarios
    assert (scenario.tally.judged, scenario.tally.timed_out) == (1, 1)
    for text in (markdown.render(report), terminal.render(report), html.render(report)):
        assert "of 1 judged run passed" in " ".join(text.split())
        assert "lost" in text


def test_a_larger_size_has_a_row_that_says_so() -> None:
    """The gate's one run in bulk is not mistaken for the twenty of the usual size."""
    large = dataclasses.replace(synthetic.run(), profile="large")
    report = reports.build(synthetic.session(dataclasses.replace(synthetic.run(), profile="full"), large), {})
    assert [row.place for block in report.matrix for row in block.rows] == ["sim", "sim, large"]
    for text in (markdown.render(report), terminal.render(report), html.render(report)):
        assert "sim, large" in " ".join(text.replace("&#44;", ",").split())


def test_readiness_is_a_table_in_every_format() -> None:
    """Patch, priority, what was seen, and why not; what is not required is told and keeps nothing shut."""
    session = dataclasses.replace(
        synthetic.session(synthetic.run()),
        readiness=synthetic.readiness(),
        omitted=("ws-load [sim]: 3 further seeds of 2 to 4: time budget of 1 s spent",),
    )
    report = reports.build(session, {})
    assert report.headline.sentence.endswith("Not ready, and not required: patch 6 (P2).")
    for text in (markdown.render(report), terminal.render(report), terminal.render(report, plain=False, color=True),
                 html.render(report)):  # fmt: skip
        flat = " ".join(text.split())
        for part in ("not ready", "20 of 21", "6 of 7", "8 of 9", "the worlds disagree on ws-load", "3 further seeds"):
            assert part in flat.replace("&#50;", "2").replace("&#54;", "6").replace("&#56;", "8"), part
    data = json.loads(json_report.render(report))
    assert [(one["patch"], one["ready"], one["required"]) for one in data["readiness"]] == [
        (1, True, True),
        (6, False, False),
    ]
    assert data["omitted"] == list(session.omitted)


def test_a_comparison_is_told_alike_in_every_format() -> None:
    """What is flagged, what was added, is missing or cannot be compared, and what came and went."""
    report = reports.build(synthetic.sessions()["regression"], {})
    for text in (markdown.render(report), terminal.render(report), html.render(report)):
        flat = unescape(" ".join(text.split()))
        for part in (
            *(
                "1 regression and 1 improvement beyond the spread of seeds",
                "regression",
                "+2.5",
                "+2 to +3",
                "20 paired",
            ),
            *("missing, though the baseline has them: gone sim", "redis-outage real, full: not comparable: "),
            *("New finding: ", "Ongoing finding: ", "Resolved finding: ", "Not looked at again", "python: 3.11 before"),
        ):
            assert part.lower() in flat.lower(), part
    (group, *_) = json.loads(json_report.render(report))["comparison"]["groups"]
    assert [one["change"] for one in group["measures"]] == ["regression", "improvement", None, None]
