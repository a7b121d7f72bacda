"""The summary on a terminal: verdict, matrix, findings, and the three last lines that a person acts on.

Foreign text is made visible before it reaches rich, and reaches it as `Text`, never as markup. In the plain
variant there is no box drawing, no symbol outside ASCII of our own, and no colour: for logs and screen
readers. Colour is the console's business (it honours NO_COLOR); every colour has a word beside it. Lines keep
to 80 columns, but for replay commands, which are never wrapped so that they can be copied.
"""

import textwrap
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from harness.comparison import Comparison
from harness.verdict import Outcome, Verdict, patch_name
from reports.baseline import headline_of, notes_of, rows_of
from reports.findings import FindingReport, chosen
from reports.matrix import Cell, MatrixBlock
from reports.model import Report
from reports.readiness import readiness_rows
from reports.tallies import CHOSEN_MAX, chosen_spreads, sentence_of, spread_text
from reports.text import duration, plural, visible

WIDTH: Final = 80
FINDINGS_MAX: Final = 10
ROWS_MAX: Final = 12
"""Rows of timeline a finding; a terminal scrolls, and the report holds the rest."""
ELSEWHERE_MAX: Final = 8
COLUMNS_MAX: Final = 4
"""Invariants side by side in one table of the matrix; more would not fit into 80 columns."""

NOTES_MAX: Final = 20

_TONES: Final = {"good": "bold green", "bad": "bold red", "unsure": "bold yellow"}
_OMITTED_MAX: Final = 3
_STYLES: Final = {
    Verdict.PASS: "green",
    Verdict.FAIL: "bold red",
    Verdict.INCONCLUSIVE: "yellow",
    Verdict.ERROR: "bold magenta",
}
_CELLS: Final = {
    Outcome.HOLDS: ("✓", "holds", "green"),
    Outcome.VIOLATED: ("✕", "violated", "bold red"),
    Outcome.INCONCLUSIVE: ("?", "unsure", "yellow"),
    Outcome.ERROR: ("!", "error", "bold magenta"),
}


def print_summary(
    report: Report, console: Console, *, plain: bool = False, report_path: Path | str | None = None
) -> None:
    """Print the summary; its last lines are the verdict, the report's path and the replay command."""
    _Printer(console, plain=plain).summary(report, report_path)


def print_comparison(comparison: Comparison, console: Console, *, plain: bool = False, quiet: bool = False) -> None:
    """Print a comparison of two stored sessions; `quiet` is its headline alone."""
    if quiet:
        console.print(Text(visible(headline_of(comparison), 1000)), soft_wrap=True, highlight=False)
    else:
        _Printer(console, plain=plain).comparison(comparison)


def render(report: Report, *, plain: bool = True, color: bool = False, width: int = WIDTH) -> str:
    """Return what `print_summary` prints on a terminal of that width."""
    console = Console(
        width=width,
        record=False,
        force_terminal=color,
        no_color=not color,
        color_system="standard" if color else None,
        highlight=False,
        legacy_windows=False,
    )
    with console.capture() as captured:
        print_summary(report, console, plain=plain)
    return captured.get()


