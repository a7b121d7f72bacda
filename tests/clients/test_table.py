"""What the table of client behaviour says of a history written by hand."""

import runpy
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent
ExchangeRun = runpy.run_path(str(HERE.parent / "harness/invariants/conftest.py"))["ExchangeRun"]


@pytest.fixture
def table(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Any]]:
    """The script's names; it finds its sibling as scripts do."""
    monkeypatch.syspath_prepend(str(HERE))
    yield runpy.run_path(str(HERE / "table.py"))
    sys.modules.pop("environment", None)


def reads(run: Any, start: int, end: int, outcome: str = "ok") -> Any:
    """Two reads a second in that time."""
    for half in range(2 * start, 2 * end):
        run.do("read", half / 2, half / 2 + 0.1, outcome)
    return run


def test_a_client_that_asks_on(table: dict[str, Any]) -> None:
    """Requests during a wait, an earned ban, an intent that is filled twice and one that is not told of are counted."""
    run = reads(ExchangeRun(), 0, 10).fault(10, 20, name="binance.storm")
    run.ask(11, status=429, wait=5).ask(12, status=429).ask(13, status=429).ban(13, 19)
    run.execute("twice", 14, 16, report=("filled", "20", "0", ""))
    run.order(14.1, fills=(("10", "100"),)).order(15.1, fills=(("10", "100"),))
    run.execute("untold", 17, 18, "info").order(17.5, fills=(("10", "100"),))
    measured = table["measure"](reads(run, 23, 40).end(40))

    assert (measured.told_to_wait, measured.bans, measured.longest_ban_s) == (4, 1, 6.0)
    assert (measured.doubled, measured.untold) == (1, 1)
    assert measured.executions == (1, 2)
    assert measured.reads == (54, 54)
    assert measured.recovery_s == pytest.approx(3.0, abs=1.0)


def test_a_client_that_never_comes_back(table: dict[str, Any]) -> None:
    """Without reads at the former rate after the last fault there is no recovery."""
    run = reads(ExchangeRun(), 0, 10).fault(10, 20, name="binance.storm")

    assert table["recovery_s"](reads(run, 20, 40, "fail").end(40)) is None


def test_a_line_of_the_table(table: dict[str, Any]) -> None:
    """Figures are means of the runs, the recovery is their median, and shares are of all that was begun."""
    run = table["Run"]
    made = [run(100, 1, 0, 0.0, 2.0, (9, 10), (1, 2), 0, 0), run(101, 2, 1, 120.0, None, (10, 10), (2, 2), 1, 1)]
    made.append(run(102, 0, 0, 0.0, 4.0, (10, 10), (2, 2), 0, 0))

    line = table["lines"]("some client", made)

    assert line == "| some client | 101 | 1 | 0.3 | 120 s | 4.0 s | 97 % | 83 % | 0.3 | 0.3 |"


def test_what_a_scenario_does_not_do_is_left_open(table: dict[str, Any]) -> None:
    """Without reads there is no share of reads and no recovery to tell; a recovery that most lack is `never`."""
    run = table["Run"]
    unread = [run(10, 0, 0, 0.0, None, (0, 0), (1, 1), 0, 0)]
    lost = [run(10, 0, 0, 0.0, None, (1, 10), (1, 1), 0, 0)] * 2

    assert table["lines"]("x", unread) == "| x | 10 | 0 | 0 | 0 s | - | - | 100 % | 0 | 0 |"
    assert table["lines"]("x", lost) == "| x | 10 | 0 | 0 | 0 s | never | 10 % | 100 % | 0 | 0 |"
