"""How real clients behave in a storm, next to the reference: `make client-table`.

Each client is a target of the scenarios, unmodified (targets/), and runs through them in the simulated world inside an
environment of its own that also has this project. What it did is read from the histories: from what the exchange
recorded, with the same functions that judge the reference. In `binance-storm` a client that earns a ban is out before
any outcome could get lost, so `unknown-outcome` is run as well.

- *sent while told to wait*: requests that came although an answer had said to wait (RL2).
- *bans earned*: of the IP (RL1); requests during a ban earn the next, longer one.
- *longest ban*: that was earned. The exchange's lengths are 2 min to 3 days.
- *recovery*: from the end of the scenario's last fault to the first 5 s at 80 % of the reads per second before the
  first fault; median over the seeds, `never` if most never got there.
- *reads, orders done*: of those that were begun, how many ended well by the client's own word.
- *double executions*: intents of which the exchange filled more than was asked for (EX1), by the client's own retries
  or because it was asked again for an intent after its host was killed, of which the client keeps no record.
- *untold*: intents that the exchange filled in part or whole while the client reported another figure, or none (EX2).
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from environment import HERE, ROOT, build

from harness.history.history import History
from harness.history.query import fault_windows, operations
from harness.history.store import load
from harness.invariants.exchange_record import read_exchange
from harness.invariants.execution import agreed, no_overfill
from harness.invariants.rate_limits import no_ban, silence
from harness.units import SECOND, as_seconds, seconds

SCENARIOS = ("binance-storm", "unknown-outcome")
STRETCH_NS = seconds(5)
SHARE = 0.8
USAGE_ERRORS = (2, 3)


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table: a label, the client's environment (none: the reference's), and the target."""

    label: str
    client: str = ""
    target: str = ""


ROWS = (
    Row("reference"),
    Row("ccxt 4.5.90, as it comes", "ccxt", "ccxt_target:make"),
    Row("ccxt 4.5.90, maxRetriesOnFailure=3", "ccxt", "ccxt_target:make_retrying"),
    Row("python-binance 1.0.37", "python_binance", "python_binance_target:make"),
)


@dataclass(frozen=True, slots=True)
class Run:
    """What one history says."""

    requests: int
    told_to_wait: int
    bans: int
    longest_ban_s: float
    recovery_s: float | None
    reads: tuple[int, int]
    executions: tuple[int, int]
    doubled: int
    untold: int


def measure(history: History) -> Run:
    """Read one history."""
    record = read_exchange(history)
    return Run(
        requests=len(record.requests),
        told_to_wait=_count(silence().judge(history).observed),
        bans=_count(no_ban().judge(history).observed),
        longest_ban_s=max((as_seconds(ban.until_ns - ban.time_ns) for ban in record.bans if ban.earned), default=0.0),
        recovery_s=recovery_s(history),
        reads=_done(history, "read"),
        executions=_done(history, "execute"),
        doubled=_count(no_overfill().judge(history).observed),
        untold=_count(agreed().judge(history).observed),
    )


def recovery_s(history: History) -> float | None:
    """Return the seconds from the last fault's end to the first good stretch; None if there was none."""
    faults = fault_windows(history)
    ends = sorted(one.end_ns for one in operations(history, "read") if one.outcome == "ok" and one.end_ns is not None)
    before = ends[: bisect_left(ends, min((fault.start_ns for fault in faults), default=history.end_ns))]
    over_ns = max((fault.end_ns or history.end_ns for fault in faults), default=0)
    if len(before) < 2 or before[-1] - before[0] < SECOND:
        return None
    wanted = SHARE * (len(before) - 1) / as_seconds(before[-1] - before[0]) * as_seconds(STRETCH_NS)
    for start_ns in (over_ns, *ends[bisect_left(ends, over_ns) :]):
        if start_ns + STRETCH_NS > history.end_ns:
            return None
        if bisect_left(ends, start_ns + STRETCH_NS) - bisect_left(ends, start_ns) >= wanted:
            return as_seconds(start_ns - over_ns)
    return None


def _count(observed: float | None) -> int:
    return int(observed or 0)


def _done(history: History, name: str) -> tuple[int, int]:
    begun = operations(history, name)
    return sum(one.outcome == "ok" for one in begun), len(begun)


def run(row: Row, scenario: str, seeds: int, folder: Path) -> list[Run]:
    """Run the scenario for one row, in the environment of its client, and read its histories."""
    python = build(row.client, with_harness=True) if row.client else Path(sys.executable)
    command = [python, "-m", "harness.cli.main", "run", scenario, "--seeds", str(seeds), "--report", "json", "--plain"]
    command += ["--quiet", "--out", str(folder)]
    if row.target:
        command += ["--target", f"binance={row.target}"]
    paths = os.pathsep.join((str(HERE / "targets"), str(ROOT)))
    done = subprocess.run(command, cwd=ROOT, env={**os.environ, "PYTHONPATH": paths}, capture_output=True, check=False)
    histories = sorted(folder.glob("*/histories/*.jsonl"))
    if done.returncode in USAGE_ERRORS or len(histories) < seeds:
        raise SystemExit(f"{row.label}: {done.stdout.decode()}{done.stderr.decode()}")
    return [measure(load(path)) for path in histories]


def lines(label: str, runs: Sequence[Run]) -> str:
    """Return one line of the table, figures per run."""

    def mean(values: Sequence[float]) -> str:
        return f"{statistics.fmean(values):.1f}".removesuffix(".0")

    def share(pairs: Sequence[tuple[int, int]]) -> str:
        begun = sum(begun for _, begun in pairs)
        return f"{100 * sum(done for done, _ in pairs) / begun:.0f} %" if begun else "-"

    found = sorted(run.recovery_s if run.recovery_s is not None else float("inf") for run in runs)
    median = found[len(found) // 2]
    recovery = "never" if median == float("inf") else f"{median:.1f} s"
    cells = [
        label,
        mean([run.requests for run in runs]),
        mean([run.told_to_wait for run in runs]),
        mean([run.bans for run in runs]),
        f"{max(run.longest_ban_s for run in runs):.0f} s",
        recovery if any(begun for run in runs for begun in run.reads) else "-",
        share([run.reads for run in runs]),
        share([run.executions for run in runs]),
        mean([run.doubled for run in runs]),
        mean([run.untold for run in runs]),
    ]
    return f"| {' | '.join(cells)} |"


HEAD = (
    "| client | requests | sent while told to wait | bans earned | longest ban | recovery | reads done | orders done "
    "| double executions | untold |\n|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|"
)


def say(text: str) -> None:
    """Print at once: the whole takes minutes."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def main() -> None:
    """Print the table, a line as soon as it is known."""
    parser = argparse.ArgumentParser(description="Real clients under a scenario of the exchange; figures per run.")
    parser.add_argument("scenarios", nargs="*", default=SCENARIOS)
    parser.add_argument("--seeds", type=int, default=5)
    wanted = parser.parse_args()
    for scenario in wanted.scenarios:
        say(f"{scenario}, simulated world, {wanted.seeds} seeds, figures per run\n\n{HEAD}")
        for row in ROWS:
            with tempfile.TemporaryDirectory() as folder:
                say(lines(row.label, run(row, scenario, wanted.seeds, Path(folder))))
        say("")


if __name__ == "__main__":
    main()
