"""`report.html`: one self-contained file that opens anywhere, also where a strict policy forbids scripts.

All foreign text passes two gates: the environment's `finalize` makes it visible (no control or bidi character), and
autoescape keeps it text. The policy in the page allows one style sheet and one script, each by its hash, and nothing
else: no request can leave the page. When a page would grow past `PAGE_MAX` bytes, charts are left out first and late
findings last, and the page says how many.
"""

import base64
import functools
import hashlib
import math
from collections.abc import Iterable
from importlib import resources
from typing import Final

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup, escape

from harness.verdict import FaultResult, Verdict, patch_name
from reports import text
from reports.baseline import headline_of, notes_of, rows_of
from reports.findings import FindingReport
from reports.html.allotment import allotted
from reports.html.charts import LEFT, RIGHT, WIDTH, charts_in, drawings
from reports.html.lanes import lane_diagram
from reports.html.metrics import metrics
from reports.matrix import shown_of
from reports.model import ExcerptOf, Report, ScenarioReport
from reports.readiness import readiness_rows
from reports.tallies import sentence_of

FILE_NAME: Final = "report.html"
PAGE_MAX: Final = 1_000_000
"""Bytes of a page."""
TEXT_SHARE: Final = 0.7
"""How much of a page text and tables may take; what remains is for charts."""
FINDINGS_TOLD_MAX: Final = 40
EXCERPTS_MAX: Final = 12
ELSEWHERE_MAX: Final = 10
ROWS_MAX: Final = 150
"""Rows of one table over all scenarios."""
SEEDS_NAMED_MAX: Final = 12
FIGURES_MAX: Final = 400
"""Scenarios whose charts are drawn at all: a page of a megabyte has no room for more."""
TARGETS_MAX: Final = 12
"""All ten ports of this project, and two of yours; more are counted."""
CELLS_MAX: Final = 4000
"""Cells of the matrix; rows that did not pass are shown first where there are more."""
SCENARIOS_MAX: Final = 200
FLAWED_MAX: Final = 600
SKIPPED_MAX: Final = 200

_SHARES: Final = (1.0, 0.5, 0.25, 0.1, 0.02)
"""How much of the text a page gets, tried in this order until it fits."""

_SYMBOLS: Final = {
    "PASS": "✓", "FAIL": "✕", "INCONCLUSIVE": "?", "ERROR": "!", "HOLDS": "✓", "VIOLATED": "✕"
}  # fmt: skip
_WORDS: Final = {name: name.lower() for name in _SYMBOLS}
_TONE_SYMBOLS: Final = {"good": "✓", "bad": "✕", "unsure": "?"}


def render(report: Report) -> str:
    """Return the whole page: as much of it as fits into `PAGE_MAX`, what was left out counted where it is missing."""
    figures = {one.anchor: _figures(one) for one in report.scenarios[:FIGURES_MAX]}
    bare = ""
    for share in _SHARES:
        bare = _page(report, share, {})
        room = PAGE_MAX - len(bare.encode()) - 1
        if room > PAGE_MAX * (1 - TEXT_SHARE):
            return _page(report, share, allotted(report.scenarios, figures, room))
    return bare


