"""`junit.xml` is valid for common readers and never greener than the session."""

import dataclasses
import re
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from lxml import etree

import reports
from harness.verdict import EXIT_PASS, Verdict
from reports import junit
from tests.reports import hostile, synthetic

SCHEMA = etree.XMLSchema(file=str(Path(__file__).parent / "junit.xsd"))


def parsed(case: str) -> ET.Element:
    """Return the root element of that session's file."""
    return ET.fromstring(junit.render(reports.build(synthetic.sessions()[case], {})))


@pytest.mark.parametrize("case", synthetic.sessions())
def test_shape(case: str) -> None:
    """Order of elements, required attributes and counts are those of the common XSD."""
    root = parsed(case)
    assert root.tag == "testsuites"
    assert [suite.get("id") for suite in root] == [str(at) for at in range(len(root))]
    for suite in root:
        assert suite.tag == "testsuite"
        assert set(suite.keys()) == {
            "id", "name", "package", "timestamp", "hostname", "tests", "failures", "errors", "time"
        }  # fmt: skip
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d", suite.get("timestamp", ""))
        tags = [child.tag for child in suite]
        cases = suite.findall("testcase")
        assert tags == ["properties", *["testcase"] * len(cases), "system-out", "system-err"]
        assert int(suite.get("tests", "")) == len(cases) > 0
        assert int(suite.get("failures", "")) == len(suite.findall("testcase/failure"))
        assert int(suite.get("errors", "")) == len(suite.findall("testcase/error"))
        for one in cases:
            assert {"name", "classname", "time"} == set(one.keys())
            assert len(one) <= 1
            assert all(set(child.keys()) == {"message", "type"} for child in one)


@pytest.mark.parametrize("case", synthetic.sessions())
def test_never_greener_than_the_session(case: str) -> None:
    """A file without a failure or error means exit code 0, and exit code 0 a file without either."""
    session = synthetic.sessions()[case]
    root = parsed(case)
    red = root.findall("testsuite/testcase/failure") + root.findall("testsuite/testcase/error")
    assert (not red) == (session.exit_code == EXIT_PASS and session.verdict is Verdict.PASS)


def test_violated_is_a_failure_and_inconclusive_an_error() -> None:
    """The two are told apart: a failure is the target's, an error says that nothing was shown."""
    assert [one.get("type") for one in parsed("fail").iter("failure")] == ["VIOLATED"]
    assert [one.get("type") for one in parsed("fail").iter("error")] == []
    assert [one.get("type") for one in parsed("inconclusive").iter("error")] == ["INCONCLUSIVE"]
    assert [one.get("type") for one in parsed("inconclusive").iter("failure")] == []
    assert [one.get("type") for one in parsed("error").iter("error")] == ["ERROR"]


def test_a_suite_per_run_and_a_case_per_invariant() -> None:
    """Each run is a suite of its own, named by scenario, world and seed; each invariant a case, named by id."""
    root = parsed("fail")
    assert [suite.get("name") for suite in root] == [
        "redis-outage [sim, ci, seed 7]",
        "redis-outage [real, ci, seed 7]",
        "redis-flap [sim, ci, seed 7]",
        "flawed variants",
    ]
    names = [one.get("name") for one in root[0].findall("testcase")]
    assert names == ["EB1 no-acked-loss", "EB2 order-per-key", "EB5 publish-bounded", "EB6 recovers-within"]
    body = root.findtext("testsuite/testcase/failure") or ""
    assert "observed: 3 events; limit: 0 events" in body
    assert synthetic.run(Verdict.FAIL).replay in body


@pytest.mark.parametrize("case", synthetic.sessions())
def test_the_schema_that_its_readers_have_in_common(case: str) -> None:
    """Every session is valid, no class and name twice: GitLab would show the first of those only."""
    SCHEMA.assertValid(etree.fromstring(junit.render(reports.build(synthetic.sessions()[case], {})).encode()))


@pytest.mark.parametrize("text", hostile.TEXTS, ids=hostile.name)
def test_hostile_text_is_valid_and_bounded(text: str) -> None:
    """Whatever a target's names hold, the file stays well-formed, valid, and small enough for any reader."""
    written = junit.render(reports.build(hostile.session(text), {})).encode()
    SCHEMA.assertValid(etree.fromstring(written))
    assert len(written) < 100_000


def test_the_schema_is_not_vacuous() -> None:
    """It refuses what readers trip over: a case twice, an unknown element, a missing count."""
    good = junit.render(reports.build(synthetic.sessions()["fail"], {}))
    for old, new in (
        ("EB2 order-per-key", "EB5 publish-bounded"),
        ("<system-err />", "<skipped />"),
        ('errors="0"', ""),
        (' seed-7"', '"'),
    ):
        bad = good.replace(old, new)
        assert SCHEMA.validate(etree.fromstring(bad.encode())) == (bad == good)
    assert not SCHEMA.validate(etree.fromstring(good.replace("sim-ci-seed-7", "real-ci-seed-7").encode()))


def test_each_world_size_and_seed_is_a_class_of_its_own() -> None:
    """A gate's twenty seeds, its run in bulk and its real run of one scenario are told apart by every reader."""
    full = dataclasses.replace(synthetic.run(), profile="full")
    short = dataclasses.replace(synthetic.run(world="real"), profile="short")
    large = dataclasses.replace(full, profile="large")
    root = ET.fromstring(junit.render(reports.build(synthetic.session(full, short, large), {})))
    names = list(dict.fromkeys(one.get("classname") for one in root.iter("testcase")))
    assert names == [
        "harness.patch1.redis-outage.sim-seed-7",
        "harness.patch1.redis-outage.real-seed-7",
        "harness.patch1.redis-outage.sim-large-seed-7",
        "harness",
    ]


def test_regressions_are_failures_of_their_own() -> None:
    """What became worse beyond the spread of seeds is a failed case with its figures; what became better passes."""
    root = parsed("regression")
    [suite] = [one for one in root if one.get("name") == "baseline"]
    assert [one.get("name") for one in suite.findall("testcase")] == [
        "redis-outage sim: recovery_s",
        "redis-outage sim: publish_p99_ms",
    ]
    [failure] = suite.iter("failure")
    assert failure.get("type") == "REGRESSION"
    assert failure.get("message") == "recovery_s of redis-outage sim: 1 s before, 3.5 s after"
    assert "+2.5, +2 to +3 over seeds 20 paired, against reports/out/before" in (failure.text or "")
    assert root.find("testsuite[@name='session']") is None
