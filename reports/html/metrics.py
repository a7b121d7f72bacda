"""The metrics of a scenario as a table: the run that is drawn, and the spread over all its seeds."""

from typing import Any, Final

from harness.measures import Spread
from reports import text
from reports.model import ScenarioReport

METRICS_MAX: Final = 60
_COLUMNS: Final = ("least", "median", "p90", "p99", "greatest", "measured in")


def metrics(scenario: ScenarioReport) -> dict[str, list[Any]]:
    """Return the rows of the metrics, the columns over all seeds, and in words what needs no column or row.

    That is a column which says the same in every row, and a metric that is 0 in every run.
    """
    rows: list[list[str]] = []
    zeros: list[str] = []
    spreads = {spread.name: spread for spread in scenario.tally.spreads}
    for name, value in list(scenario.drawn.metrics.items())[:METRICS_MAX]:
        spread = spreads.get(name)
        if value == 0 and (spread is None or spread.least == spread.greatest == 0):
            zeros.append(name)
        elif len(scenario.runs) > 1:
            samples = 0 if spread is None else spread.samples
            row = [name, text.figure(value), *_spread(spread), f"{samples:,} of {len(scenario.runs):,} runs"]
            rows.append(row)
        else:
            rows.append([name, text.figure(value)])
    columns = list(_COLUMNS) if rows and len(rows[0]) > 2 else []  # noqa: PLR2004 - name and value
    alike = []
    for name in ("measured in", "p99", "p90"):
        at = columns.index(name) + 2 if name in columns else 0
        if at and len(rows) > 1 and len(same := {row[at] for row in rows}) == 1:
            alike.append(f"{name}: {same.pop()}" if name != "measured in" else f"each measured in {same.pop()}")
            columns.remove(name)
            rows = [[*row[:at], *row[at + 1 :]] for row in rows]
    return {"metrics": rows, "zeros": zeros, "columns": columns, "alike": alike}


def _spread(spread: Spread | None) -> list[str]:
    if spread is None:
        return [text.NOT_MEASURED] * 5
    told = [text.figure(one) for one in (spread.least, spread.median)]
    told += ["too few seeds" if one is None else text.figure(one) for one in (spread.p90, spread.p99)]
    return [*told, text.figure(spread.greatest)]
