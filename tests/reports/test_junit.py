"""`junit.xml` is valid for common readers and never greener than the session."""

import re
import xml.etree.ElementTree as ET

import pytest

import reports
from harness.verdict import EXIT_PASS, Verdict
from reports import junit
from tests.reports import synthetic


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
        "redis-outage [sim, seed 7]",
        "redis-outage [real, seed 7]",
        "redis-flap [sim, seed 7]",
        "flawed variants",
    ]
    names = [one.get("name") for one in root[0].findall("testcase")]
    assert names == ["EB1 no-acked-loss", "EB2 order-per-key", "EB5 publish-bounded", "EB6 recovers-within"]
    body = root.findtext("testsuite/testcase/failure") or ""
    assert "observed: 3 events; limit: 0 events" in body
    assert synthetic.run(Verdict.FAIL).replay in body
