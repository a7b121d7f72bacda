"""`harness report`: a stored run's reports, made again to the byte; and what it makes of bad input."""

import json
import shutil
from pathlib import Path

import pytest

import reports
from harness.history.store import Store, load
from harness.verdict import Session
from tests.reports import synthetic

FILES = ["junit.xml", "report.html", "report.json", "summary.md"]


def stored(session: Session, folder: Path) -> Path:
    """Write a run folder as a run leaves it: histories, and every report made from them."""
    for name, history in synthetic.histories(session).items():
        with Store(folder / name) as store:
            store.record_all(history.events)
    reports.write(reports.build(session, lambda name: load(folder / name)), folder, list(reports.FORMATS))
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    """Return the files of a folder, by name."""
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir()) if path.is_file()}


@pytest.mark.parametrize("case", ["fail", "inconclusive", "error", "unnoticed", "regression", "single"])
def test_every_format_is_the_same_to_the_byte(project, harness, case):
    """What was measured, judged and compared is all in the folder, also after it was moved."""
    first = contents(stored(synthetic.sessions()[case], project / "run"))
    shutil.move(project / "run", project / "moved")
    said = harness("report", "moved", "--out", "again")
    assert (said.code, said.err) == (0, "")
    assert sorted(said.out.split()) == [f"again/{name}" for name in FILES]
    again = contents(project / "again")
    assert list(again) == FILES
    assert {name for name in FILES if again[name] != first[name]} == set()


def test_in_place_the_record_stays_and_the_rest_is_made_anew(project, harness):
    """By default the run folder is written to, but for report.json; `latest` is the newest in the out folder."""
    folder = stored(synthetic.sessions()["fail"], project / "reports" / "out" / "run")
    (folder.parent / "latest").symlink_to("run")
    first = contents(folder)
    stamp = (folder / "report.json").stat().st_mtime_ns
    for name in ("junit.xml", "report.html", "summary.md"):
        (folder / name).write_text("old")
    said = harness("report", "latest")
    assert said.code == 0
    assert contents(folder) == first
    assert (folder / "report.json").stat().st_mtime_ns == stamp
    said = harness("report", folder, "--report", "json")
    assert (said.code, said.out) == (0, "")
    assert "is the record itself; --out writes it elsewhere" in said.err


def test_formats_are_chosen_and_the_file_itself_can_be_named(project, harness):
    """`--report junit` writes that alone; RUN may be the report.json, its histories are those beside it."""
    folder = stored(synthetic.sessions()["pass"], project / "run")
    said = harness("report", folder / "report.json", "--report", "junit,html", "--out", "there")
    assert said.out.split() == ["there/junit.xml", "there/report.html"]
    assert contents(project / "there")["report.html"] == contents(folder)["report.html"]


def test_what_came_into_the_schema_later_may_be_missing(project, harness):
    """A report.json of before titles, statements and start were stored still gives every format."""
    folder = stored(synthetic.sessions()["fail"], project / "run")
    data = json.loads((folder / "report.json").read_text())
    del data["started_utc"]
    for run in data["runs"]:
        del run["title"], run["left_out"]
        for invariant in run["invariants"]:
            del invariant["statement"]
    (folder / "report.json").write_text(json.dumps(data))
    assert harness("report", folder).code == 0
    assert synthetic.SENTENCE in (folder / "report.html").read_text(encoding="utf-8")


def test_a_history_that_is_gone_is_said(project, harness):
    """Without its histories a run still has its verdict and findings, and the page says what it could not draw."""
    folder = stored(synthetic.sessions()["fail"], project / "run")
    shutil.rmtree(folder / "histories")
    assert harness("report", folder).code == 0
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert "The history could not be read: histories/redis-outage-sim-7.jsonl: no such file" in page
    assert synthetic.SENTENCE in page


BAD = {
    "no JSON": "{",
    "no report": "{}",
    "another schema": '{"schema": 2}',
    "no such verdict": None,
}


@pytest.mark.parametrize("case", BAD)
def test_a_file_that_is_no_report_is_one_line(project, harness, case):
    """Exit code 4, the file named, nothing written and nothing lost."""
    folder = stored(synthetic.sessions()["pass"], project / "run")
    text = BAD[case]
    if text is None:
        text = (folder / "report.json").read_text().replace('"verdict": "PASS"', '"verdict": "PAST"', 1)
    (folder / "report.json").write_text(text)
    before = contents(folder)
    said = harness("report", folder)
    assert (said.code, said.out, said.err.count("\n")) == (4, "", 1)
    assert "run/report.json" in said.err
    assert contents(folder) == before


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["nosuch"], "cannot read nosuch: No such file or directory"),
        (["."], "cannot read report.json: No such file or directory; a run folder has it where `--report` "),
        (["latest"], "cannot read reports/out/latest: No such file or directory"),
        (["run", "--report", "htm"], "unknown report format 'htm'; did you mean 'html'?"),
        (["run", "--out", "pyproject.toml"], "cannot write to pyproject.toml: File exists"),
        ([], "missing argument 'RUN'"),
    ],
)  # fmt: skip
def test_wrong_words_are_one_line(project, harness, arguments, told):
    """A wrong path, format or folder: exit code 4, and one line that says which."""
    stored(synthetic.sessions()["pass"], project / "run")
    said = harness("report", *arguments)
    assert (said.code, said.out, said.err.count("\n")) == (4, "", 1)
    assert told in said.err