def _page(report: Report, share: float, figures: dict[str, list[Markup]]) -> str:
    """Return the page with that share of the findings, excerpts and table rows, and these charts of each scenario."""
    css = _source("page.css").replace("\n", "")
    script = f"const LAYOUT={{width:{WIDTH},left:{LEFT},right:{RIGHT}}};\n" + _source("hover.js")
    told = report.findings[: max(1, int(FINDINGS_TOLD_MAX * share))]
    rows = max(1, int(ROWS_MAX * share))
    matrix, rows_cut = shown_of(report.matrix, int(CELLS_MAX * share))
    drawn = sorted(report.scenarios, key=lambda one: one.verdict is Verdict.PASS)[: max(1, int(SCENARIOS_MAX * share))]
    flawed = sorted(report.flawed, key=lambda one: one.caught)[: max(1, int(FLAWED_MAX * share))]
    skipped = report.session.skipped[: max(1, int(SKIPPED_MAX * share))]
    comparison = report.session.comparison
    deltas = () if comparison is None else rows_of(comparison)
    tables: dict[str, list[tuple[str, object]]] = {
        "recoveries": [(_where(one), row) for one in report.scenarios for row in one.recovery],
        "bites": [
            (_where(one), (fault, _inside(one, fault))) for one in report.scenarios for fault in one.drawn.faults
        ],
        "deltas": [("", row) for row in deltas],
        "needs": [(_where(one), need) for one in report.scenarios for need in one.drawn.needs],
    }
    html = _environment().get_template("page.html.j2").render(
        report=report,
        css=Markup(css),  # noqa: S704 - our own file
        script=Markup(script),  # noqa: S704 - our own file
        csp=_policy(css, script),
        facts=list(_facts(report)),
        sections=_SECTIONS,
        cell_links={finding.cell: finding.anchor for finding in reversed(told)},
        told=told,
        untold=len(report.findings) - len(told),
        reduced=_reduced(report),
        elsewhere_max=ELSEWHERE_MAX,
        matrix=matrix,
        on_page={one.anchor for one in drawn},
        scenarios=[_scenario(one, figures.get(one.anchor, [])) for one in drawn],
        flawed=flawed,
        skipped=skipped,
        excerpts=list(_excerpts(report, told))[: max(1, int(EXCERPTS_MAX * share))],
        readiness=readiness_rows(report.session),
        compared="" if comparison is None else headline_of(comparison),
        notes=[] if comparison is None else notes_of(comparison)[:rows],
        cut={
            **{name: max(0, len(table) - rows) for name, table in tables.items()},
            "matrix": rows_cut,
            "scenarios": len(report.scenarios) - len(drawn),
            "flawed": len(report.flawed) - len(flawed),
            "skipped": len(report.session.skipped) - len(skipped),
            "notes": 0 if comparison is None else max(0, len(notes_of(comparison)) - rows),
        },
        **{name: table[:rows] for name, table in tables.items()},
    )  # fmt: skip
    return f"{html}\n"


def _excerpts(report: Report, told: tuple[FindingReport, ...]) -> Iterable[ExcerptOf]:
    """Excerpts of the findings on the page, in their order."""
    by_anchor = {one.anchor: one for scenario in report.scenarios for one in scenario.excerpts}
    return (by_anchor[finding.anchor] for finding in told if finding.anchor in by_anchor)


_SECTIONS: Final = (
    ("matrix", "Matrix"),
    ("content", "Findings"),
    ("charts", "Charts"),
    ("recovery", "Recovery"),
    ("baseline", "Baseline"),
    ("bite", "Did the test bite?"),
    ("not-covered", "Not covered"),
    ("events", "Events"),
)


@functools.cache
def _source(name: str) -> str:
    return resources.files("reports.html").joinpath(name).read_text(encoding="utf-8")


@functools.cache
def _environment() -> Environment:
    from jinja2 import FunctionLoader  # noqa: PLC0415 - stands beside the only use

    environment = Environment(
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_finalize,
        trim_blocks=True,
        loader=FunctionLoader(_source),
    )
    environment.filters |= {"duration": text.duration, "figure": text.figure, "whole": _whole}
    environment.globals |= {
        "symbols": _SYMBOLS, "words": _WORDS, "tone_symbols": _TONE_SYMBOLS, "lane_diagram": lane_diagram,
        "patch_name": patch_name,
    }  # fmt: skip
    return environment


def _finalize(value: object) -> object:
    """Make every expression of a template visible text, unless it is markup already."""
    return value if isinstance(value, Markup) else text.visible(value)


def _whole(value: str) -> Markup:
    """Return a command at more than the usual length: it is there to be copied."""
    return escape(text.visible(value, 2000))


def _policy(css: str, script: str) -> str:
    def digest(source: str) -> str:
        return "'sha256-" + base64.b64encode(hashlib.sha256(source.encode()).digest()).decode() + "'"

    return (
        f"default-src 'none'; style-src {digest(css)}; script-src {digest(script)}; base-uri 'none'; form-action 'none'"
    )


