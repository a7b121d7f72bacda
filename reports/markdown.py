"""`summary.md`: the job summary of GitHub. Short enough to read in a pull request, safe with hostile names.

Foreign text becomes numeric character references wherever Markdown or HTML would give a character a meaning,
so a payload can neither end a table cell nor open a tag, a link, a code span or a mention.
"""

import re
from collections.abc import Iterable
from typing import Final

from harness.verdict import Outcome, Verdict, patch_name
from reports.baseline import headline_of, notes_of, rows_of
from reports.findings import FindingReport
from reports.matrix import Cell, MatrixBlock
from reports.model import Report
from reports.readiness import readiness_rows
from reports.tallies import CHOSEN_MAX, chosen_spreads, sentence_of, spread_text
from reports.text import duration, figure, plural, visible

FILE_NAME: Final = "summary.md"
FINDINGS_MAX: Final = 20
"""A reader stops long before GitHub's limit. The rest is counted and left to the HTML report."""
BYTES_MAX: Final = 1_000_000
"""GitHub refuses a step's summary of more than 1 MiB as a whole, and other steps may have written to it."""

_ACTIVE = re.compile(r"[&<>|`*_\[\](){}\\#@~$!:]|^[-+.=\d]|//")
_FENCE = re.compile(r"`{3,}")
_SYMBOLS: Final = {
    Outcome.HOLDS: "✓ holds",
    Outcome.VIOLATED: "✕ violated",
    Outcome.INCONCLUSIVE: "? inconclusive",
    Outcome.ERROR: "! error",
}
_VERDICT_SYMBOLS: Final = {
    Verdict.PASS: "✓",
    Verdict.FAIL: "✕",
    Verdict.INCONCLUSIVE: "?",
    Verdict.ERROR: "!",
}


def render(report: Report) -> str:
    """Return the Markdown text."""
    parts = [
        *_head(report),
        *_readiness(report),
        *_matrix(report),
        *_campaigns(report),
        *_findings(report),
        *_baseline(report),
        *_flawed(report),
        *_not_covered(report),
    ]
    return _cut("\n".join(parts).rstrip("\n").split("\n"))


def _cut(lines: list[str]) -> str:
    """Return as many lines as fit, and say how many did not; a code block that is open there is closed."""
    room = BYTES_MAX - 200
    fence = ""
    for at, line in enumerate(lines):
        room -= len(line.encode()) + 1
        if room < 0:
            note = f"This summary was cut: {plural(len(lines) - at, 'more line')} in the HTML report."
            return "\n".join([*lines[:at], *([fence] if fence else []), "", note]) + "\n"
        if found := _FENCE.match(line):
            fence = "" if fence == found.group() else fence or found.group()
    return "\n".join(lines) + "\n"


def _safe(value: object, limit: int = 300) -> str:
    """Return foreign text that Markdown and HTML take as text and nothing else."""
    text = visible(value, limit)
    return _ACTIVE.sub(lambda match: "".join(f"&#{ord(char)};" for char in match.group()), text)


