"""`RUN#FINDING`: which stored history is meant."""

import json
from pathlib import Path

import pytest

from harness.cli.located import Located, locate
from harness.errors import UsageError


@pytest.fixture
def out(tmp_path: Path) -> Path:
    """An out folder with one run: EB1 in two seeds, EB2 in the second, and a passing one."""
    histories = tmp_path / "out" / "run1" / "histories"
    histories.mkdir(parents=True)
    runs = [
        {
            "scenario": "redis-outage",
            "world": "sim",
            "history": f"/elsewhere/histories/seed{seed}.jsonl",
            "invariants": [{"id": name, "verdict": "VIOLATED"} for name in names] + [{"id": "EB9", "verdict": "HOLDS"}],
        }
        for seed, names in ((1, []), (2, ["EB1"]), (3, ["EB1", "EB2"]))
    ]
    for seed in (1, 2, 3):
        (histories / f"seed{seed}.jsonl").write_text("")
    (histories.parent / "report.json").write_text(json.dumps({"runs": runs}))
    (tmp_path / "out" / "latest").symlink_to("run1")
    return tmp_path / "out"


@pytest.mark.parametrize(
    ("finding", "seed", "invariant"), [("EB1", 2, "EB1"), ("EB2", 3, "EB2"), ("1", 2, "EB1"), ("2", 3, "EB2")]
)
def test_a_finding_is_the_first_history_that_shows_it(out: Path, finding: str, seed: int, invariant: str) -> None:
    """By the invariant's id or by number; a run folder that was moved is found where it is now."""
    for run in ("latest", str(out / "run1")):
        found = locate(f"{run}#{finding}", out)

        assert (found.history.name, found.history.exists(), found.invariant) == (f"seed{seed}.jsonl", True, invariant)


def test_a_history_itself_will_do(out: Path) -> None:
    """With and without a finding; also if its path has a # in it."""
    path = out / "run1" / "histories" / "seed1.jsonl"
    odd = out / "a#b.jsonl"
    odd.write_text("")

    assert locate(str(path), out) == Located(path, None)
    assert locate(f"{path}#EB1", out) == Located(path, "EB1")
    assert locate(str(odd), out) == Located(odd, None)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("latest#EB3", "finding in"),
        ("latest#9", "has 2 findings"),
        ("latest#0", "has 2 findings"),
        ("latest", "holds 3 histories"),
        ("nowhere#EB1", "no such file or run folder"),
    ],
)
def test_what_is_not_there_is_a_usage_error(out: Path, text: str, words: str) -> None:
    """In one line that says what there is instead."""
    with pytest.raises(UsageError, match=words):
        locate(text, out)


def test_a_report_that_is_none_is_a_usage_error(out: Path) -> None:
    """Damaged or missing, it is named."""
    report = out / "run1" / "report.json"
    report.write_text('{"runs": 1}')
    with pytest.raises(UsageError, match="not a report"):
        locate("latest#1", out)
    report.unlink()
    with pytest.raises(UsageError, match=r"no report\.json"):
        locate("latest#1", out)
