"""Five bugs that no invariant was written for, in copies of the reference; what `explore` makes of them.

`python tests/explore/planted.py` searches each for `--executions` experiments with the scenario's own invariants and
prints what was found. `repeats_alert_ids` was not: an invariant (HM7) was added, and it became a flawed variant. The
others are none: nobody promises that they are caught.
"""

import argparse
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from harness.explore.execute import Laboratory
from harness.explore.failures import Failures
from harness.explore.search import search
from harness.registry import discover
from harness.targets import choose
from harness.world.sim.identity import ensure_stable_interpreter
from reference_impl._event_bus.buffer import Buffer
from reference_impl._executor.machine import Outcome, Reason, SignalMachine
from reference_impl._executor.signals import Signal
from reference_impl._policy import clock
from reference_impl._policy.document import Document
from reference_impl._policy.freshness import Freshness
from reference_impl.event_bus import EventBusV2
from reference_impl.executor import EventDrivenExecutor
from reference_impl.policy_store import PolicyStore

BUGS: Final = {
    "keeps_places_of_timeouts": ("signal-flood", "executor"),
    "names_no_successor": ("signal-flood", "executor"),
    "replays_the_last_again": ("redis-outage", "event_bus"),
    "ages_from_the_answer": ("policy-writers", "policy"),
    "repeats_alert_ids": ("health-watch", "health"),
}


class _KeepsPlaces(SignalMachine):
    """An execution that timed out never gives its place back."""

    def ended(self, signal: Signal, outcome: Outcome) -> None:
        super().ended(signal, outcome)
        self.running += outcome == "timed_out"


class _NamesNoSuccessor(SignalMachine):
    """Of what was superseded, the announcement names the superseded itself."""

    def dispose(self, signal: Signal, reason: Reason, detail: str = "") -> None:
        super().dispose(signal, reason, signal.id if reason == "superseded" else detail)


class _KeepsTheLast(Buffer):
    """Off by one: the last event of every replayed batch stays in the buffer, and is replayed again."""

    def confirm(self, last_id: int) -> int:
        return super().confirm(last_id - 1)


class _AgesFromTheAnswer(Freshness):
    """A policy is taken to be as old as the answer, not as the question: too young by the time it was under way."""

    def confirmed(self, document: Document, asked_at: float) -> bool:
        del asked_at
        return super().confirmed(document, clock.now())


class _KeepsPlacesExecutor(EventDrivenExecutor):
    machine_type = _KeepsPlaces


class _NamesNoSuccessorExecutor(EventDrivenExecutor):
    machine_type = _NamesNoSuccessor


class _KeepsTheLastBus(EventBusV2):
    buffer_type = _KeepsTheLast


class _AgesFromTheAnswerStore(PolicyStore):
    freshness_type = _AgesFromTheAnswer


def keeps_places_of_timeouts(*, directory: Any, name: str, **options: Any) -> Any:
    del directory, name
    return _KeepsPlacesExecutor(**options)


def names_no_successor(*, directory: Any, name: str, **options: Any) -> Any:
    del directory, name
    return _NamesNoSuccessorExecutor(**options)


def replays_the_last_again(*, redis_url: str, directory: Path, name: str, **options: Any) -> Any:
    return _KeepsTheLastBus(redis_url, Path(directory) / f"{name}.event_bus.sqlite3", name=name, **options)


def ages_from_the_answer(*, redis_url: str, directory: Path, name: str, **options: Any) -> Any:
    return _AgesFromTheAnswerStore(redis_url, Path(directory) / f"{name}.policy.json", name=name, **options)


def main(arguments: Sequence[str]) -> None:
    """Search each, and say what was found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("bugs", nargs="*", default=[], help="names; all if none is given")
    parser.add_argument("--executions", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    chosen = parser.parse_args(arguments)
    ensure_stable_interpreter()
    scenarios = discover()
    for bug in chosen.bugs or BUGS:
        name, port = BUGS[bug]
        scenario = scenarios[name]
        targets = choose(scenario, [f"{port}=tests.explore.planted:{bug}"])
        with tempfile.TemporaryDirectory() as scratch:
            laboratory = Laboratory(scenario, targets, Path(scratch))
            failures = Failures(None, name, targets)
            done = search(laboratory, failures, executions=chosen.executions, seed=chosen.seed)
        said = f"{', '.join(done.violated)} in execution {done.executions}" if done.found else "not found"
        print(f"{bug} ({name}): {said}; {len(done.errors)} broke", flush=True)  # noqa: T201 - the result


if __name__ == "__main__":
    main(sys.argv[1:])
