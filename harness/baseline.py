"""A stored session, read back as one side of a comparison: from its run folder, or from the report.json in it."""

from pathlib import Path
from typing import Final

import msgspec

from harness.compare import ENVIRONMENT, Sample, Side, unnoticed, wrong_of
from harness.errors import UsageError
from harness.verdict import Outcome, Verdict

_FILE: Final = "report.json"
_SCHEMA: Final = 1


class _Invariant(msgspec.Struct, frozen=True):
    id: str
    verdict: str


class _Run(msgspec.Struct, frozen=True, kw_only=True):
    """What a comparison needs of a run; what came into the format later has a default."""

    scenario: str
    world: str
    seed: int
    target: dict[str, str]
    verdict: str
    invariants: list[_Invariant]
    metrics: dict[str, float | int | None]
    profile: str | None = None
    lost: str | None = None
    config: str | None = None


class _Flawed(msgspec.Struct, frozen=True, kw_only=True):
    variant: str
    scenario: str
    world: str
    caught: bool


class _Document(msgspec.Struct, frozen=True, kw_only=True):
    schema: int
    verdict: str
    exit_code: int
    harness_version: str
    runs: list[_Run]
    flawed: list[_Flawed]
    environment: dict[str, str] = {}


class Stored(msgspec.Struct, frozen=True, kw_only=True):
    """A stored session: its side of a comparison, and what it came to."""

    side: Side
    verdict: Verdict
    exit_code: int


def load_baseline(path: Path) -> Stored:
    """Read a stored session. Raises `UsageError`, in one line, for whatever is wrong with the path or the file."""
    file = path / _FILE if path.is_dir() else path
    try:
        content = file.read_bytes()
    except OSError as error:
        hint = "; a run folder has it where `--report` includes json" if path.is_dir() else ""
        raise UsageError(f"cannot read {file}: {error.strerror}{hint}") from error
    try:
        document = msgspec.json.decode(content, type=_Document)
        verdict = Verdict(document.verdict)
    except (msgspec.DecodeError, ValueError) as error:
        raise UsageError(f"{file} is not the report of a run: {error}") from error
    if document.schema != _SCHEMA:
        raise UsageError(f"{file} has schema {document.schema}; this harness reads schema {_SCHEMA}")
    side = Side(
        name=str(path.resolve() if path.is_symlink() else path),
        samples=tuple(_sample(run) for run in document.runs),
        wrong=tuple(unnoticed(one.scenario, one.world, one.variant) for one in document.flawed if not one.caught),
        hunted=frozenset(unnoticed(one.scenario, one.world, one.variant) for one in document.flawed),
        environment={
            name: value
            for name, value in {**document.environment, "harness": document.harness_version}.items()
            if name in ENVIRONMENT
        },
    )
    return Stored(side=side, verdict=verdict, exit_code=document.exit_code)


def _sample(run: _Run) -> Sample:
    violated = [one.id for one in run.invariants if one.verdict == Outcome.VIOLATED.value]
    return Sample(
        scenario=run.scenario,
        world=run.world,
        profile=run.profile or ("full" if run.world == "sim" else "short"),
        seed=run.seed,
        target=tuple(sorted(run.target.items())),
        is_judged=run.verdict in (Verdict.PASS.value, Verdict.FAIL.value),
        config=run.config,
        metrics=run.metrics,
        wrong=wrong_of(run.verdict, run.lost, violated),
    )
