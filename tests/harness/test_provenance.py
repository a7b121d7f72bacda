"""A result says what it was made of."""

import dataclasses
import subprocess

from harness.provenance import config_hash, provenance
from harness.verdict import InvariantResult, Outcome, RunResult, Verdict


def result(**changes) -> RunResult:
    """One run, as plain as can be."""
    invariant = InvariantResult(
        id="EB1", name="n", statement="s", verdict=Outcome.HOLDS, checked=1, observed=0, limit=0, unit="events"
    )
    plain = RunResult(
        scenario="a",
        title="A",
        patch=1,
        priority="P0",
        world="sim",
        profile="full",
        seed=1,
        target={"bus": "one:make"},
        verdict=Verdict.PASS,
        invariants=(invariant,),
    )
    return dataclasses.replace(plain, **changes)


def test_the_configuration_is_what_was_asked_not_what_came_of_it():
    """Verdicts, figures, targets and the order of runs leave the hash alone; what was asked does not."""
    plain = [result(), result(seed=2)]
    same = [result(seed=2, verdict=Verdict.FAIL, wall_s=3.0), result(target={"bus": "other:make"})]
    assert config_hash(plain) == config_hash(same)
    stricter = dataclasses.replace(result().invariants[0], limit=1)
    for other in ({"seed": 3}, {"profile": "short"}, {"world": "real"}, {"invariants": (stricter,)}):
        assert config_hash(plain) != config_hash([result(), result(**other)])


def test_the_commit_is_named_and_so_are_local_changes(tmp_path):
    """Inside a repository its commit is known; outside there is none, which is not an error."""
    assert "commit" not in provenance([], tmp_path)

    def git(*words: str) -> None:
        subprocess.run(["git", "-c", "user.name=a", "-c", "user.email=a@b", *words], cwd=tmp_path, check=True)

    git("init", "-q")
    (tmp_path / "file").write_text("one")
    git("add", "file")
    git("commit", "-q", "-m", "first")
    clean = provenance([], tmp_path)["commit"]
    (tmp_path / "file").write_text("two")
    assert len(clean) == 12
    assert provenance([], tmp_path)["commit"] == f"{clean} with local changes"
