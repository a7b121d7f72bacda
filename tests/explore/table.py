"""How many executions `explore` takes to find each flawed variant, with no schedule by hand; `make explore-table`.

Every variant of every scenario is searched for `--tries` times with seeds 1, 2, ...; what counts is a violation of one
of the invariants that were written to catch it. The first failure of a variant is shrunk as well, and the faults that
are left are counted. A row is written as soon as it is known (JSON lines, `--rows`), and rows that are there are not
made again: a night that was cut short goes on the next one. The table is printed in Markdown.
"""

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from harness.explore.execute import Laboratory
from harness.explore.failures import Failures
from harness.explore.search import larder_of, quiet_history, search
from harness.explore.shrink import shrink
from harness.registry import discover
from harness.scenario import FlawedVariant, Scenario
from harness.targets import choose
from harness.world.sim.identity import ensure_stable_interpreter


@dataclass(frozen=True)
class Piece:
    """One variant of one scenario, one try. `shrinks`: executions to shrink the failure, 0 for not at all."""

    scenario: str
    variant: str
    seed: int
    executions: int
    shrinks: int

    @property
    def key(self) -> str:
        return f"{self.scenario} {self.variant} {self.seed}"


def main(arguments: Sequence[str]) -> None:
    """Search, write the rows, print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("scenarios", nargs="*", help="names; all if none is given")
    parser.add_argument("--tries", type=int, default=5)
    parser.add_argument("--executions", type=int, default=200)
    parser.add_argument("--shrinks", type=int, default=100)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--variant", default="", help="only variants whose name contains this")
    parser.add_argument("--rows", type=Path, default=Path("reports/out/explore-table.jsonl"))
    chosen = parser.parse_args(arguments)
    ensure_stable_interpreter()
    rows = _read(chosen.rows)
    pieces = [piece for piece in _pieces(chosen) if piece.key not in rows]
    chosen.rows.parent.mkdir(parents=True, exist_ok=True)
    with (
        chosen.rows.open("a", encoding="utf-8") as file,
        ProcessPoolExecutor(chosen.jobs, mp_context=get_context("spawn")) as pool,
    ):
        for future in as_completed([pool.submit(measure, piece) for piece in pieces]):
            row = future.result()
            rows[row["key"]] = row
            file.write(json.dumps(row) + "\n")
            file.flush()
            print(f"{row['key']}: {row['executions'] if row['found'] else 'NOT FOUND'}", file=sys.stderr)  # noqa: T201 - progress
    for line in _table(rows.values(), chosen.executions):
        print(line)  # noqa: T201 - it is what was asked for


def measure(piece: Piece) -> dict[str, Any]:
    """Search for one variant once, and shrink what is found."""
    scenario = discover()[piece.scenario]
    variant = _variant(scenario, piece.variant)
    targets = choose(scenario, [variant.label])
    began = time.process_time()
    with tempfile.TemporaryDirectory() as scratch:
        laboratory = Laboratory(scenario, targets, Path(scratch))
        done = search(
            laboratory,
            Failures(None, scenario.name, targets),
            executions=piece.executions,
            seed=piece.seed,
            wanted=variant.caught_by,
        )
        row: dict[str, Any] = {
            "key": piece.key,
            "scenario": piece.scenario,
            "variant": piece.variant,
            "seed": piece.seed,
            "found": done.found is not None,
            "executions": done.executions,
            "violated": list(done.violated),
            "errors": len(done.errors),
            "searching_s": round(time.process_time() - began, 1),
        }
        if done.found is not None:
            row["drawn"] = len(done.found.faults)
            if not done.found.faults:  # found without any; what else could be simpler is not counted
                row |= {"shrunk": 0, "shrinks": 0, "complete": True, "faults": []}
            elif piece.shrinks:
                wanted = done.violated[0]
                small = shrink(
                    done.found,
                    lambda one: wanted in laboratory.outcomes(one).violated,
                    larder_of(scenario, quiet_history(laboratory)),
                    executions_max=piece.shrinks,
                )
                row |= {"shrunk": len(small.experiment.faults), "shrinks": small.executions, "complete": small.complete}
                row["faults"] = [fault.entry for fault in small.experiment.faults]
        row["cpu_s"] = round(time.process_time() - began, 1)
        return row


def _pieces(chosen: argparse.Namespace) -> Iterator[Piece]:
    """Yield first tries first, so that a night cut short has seen every variant."""
    for seed in range(1, chosen.tries + 1):
        for scenario in discover().values():
            if chosen.scenarios and scenario.name not in chosen.scenarios:
                continue
            for variant in scenario.flawed:
                if chosen.variant in variant.label:
                    shrinks = chosen.shrinks if seed == 1 else 0
                    yield Piece(scenario.name, variant.label, seed, chosen.executions, shrinks)


def _variant(scenario: Scenario, label: str) -> FlawedVariant:
    return next(one for one in scenario.flawed if one.label == label)


def _read(path: Path) -> dict[str, dict[str, Any]]:
    """Return the rows that are there; one that was cut short by a crash is made again."""
    rows: dict[str, dict[str, Any]] = {}
    for line in path.read_text(encoding="utf-8").splitlines() if path.exists() else ():
        try:
            row = json.loads(line)
        except ValueError:
            continue
        rows[row["key"]] = row
    return rows


def _table(rows: Any, most: int) -> Iterator[str]:
    by_variant: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for row in rows:
        by_variant.setdefault((row["scenario"], row["variant"]), []).append(row)
    yield "| scenario | variant | tries | executions to find | median | faults left | invariants |"
    yield "|---|---|---|---|---|---|---|"
    for (scenario, variant), tries in sorted(by_variant.items()):
        counts = [row["executions"] if row["found"] else None for row in sorted(tries, key=lambda row: row["seed"])]
        median = statistics.median(most + 1 if count is None else count for count in counts)
        shown = ", ".join("-" if count is None else str(count) for count in counts)
        left = next((str(row["shrunk"]) for row in tries if "shrunk" in row), "?")
        ids = sorted({one for row in tries for one in row["violated"]})
        told = f"{median:g}" if median <= most else f"> {most}"
        yield f"| {scenario} | {variant} | {len(tries)} | {shown} | {told} | {left} | {', '.join(ids) or '-'} |"


if __name__ == "__main__":
    main(sys.argv[1:])