class _Printer:
    """One summary on its way to one console."""

    def __init__(self, console: Console, *, plain: bool) -> None:
        self._console = console
        self._plain = plain
        self._width = min(WIDTH, console.width)

    def summary(self, report: Report, report_path: Path | str | None) -> None:
        for block in report.matrix:
            self._block(block)
        self._campaigns(report)
        for finding in report.findings[:FINDINGS_MAX]:
            self._finding(finding)
        left = len(report.findings) - FINDINGS_MAX
        if left > 0:
            self._line(f"{left:,} more findings are in the report.")
        if report.session.comparison is not None:
            self.comparison(report.session.comparison)
        self._flawed(report)
        self._readiness(report)
        self._facts(report)
        self._last(report, report_path)

    def _line(self, *parts: str | tuple[str, str], indent: int = 0, hang: int = 0) -> None:
        """Print foreign text, every part of it neutralised, wrapped; wrapped lines hang by so much more."""
        text = Text(" " * indent)
        for part in parts:
            shown, style = (part, "") if isinstance(part, str) else part
            text.append(visible(shown, 1000), "" if self._plain else style)
        wrapped = text.wrap(self._console, self._width - indent - hang, tab_size=1)
        for at, line in enumerate(wrapped):
            line.rstrip()
            if at:
                line.pad_left(indent + hang)
            self._console.print(line, soft_wrap=True, highlight=False)

    def _copyable(self, label: str, value: str) -> None:
        """Print one unwrapped line: paths and commands are there to be copied."""
        self._console.print(Text(label + visible(value, 2000)), soft_wrap=True, highlight=False)

    def _blank(self) -> None:
        self._console.print()

    def _block(self, block: MatrixBlock) -> None:
        self._line((f"{patch_name(block.patch).capitalize()}  {block.priority}", "bold"))
        side_by_side = max(1, len(block.invariants)) if self._plain else COLUMNS_MAX  # plain: one below the other
        for start in range(0, max(1, len(block.invariants)), side_by_side):
            columns = range(start, min(start + side_by_side, len(block.invariants)))
            heads = ["scenario", *(_head(*block.invariants[at], plain=self._plain) for at in columns)]
            rows = [
                [
                    Text.assemble(
                        visible(f"{row.scenario} {row.place} "),
                        (row.verdict.value, "" if self._plain else _STYLES[row.verdict]),
                    ),
                    *(self._cell(row.cells[at]) for at in columns),
                ]
                for row in block.rows
            ]
            self._table(heads, rows)
        self._blank()

    def _table(self, heads: Sequence[str], rows: Iterable[Sequence[Text]]) -> None:
        if self._plain:
            for row in rows:
                self._line(row[0].plain)
                for head, cell in zip(heads[1:], row[1:], strict=True):
                    self._line(f"{head}: {cell.plain}", indent=2)
            return
        table = Table(box=SIMPLE_HEAD, width=self._width, pad_edge=False, show_edge=False)
        rows = list(rows)
        longest = max((len(word) for row in rows for word in row[0].plain.split()), default=0)
        for at, head in enumerate(heads):
            if at == 0:  # a scenario's name stays in one piece where the terminal has room for it
                table.add_column(Text(head), width=min(max(longest, 20), self._width // 3), overflow="fold")
            else:
                table.add_column(Text(head), ratio=1, overflow="fold")
        for row in rows:
            table.add_row(*row)
        self._console.print(table)

    def _cell(self, cell: Cell | None) -> Text:
        if cell is None:
            return Text("-" if self._plain else "·")
        symbol, word, style = _CELLS[cell.outcome]
        share = f" {cell.count}/{cell.runs}" if cell.runs > 1 else ""
        return Text(f"{word}{share}") if self._plain else Text(f"{symbol} {word}{share}", style)

    def _campaigns(self, report: Report) -> None:
        """Print what many seeds came to; a gate's only where they did not all pass, as the matrix says the rest."""
        told = [one for one in report.scenarios if one.tally.runs > 1]
        if report.is_gate:
            told = [one for one in told if one.verdict is not Verdict.PASS]
        for scenario in told:
            self._line((f"{scenario.scenario} {scenario.place}", "bold"), f": {sentence_of(scenario.tally)}", hang=2)
            if not report.is_gate:
                for spread in chosen_spreads(scenario.tally)[:CHOSEN_MAX]:
                    self._line(f"{spread.name}: {spread_text(spread)}", indent=2, hang=2)
        if told:
            self._blank()

    def _finding(self, finding: FindingReport) -> None:
        standing = f" ({finding.standing})" if finding.standing else ""
        self._line((finding.verdict.value, _STYLES[finding.verdict]), "  ", (finding.title, "bold"), standing)
        seed = "" if finding.seed is None else f" · seed {finding.seed}"
        self._line(finding.where + seed, indent=2)
        self._line(finding.sentence, indent=2)
        if finding.observed:
            self._line(f"observed {finding.observed}, limit {finding.limit}", indent=2)
        if finding.count is not None:
            for label, text in (
                ("count", f"{finding.count:,}"),
                ("first", finding.first),
                ("worst", finding.worst),
                ("last", finding.last),
            ):
                self._line(f"{label:<6}{text}", indent=2)
        rows = chosen(finding.rows, ROWS_MAX)
        for row in rows:
            mark = ">" if row.offending else " "
            style = "red" if row.offending else ""
            self._line(
                (f"{mark}{row.time_s:9.3f} s  {row.actor}  {row.event}  {row.id}".rstrip(), style), indent=2, hang=14
            )
        left = len(finding.rows) + finding.rows_cut - len(rows)
        if left:
            self._line(f"{plural(left, 'more row')} in the report", indent=2)
        if finding.elsewhere:
            seeds = ", ".join(str(other.seed) for other in finding.elsewhere[:ELSEWHERE_MAX])
            more = " and more" if len(finding.elsewhere) > ELSEWHERE_MAX else ""
            self._line(f"in {len(finding.elsewhere) + 1} of {finding.runs} runs; other seeds {seeds}{more}", indent=2)
        if finding.replay:
            self._copyable("  replay: ", finding.replay)
        self._blank()

    def comparison(self, comparison: Comparison) -> None:
        """Print what came of a comparison: what is flagged, and what a reader must know besides."""
        self._line(headline_of(comparison))
        for row in rows_of(comparison):
            style = {"regression": "bold red", "improvement": "green"}.get(row.change)
            if style is not None:
                shift = f"{row.before} -> {row.after}, shift {row.shift} ({row.interval}; {row.seeds})"
                self._line((row.change, style), f"  {row.where} {row.measure}: {shift}", indent=2, hang=2)
        for note in notes_of(comparison)[:NOTES_MAX]:
            self._line(note, indent=2, hang=2)
        self._blank()

    def _flawed(self, report: Report) -> None:
        if not report.flawed:
            return
        caught = sum(flawed.caught for flawed in report.flawed)
        self._line((f"Flawed variants: {caught} of {len(report.flawed)} caught", "bold"))
        for flawed in report.flawed:
            word, style = ("caught", "green") if flawed.caught else ("UNNOTICED", "bold red")
            by = f" by {', '.join(flawed.by)}" if flawed.by else ""
            self._line(
                (word, style),
                f"{by} in {plural(flawed.seeds, 'seed')}  {flawed.variant} ({flawed.scenario})",
                indent=2,
            )
        self._blank()

    def _readiness(self, report: Report) -> None:
        rows = readiness_rows(report.session)
        if not rows:
            return
        heads = ["patch", "worlds", "runs", "invariants", "variants"]
        self._table(
            heads,
            [
                [
                    Text.assemble(
                        f"{row.patch} ",
                        (row.word, "" if self._plain else "green" if row.is_ready else "bold red"),
                    ),
                    *(Text(cell) for cell in (row.worlds, row.runs, row.invariants, row.variants)),
                ]
                for row in rows
            ],
        )
        for row in rows:
            for reason in row.reasons:
                self._line((f"patch {row.patch}", "bold"), f": {reason}", indent=2, hang=2)
        self._blank()

    def _facts(self, report: Report) -> None:
        identity = report.identity
        targets = ", ".join(f"{port}={target}" for port, target in identity.targets) or "none"
        self._line(f"target {targets}; harness {report.session.harness_version}")
        self._line(
            f"world {', '.join(identity.worlds) or 'none'}; {plural(len(identity.seeds), 'seed')}; "
            f"simulated {duration(identity.simulated_s)}; wall {duration(identity.wall_s)}"
        )
        for skipped in report.session.skipped:
            self._line(f"skipped: {skipped}")
        omitted = report.session.omitted
        for text in omitted[:_OMITTED_MAX]:
            self._line(f"not done, not required: {text}")
        if (more := len(omitted) - _OMITTED_MAX) > 0:
            self._line(f"nor further seeds of {plural(more, 'other scenario')}; the reports name them")
        counts = ", ".join(f"{count:,} {what}" for what, count in report.headline.counts if count)
        if counts:
            self._line(counts)

    def _last(self, report: Report, report_path: Path | str | None) -> None:
        headline = report.headline
        self._line((headline.word, _TONES[headline.tone]), f"  {headline.sentence}")
        if report_path is not None:
            self._copyable("report: ", str(report_path))
        replay = next((finding.replay for finding in report.findings if finding.replay), "")
        if replay:
            self._copyable("replay: ", replay)


def _head(identity: str, name: str, *, plain: bool) -> str:
    """Return the head of a column, broken at hyphens rather than within words."""
    if plain:
        return f"{identity} {name}"
    return "\n".join([visible(identity, 12), *textwrap.wrap(visible(name, 40), 12)])
