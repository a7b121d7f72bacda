"""`report.json` is what REPORT_AND_CLI.md promises to scripts."""

import dataclasses
import json
import math

import msgspec
import pytest

import reports
from harness.verdict import Verdict
from reports import json_report
from tests.reports import synthetic

RUN_KEYS = [
    *("scenario", "patch", "priority", "world", "seed", "target", "verdict", "trace_digest", "simulated_s", "wall_s"),
    *("history", "replay", "needs", "faults", "invariants", "metrics", "errors", "doubts"),
    *("profile", "lost", "config", "title", "left_out"),
]


@pytest.mark.parametrize("case", synthetic.sessions())
def test_round_trip(case: str) -> None:
    """What is written decodes, strictly typed, into the same document."""
    report = reports.build(synthetic.sessions()[case], {})
    decoded = msgspec.json.decode(json_report.render(report), type=json_report.Document)
    assert decoded == json_report.document(report)


def test_keys_and_their_order() -> None:
    """Keys stand in the order of the specification, none missing; what was added since comes after them."""
    data = json.loads(json_report.render(reports.build(synthetic.sessions()["fail"], {})))
    specified = ["schema", "verdict", "exit_code", "harness_version", "command", "runs", "flawed", "skipped"]
    assert list(data) == [*specified, "campaigns", "environment", "comparison", "readiness", "omitted", "started_utc"]
    run = data["runs"][0]
    assert list(run) == RUN_KEYS
    assert list(run["needs"][0]) == ["text", "met", "observed"]
    assert list(run["faults"][0]) == ["name", "mode", "on", "start_s", "end_s", "bit", "evidence"]
    assert list(run["invariants"][0]) == [
        "id",
        "name",
        "verdict",
        "observed",
        "limit",
        "unit",
        "finding",
        "checked",
        "reason",
        "statement",
    ]
    flawed = ["variant", "scenario", "caught", "by", "seeds", "world", "expected", "seed", "replay", "errors"]
    assert list(data["flawed"][0]) == flawed
    assert data["schema"] == 1


def test_unknown_is_null() -> None:
    """What is unknown is null: a digest of the real world, a metric that was not measured, a NaN."""
    run = dataclasses.replace(synthetic.run(world="real"), metrics={"a": None, "b": math.nan, "c": math.inf, "d": 1})
    data = json.loads(json_report.render(reports.build(synthetic.session(run), {})))
    shown = data["runs"][0]
    assert shown["metrics"] == {"a": None, "b": None, "c": None, "d": 1}
    assert (shown["trace_digest"], shown["simulated_s"]) == (None, None)
    assert shown["invariants"][0]["finding"] is None


def test_payloads_are_kept_exactly() -> None:
    """JSON is for scripts: foreign text comes back as it was, and the file itself is ASCII."""
    text = "\x1b[31m\u202e<script>\x00|"
    run = dataclasses.replace(synthetic.run(Verdict.FAIL), replay=text)
    written = json_report.render(reports.build(synthetic.session(run), {}))
    assert written.isascii()
    assert json.loads(written)["runs"][0]["replay"] == text
