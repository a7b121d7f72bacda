"""Five bugs that no invariant was written for, in copies of the reference; what `explore` makes of them.

`python tests/explore/planted.py` searches each for `--executions` experiments with the scenario's own invariants and
prints what was found. Two were found at once: `names_no_successor` (SF3) and `replays_the_last_again` (EB6). For the
others an invariant was missing and was added, and they, or what is of their kind and needs no time-out, became flawed
variants: `repeats_alert_ids` (HM7), `ages_from_the_answer` (PS7), `keeps_places` (SF8). The rest are none: nobody
promises that they are caught.
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
from reference_impl.event_bus import EventBusV2
from reference_impl.executor import EventDrivenExecutor

FLAWED: Final = {
    "ages_from_the_answer": ("policy-writers", "policy"),
    "repeats_alert_ids": ("health-watch", "health"),
}
"""Those that have become flawed variants."""

PLANTED: Final = {
    "keeps_places_of_timeouts": ("signal-flood", "executor"),
    "names_no_successor": ("signal-flood", "executor"),
    "replays_the_last_again": ("redis-outage", "event_bus"),
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


class _KeepsPlacesExecutor(EventDrivenExecutor):
    machine_type = _KeepsPlaces


class _NamesNoSuccessorExecutor(EventDrivenExecutor):
    machine_type = _NamesNoSuccessor


class _KeepsTheLastBus(EventBusV2):
    buffer_type = _KeepsTheLast


def keeps_places_of_timeouts(*, directory: Any, name: str, **options: Any) -> Any:
    del directory, name
    return _KeepsPlacesExecutor(**options)


def names_no_successor(*, directory: Any, name: str, **options: Any) -> Any:
    del directory, name
    return _NamesNoSuccessorExecutor(**options)


def replays_the_last_again(*, redis_url: str, directory: Path, name: str, **options: Any) -> Any:
    return _KeepsTheLastBus(redis_url, Path(directory) / f"{name}.event_bus.sqlite3", name=name, **options)


def main(arguments: Sequence[str]) -> None:
    """Search each, and say what was found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("bugs", nargs="*", default=[], help="names; all if none is given")
    parser.add_argument("--executions", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    chosen = parser.parse_args(arguments)
    ensure_stable_interpreter()
    scenarios = discover()
    bugs = PLANTED | FLAWED
    for bug in chosen.bugs or bugs:
        name, port = bugs[bug]
        scenario = scenarios[name]
        targets = choose(scenario, [f"{port}:{bug}" if bug in FLAWED else f"{port}=tests.explore.planted:{bug}"])
        with tempfile.TemporaryDirectory() as scratch:
            laboratory = Laboratory(scenario, targets, Path(scratch))
            failures = Failures(None, name, targets)
            done = search(laboratory, failures, executions=chosen.executions, seed=chosen.seed)
        said = f"{', '.join(done.violated)} in execution {done.executions}" if done.found else "not found"
        print(f"{bug} ({name}): {said}; {len(done.errors)} broke", flush=True)  # noqa: T201 - the result


if __name__ == "__main__":
    main(sys.argv[1:])
