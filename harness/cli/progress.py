"""Progress on stderr: a live table on a terminal, one line per finished group of runs without one."""

import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from rich.console import Console, Group
from rich.live import Live
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from harness.campaign import Hunt, Job, Progress, Result, Twice
from harness.verdict import FlawedResult, RunResult, Verdict, worst

_STYLES = {
    Verdict.PASS: "green",
    Verdict.FAIL: "red",
    Verdict.INCONCLUSIVE: "yellow",
    Verdict.ERROR: "magenta",
}


@dataclass(slots=True)
class _Row:
    total: int = 0
    began: float | None = None
    took: float = 0.0
    verdicts: list[Verdict] = field(default_factory=list)
    caught: list[FlawedResult] = field(default_factory=list)

    @property
    def finished(self) -> bool:
        return len(self.verdicts) + len(self.caught) == self.total

    def text(self) -> str:
        """What the row has come to so far, in words."""
        if self.caught:
            return _caught(self.caught)
        if not self.verdicts:
            return "waiting" if self.began is None else "running"
        counts = Counter(self.verdicts)
        if len(counts) == 1:
            return str(worst(self.verdicts))
        return ", ".join(f"{counts[one]} {one}" for one in Verdict if counts[one])

    def style(self) -> str:
        """Colour of that text."""
        if self.caught:
            return "green" if all(one.caught for one in self.caught) else "yellow"
        return _STYLES[worst(self.verdicts)] if self.verdicts else "dim"


def _caught(results: Sequence[FlawedResult]) -> str:
    missed = [one.variant for one in results if not one.caught]
    if missed:
        return f"NOT caught: {', '.join(missed)}"
    if len(results) == 1:
        one = results[0]
        return f"caught by {', '.join(one.by)} in {one.seeds} seed{'s' if one.seeds > 1 else ''}"
    return f"all {len(results)} caught"


def _group(job: Job) -> str:
    order = job.order
    place = f"{order.scenario.name} [{order.world}]"
    return f"{place} flawed" if isinstance(job, Hunt) else place


class _Table:
    """Counts jobs by group; shared by the live and the plain way of showing them."""

    def __init__(self, jobs: Iterable[Job]) -> None:
        self.rows: dict[str, _Row] = {}
        for job in jobs:
            self.rows.setdefault(_group(job), _Row()).total += 1

    def began(self, job: Job) -> None:
        row = self.rows[_group(job)]
        if row.began is None:
            row.began = time.monotonic()

    def ended(self, job: Job, result: Result) -> _Row:
        row = self.rows[_group(job)]
        if isinstance(result, RunResult):
            row.verdicts.append(result.verdict)
        else:
            row.caught.append(result)
        row.took = time.monotonic() - (row.began or time.monotonic())
        return row


class _Lines(Progress):
    """One line per finished group; with `verbose`, one per job as well.

    `interleaved`: groups are done side by side and end late, so there is a line for the first result of each as well.
    """

    def __init__(self, console: Console, jobs: Iterable[Job], *, verbose: bool, interleaved: bool = False) -> None:
        self._console = console
        self._table = _Table(jobs)
        self._verbose = verbose
        self._interleaved = interleaved

    def began(self, job: Job) -> None:
        self._table.began(job)

    def ended(self, job: Job, result: Result) -> None:
        row = self._table.ended(job, result)
        if self._verbose:
            self._say(f"{job}: {result.verdict if isinstance(result, RunResult) else _caught([result])}")
        elif self._interleaved and len(row.verdicts) == 1 and row.total > 1:
            self._say(f"{_group(job)}, first of {row.total} runs: {row.text()} ({row.took:.1f} s)")
        if row.finished and (row.total > 1 or not self._verbose):
            runs = (
                f"{row.total} run{'s' if row.total > 1 else ''}"
                if row.verdicts
                else f"{row.total} variant{'s' if row.total > 1 else ''}"
            )
            self._say(f"{_group(job)}, {runs}: {row.text()} ({row.took:.1f} s)")

    def _say(self, text: str) -> None:
        self._console.print(Text(text), soft_wrap=True)


class _Live(Progress):
    """A table that is redrawn as runs end."""

    def __init__(self, console: Console, jobs: Sequence[Job]) -> None:
        self._table = _Table(jobs)
        self._running: dict[int, str] = {}
        self._spinner = Spinner("dots")
        self.live = Live(console=console, get_renderable=self._render, refresh_per_second=8, transient=True)

    def began(self, job: Job) -> None:
        self._table.began(job)
        self._running[id(job)] = str(job) + (" for the same trace" if isinstance(job, Twice) else "")

    def ended(self, job: Job, result: Result) -> None:
        self._running.pop(id(job), None)
        self._table.ended(job, result)

    def _render(self) -> Group:
        table = Table(box=None, pad_edge=False, show_header=False)
        for name, row in self._table.rows.items():
            done = len(row.verdicts) + len(row.caught)
            table.add_row(Text(name), Text(f"{done}/{row.total}", justify="right"), Text(row.text(), row.style()))
        self._spinner.update(
            text=Text(", ".join(self._running.values()) or "starting", overflow="ellipsis", no_wrap=True)
        )
        return Group(table, self._spinner)


class _Silent(Progress):
    def began(self, job: Job) -> None:
        """Say nothing."""

    def ended(self, job: Job, result: Result) -> None:
        """Say nothing."""


@contextmanager
def showing(
    console: Console, jobs: Sequence[Job], *, quiet: bool, plain: bool, verbose: bool, interleaved: bool = False
) -> Iterator[Progress]:
    """Show the progress of these jobs until left; `interleaved` if their groups are done side by side."""
    if quiet:
        yield _Silent()
    elif plain or verbose or not console.is_terminal:
        yield _Lines(console, jobs, verbose=verbose, interleaved=interleaved)
    else:
        progress = _Live(console, jobs)
        with progress.live:
            yield progress
