"""What every format owes: the finding, the replay command, determinism, and no harm from hostile text."""

import functools
import html
import re
from pathlib import Path

import pytest
from rich.console import Console

import reports
from harness.errors import UsageError
from harness.verdict import Session, Verdict
from reports import terminal
from reports.model import Report
from tests.reports import hostile, synthetic

FENCED = re.compile(r"^(`{3,})sh\n.*?\n\1$", re.MULTILINE | re.DOTALL)
"""A code block of Markdown: what is inside is shown as it is."""
ALL = [*reports.FORMATS, "terminal", "plain"]


def built(session: Session) -> Report:
    """Return the session's report."""
    return reports.build(session, synthetic.histories(session))


@functools.cache
def of_case(case: str, time: int) -> Report:
    """Return a case's report, the first or the second one. Kept for all formats: building takes most of the time."""
    del time
    return built(synthetic.sessions()[case])


@functools.cache
def of_hostile(text: str) -> Report:
    """Return the report of a session full of that text. Kept for all formats."""
    return reports.build(hostile.session(text), hostile.histories(text))


def rendered(name: str, report: Report) -> str:
    """Return the report in that format."""
    if name in reports.FORMATS:
        return reports.FORMATS[name].render(report)
    return terminal.render(report, plain=name == "plain", color=name == "terminal")


@pytest.mark.parametrize("name", ALL)
def test_finding_and_replay_are_in_every_format(name: str) -> None:
    """A reader of any one format learns what failed and how to see it again."""
    session = synthetic.sessions()["fail"]
    text = rendered(name, of_case("fail", 1))
    words = re.sub(r"\s+", " ", html.unescape(text))
    assert synthetic.SENTENCE in words
    assert session.runs[0].replay in words


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("case", synthetic.sessions())
def test_every_case_renders_the_same_twice(name: str, case: str) -> None:
    """Whatever a session came to, every format shows it, and the same session gives the same bytes."""
    first = rendered(name, of_case(case, 1))
    assert first
    assert first == rendered(name, of_case(case, 2))


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("text", hostile.TEXTS, ids=hostile.name)
def test_hostile_text_stays_text(name: str, text: str) -> None:
    """No control, bidi or null character of a payload survives; a megabyte is cut (JSON keeps it, escaped)."""
    shown = rendered(name, of_hostile(text))
    shown.encode("utf-8")
    foreign = shown.replace("\x1b[", "") if name == "terminal" else shown
    forbidden = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ufffe\uffff]")
    assert forbidden.search(foreign) is None
    if name == "terminal":
        styles = {"0", "1", "31", "32", "33", "35", "1;31", "1;32", "1;33", "1;35"}
        assert set(re.findall(r"\x1b\[([0-9;]*)m", shown)) <= styles
        assert shown.count("\x1b") == len(re.findall(r"\x1b\[[0-9;]*m", shown))
    if name != "json":
        assert len(shown) < 1_000_000
    if name == "md":
        shown = FENCED.sub("", shown)
    if name in {"html", "junit", "md"}:
        assert "<script>alert" not in shown
        assert "<img" not in shown


@pytest.mark.parametrize("plain", [False, True])
@pytest.mark.parametrize("case", synthetic.sessions())
def test_terminal_keeps_to_80_columns(case: str, *, plain: bool) -> None:
    """No line but one to be copied is longer than 80 columns."""
    session = synthetic.sessions()[case]
    text = terminal.render(reports.build(session, {}), plain=plain)
    long = [line for line in text.splitlines() if len(line) > 80]
    assert [line for line in long if not line.strip().startswith("replay: ")] == []


def test_plain_terminal_is_ascii() -> None:
    """The plain variant needs no more than ASCII when the names are ASCII."""
    session = synthetic.sessions()["fail"]
    assert terminal.render(reports.build(session, {}), plain=True).replace("·", "").isascii()


def test_last_lines_are_verdict_report_and_replay(capsys: pytest.CaptureFixture[str]) -> None:
    """What a person does next stands at the end: the verdict, where the report is, how to replay."""
    session = synthetic.sessions()["fail"]
    report = reports.build(session, {})
    reports.print_summary(report, Console(width=80), report_path="reports/out/x/report.html")
    lines = capsys.readouterr().out.splitlines()
    assert lines[-3].startswith("NOT READY")
    assert lines[-2:] == ["report: reports/out/x/report.html", f"replay: {session.runs[0].replay}"]


