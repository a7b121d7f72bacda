"""Which charts a page has room for: all of a run that did not pass, then one more of each run that did, in turns."""

from collections.abc import Sequence
from typing import Final

from markupsafe import Markup

from harness.verdict import Verdict
from reports.model import ScenarioReport

SCENARIO_MAX: Final = 60_000
"""Bytes of the block of one scenario."""
_TEXT: Final = 12_000
"""Bytes of that which its text and its metrics may take."""


def allotted(
    scenarios: Sequence[ScenarioReport], figures: dict[str, list[Markup]], room: int
) -> dict[str, list[Markup]]:
    """Return the charts that fit into `room` bytes, by the anchor of their scenario.

    In turns, so that each run has its fault lanes before any has its last chart.
    """
    given: dict[str, list[Markup]] = {one.anchor: [] for one in scenarios}
    used = dict.fromkeys(given, 0)
    failed = [one.anchor for one in scenarios if one.verdict is not Verdict.PASS]
    passed = [one.anchor for one in scenarios if one.verdict is Verdict.PASS]
    most = max(map(len, figures.values()), default=0)
    turns = [(anchor, rank) for group in (failed, passed) for rank in range(most) for anchor in group]
    for anchor, rank in turns:
        figure = "" if rank >= len(figures.get(anchor, ())) else figures[anchor][rank]
        size = len(figure.encode())
        # A chart is not drawn where one before it had no room: what is left out is the end, and the note says so.
        fits = size <= room and used[anchor] + size <= SCENARIO_MAX - _TEXT and len(given[anchor]) == rank
        if figure and fits:
            given[anchor].append(Markup(figure))  # noqa: S704 - it is markup already
            used[anchor] += size
            room -= size
    return given