def _where(scenario: ScenarioReport) -> str:
    return f"{scenario.scenario} · {scenario.place}"


def _facts(report: Report) -> Iterable[tuple[str, str]]:
    identity = report.identity
    environment = dict(identity.environment)
    shown = [f"{port} = {target}" for port, target in identity.targets[:TARGETS_MAX]]
    left = len(identity.targets) - len(shown)
    yield "target", ", ".join([*shown, *([f"and {left} more"] if left > 0 else [])]) or "none"
    yield "target commit", environment.pop("commit", text.NOT_MEASURED)
    yield "harness", report.session.harness_version
    yield "worlds", ", ".join(identity.worlds) or "none"
    yield "seeds", _ranges(identity.seeds) or "none"
    yield "profile", ", ".join(identity.profiles) or "none"
    yield "simulated time", text.duration(identity.simulated_s)
    yield "wall time of the runs", text.duration(identity.wall_s)
    yield "config hash", environment.pop("config_hash", text.NOT_MEASURED)
    yield "baseline", "none" if report.session.comparison is None else report.session.comparison.baseline
    yield from list(environment.items())[:12]


def _ranges(seeds: Iterable[int]) -> str:
    """Return seeds as ranges: `0 to 48, 50`; after a dozen of them, how many there are."""
    ranges: list[list[int]] = []
    ordered = sorted(set(seeds))
    for seed in ordered:
        if ranges and ranges[-1][1] == seed - 1:
            ranges[-1][1] = seed
        else:
            ranges.append([seed, seed])
    shown = ", ".join(str(low) if low == high else f"{low} to {high}" for low, high in ranges[:SEEDS_NAMED_MAX])
    return shown if len(ranges) <= SEEDS_NAMED_MAX else f"{shown} and more, {len(ordered):,} in all"


def _reduced(report: Report) -> dict[str, str]:
    events = {one.anchor: one.timeline.events for one in report.scenarios if one.timeline is not None}
    return {
        finding.anchor: f"{events[finding.scenario_anchor]:,} events in the history, {len(finding.rows)} told here."
        for finding in report.findings
        if finding.scenario_anchor in events
    }


def _inside(scenario: ScenarioReport, fault: FaultResult) -> str:
    """Return which operations were attempted while a fault held, and how many of each."""
    label = " ".join(part for part in (fault.name, fault.mode) if part)
    counts = [
        f"{row.attempted:,} {row.operation}"
        for row in scenario.recovery
        if row.fault == label and math.isclose(row.start_s, fault.start_s, abs_tol=1e-6) and row.attempted
    ]
    return ", ".join(counts) or ("none" if scenario.timeline else text.NOT_MEASURED)


def _scenario(scenario: ScenarioReport, figures: list[Markup]) -> Markup:
    all_of_them = 0 if scenario.timeline is None else charts_in(scenario.timeline)
    missing = all_of_them - len(figures)
    html = _environment().get_template("scenario.html.j2").render(
        scenario=scenario,
        figures=figures,
        left_out=f" {text.plural(missing, 'chart')} left out for the size of this page." if missing else "",
        others=_others(scenario),
        **metrics(scenario),
        tally=sentence_of(scenario.tally),
    )  # fmt: skip
    return Markup(html)  # noqa: S704 - rendered with autoescape


def _figures(scenario: ScenarioReport) -> list[Markup]:
    """Return the charts of a scenario, each as it stands on the page."""
    template = _environment().get_template("figure.html.j2")
    drawn = () if scenario.timeline is None else drawings(scenario.timeline)
    return [Markup(template.render(drawing=one, scenario=scenario)) for one in drawn]  # noqa: S704 - autoescaped


def _others(scenario: ScenarioReport) -> str:
    by_verdict: dict[str, list[int]] = {}
    for run in scenario.runs:
        if run is not scenario.drawn:
            by_verdict.setdefault(run.verdict.value, []).append(run.seed)
    return "; ".join(
        f"{len(seeds):,} {_WORDS[verdict]} (seeds {_ranges(seeds)})" for verdict, seeds in sorted(by_verdict.items())
    )