def _code(command: str) -> list[str]:
    """Return a fenced block; the fence is longer than any run of backticks inside."""
    text = visible(command, 2000)
    longest = max((len(run) for run in re.findall("`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return [fence + "sh", text, fence, ""]


def _head(report: Report) -> Iterable[str]:
    headline, identity = report.headline, report.identity
    yield f"## {headline.word}"
    yield ""
    yield _safe(headline.sentence)
    yield ""
    facts = [plural(count, "run") if what == "runs" else f"{count:,} {what}" for what, count in headline.counts]
    yield " · ".join(facts) + "  "
    targets = ", ".join(f"{_safe(port)} = {_safe(target)}" for port, target in identity.targets) or "none"
    worlds = ", ".join(map(_safe, identity.worlds)) or "none"
    yield f"target {targets} · harness {_safe(report.session.harness_version)} · world {worlds}  "
    simulated, wall = duration(identity.simulated_s), duration(identity.wall_s)
    yield f"simulated {simulated} · wall {wall} · {plural(len(identity.seeds), 'seed')}"
    yield ""


def _matrix(report: Report) -> Iterable[str]:
    for block in report.matrix:
        yield from _block(block)


def _block(block: MatrixBlock) -> Iterable[str]:
    yield f"### {patch_name(block.patch).capitalize()} · {_safe(block.priority)}"
    yield ""
    heads = [f"{_safe(identity)}<br>{_safe(name)}" for identity, name in block.invariants]
    yield f"| {' | '.join(['scenario', 'world', 'verdict', *heads])} |"
    yield f"|{' --- |' * (3 + len(heads))}"
    for row in block.rows:
        verdict = f"{_VERDICT_SYMBOLS[row.verdict]} {row.verdict.value}"
        cells = [_safe(row.scenario), _safe(row.place), verdict, *(_cell(cell) for cell in row.cells)]
        yield f"| {' | '.join(cells)} |"
    yield ""


def _cell(cell: Cell | None) -> str:
    if cell is None:
        return "not checked"
    share = f" {cell.count:,} of {cell.runs:,}" if cell.runs > 1 else ""
    return _SYMBOLS[cell.outcome] + share


def _readiness(report: Report) -> Iterable[str]:
    rows = readiness_rows(report.session)
    if not rows:
        return
    yield "### Readiness"
    yield ""
    yield "| patch | | worlds | runs passed | invariants held | variants caught | why not |"
    yield f"|{' --- |' * 7}"
    for row in rows:
        word = f"{'✓' if row.is_ready else '✕'} {row.word}"
        cells = (row.patch, word, row.worlds, row.runs, row.invariants, row.variants, "; ".join(row.reasons))
        yield f"| {' | '.join(_safe(cell, 600) for cell in cells)} |"
    yield ""


def _campaigns(report: Report) -> Iterable[str]:
    told = [scenario for scenario in report.scenarios if scenario.tally.runs > 1]
    if not told:
        return
    yield "### Seeds"
    yield ""
    for scenario in told:
        yield f"- **{_safe(scenario.scenario)}** {_safe(scenario.place)}: {_safe(sentence_of(scenario.tally))}"
        if report.is_gate:
            continue
        for spread in chosen_spreads(scenario.tally)[:CHOSEN_MAX]:
            yield f"  - {_safe(spread.name)}: {_safe(spread_text(spread))}"
    yield ""


def _findings(report: Report) -> Iterable[str]:
    if not report.findings:
        return
    yield f"### {plural(len(report.findings), 'finding')}"
    yield ""
    for finding in report.findings[:FINDINGS_MAX]:
        yield from _finding(finding)
    left = len(report.findings) - FINDINGS_MAX
    if left > 0:
        yield f"{left:,} more findings are in the HTML report."
        yield ""


def _finding(finding: FindingReport) -> Iterable[str]:
    standing = f" ({finding.standing})" if finding.standing else ""
    yield f"#### {_VERDICT_SYMBOLS[finding.verdict]} {_safe(finding.title)}{standing}"
    yield ""
    seed = "" if finding.seed is None else f" · seed {finding.seed}"
    yield f"{_safe(finding.where)}{seed}"
    yield ""
    yield f"**{_safe(finding.sentence, 600)}**"
    yield ""
    if finding.observed:
        yield f"observed {_safe(finding.observed)} · limit {_safe(finding.limit)}"
        yield ""
    if finding.count is not None:
        yield f"- count: {figure(finding.count)}"
        for label, text in (("first", finding.first), ("worst", finding.worst), ("last", finding.last)):
            yield f"- {label}: {_safe(text)}"
        yield ""
    if finding.rows:
        yield "| | time | actor | event | id |"
        yield "| --- | ---: | --- | --- | --- |"
        for row in finding.rows:
            mark = "✕" if row.offending else ""
            yield f"| {mark} | {row.time_s:.3f} s | {_safe(row.actor)} | {_safe(row.event)} | {_safe(row.id)} |"
        yield ""
    if finding.elsewhere:
        seeds = ", ".join(str(other.seed) for other in finding.elsewhere[:FINDINGS_MAX])
        yield f"In {len(finding.elsewhere) + 1:,} of {plural(finding.runs, 'run')}; other seeds: {seeds}" + (
            " and more" if len(finding.elsewhere) > FINDINGS_MAX else ""
        )
        yield ""
    if finding.replay:
        yield from _code(finding.replay)


def _baseline(report: Report) -> Iterable[str]:
    comparison = report.session.comparison
    if comparison is None:
        return
    yield "### Baseline"
    yield ""
    yield _safe(headline_of(comparison), 600)
    yield ""
    flagged = [row for row in rows_of(comparison) if row.change in ("regression", "improvement")]
    if flagged:
        yield "| scenario | measure | before | after | shift | interval | seeds | |"
        yield f"|{' --- |' * 8}"
        for row in flagged[:FINDINGS_MAX]:
            cells = (row.where, row.measure, row.before, row.after, row.shift, row.interval, row.seeds, row.change)
            yield f"| {' | '.join(_safe(cell) for cell in cells)} |"
        yield ""
    for note in notes_of(comparison)[:FINDINGS_MAX]:
        yield f"- {_safe(note, 600)}"
    yield ""


def _flawed(report: Report) -> Iterable[str]:
    if not report.flawed:
        return
    caught = sum(flawed.caught for flawed in report.flawed)
    yield f"### Did the test bite? {caught} of {plural(len(report.flawed), 'flawed variant')} caught"
    yield ""
    yield "| variant | scenario | caught | by | seeds |"
    yield "| --- | --- | --- | --- | ---: |"
    for flawed in report.flawed:
        word = "✓ caught" if flawed.caught else "✕ unnoticed"
        by = _safe(", ".join(flawed.by)) or "nothing"
        yield f"| {_safe(flawed.variant)} | {_safe(flawed.scenario)} | {word} | {by} | {flawed.seeds:,} |"
    yield ""


def _not_covered(report: Report) -> Iterable[str]:
    yield "### Not covered"
    yield ""
    for text in (*report.session.skipped, *report.not_covered):
        yield f"- {_safe(text, 600)}"