def test_no_color_gives_no_colour(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Under NO_COLOR a terminal gets no colour sequence; without it, it does."""
    report = reports.build(synthetic.sessions()["fail"], {})
    colours = re.compile(r"\x1b\[[0-9;]*3[0-9]")
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    reports.print_summary(report, Console(force_terminal=True))
    assert colours.search(capsys.readouterr().out)
    monkeypatch.setenv("NO_COLOR", "1")
    reports.print_summary(report, Console(force_terminal=True))
    assert colours.search(capsys.readouterr().out) is None


def test_write_is_whole_or_not_at_all(tmp_path: Path) -> None:
    """Files have their names, no temporary file is left, and an unknown format is refused before any is written."""
    report = reports.build(synthetic.sessions()["pass"], {})
    with pytest.raises(UsageError, match="did you mean 'html'"):
        reports.write(report, tmp_path, ["json", "htm"])
    assert list(tmp_path.iterdir()) == []
    paths = reports.write(report, tmp_path / "out", ["md", "json"])
    assert [path.name for path in paths] == ["summary.md", "report.json"]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["report.json", "summary.md"]


def test_a_renderer_that_fails_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When writing fails half-way, the former report stays and no temporary file does."""
    report = reports.build(synthetic.sessions()["pass"], {})
    (tmp_path / "report.json").write_text("old")
    monkeypatch.setattr(reports.Renderer, "render", lambda self, report: "\ud800")
    with pytest.raises(UnicodeEncodeError):
        reports.write(report, tmp_path, ["json"])
    assert [path.name for path in tmp_path.iterdir()] == ["report.json"]
    assert (tmp_path / "report.json").read_text() == "old"


def test_markdown_tables_cannot_be_broken() -> None:
    """Every row of every table has as many cells as its head, whatever the names hold."""
    for text in hostile.TEXTS:
        lines = FENCED.sub("", rendered("md", of_hostile(text))).splitlines()
        columns = None
        for line in lines:
            if not line.startswith("|"):
                columns = None
                continue
            cells = line.count("|") - 1
            columns = columns or cells
            assert cells == columns, line
        assert not any(re.search(r"<(?!br>)", line) for line in lines)


def test_a_hostile_history_is_drawn() -> None:
    """The texts do reach charts, bands, lanes, recovery and excerpt: they are harmless there, not missing."""
    report = of_hostile(hostile.TEXTS[0])
    [scenario] = report.scenarios
    assert scenario.timeline is not None
    titles = [chart.key for chart in scenario.timeline.charts]
    assert titles == ["throughput", "latency", "depth", "limits", "refusals", "flow", "owed", "connections"]
    assert (scenario.timeline.bands, scenario.timeline.marks, scenario.recovery, scenario.excerpts) != ((), (), (), ())
    page = rendered("html", report)
    assert page.count("&lt;script&gt;alert(1)&lt;/script&gt;") > 60


def test_a_summary_keeps_to_what_github_takes() -> None:
    """A session of thousands of scenarios gives less than a megabyte, whole lines, and says how many were cut."""
    runs = [synthetic.run(Verdict.FAIL, scenario=f"scenario-{'x' * 200}-{at}") for at in range(4000)]
    text = rendered("md", reports.build(synthetic.session(*runs), {}))
    assert 900_000 < len(text.encode()) < 1_000_000
    assert re.search(r"\nThis summary was cut: [\d,]+ more lines in the HTML report\.\n$", text)
    assert rendered("md", of_case("fail", 1)).count("was cut") == 0


def test_a_summary_is_not_cut_inside_a_code_block(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wherever the room ends, an open block is closed, so that the note is text and not code."""
    whole = rendered("md", of_case("fail", 1))
    for size in range(700, len(whole.encode()), 97):
        monkeypatch.setattr("reports.markdown.BYTES_MAX", size)
        text = rendered("md", of_case("fail", 1))
        assert len(re.findall("^```", text, re.MULTILINE)) % 2 == 0
        assert len(text.encode()) <= size
