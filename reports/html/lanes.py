"""The lane diagram of a finding: one lane an actor, one mark a row of its timeline, in order and not to scale."""

from typing import Final

from markupsafe import Markup

from harness.verdict import Row
from reports.html.svg import element, join

_LANE: Final = 24
_LEFT: Final = 150
_STEP: Final = 32
_LANES_MAX: Final = 8


def lane_diagram(rows: tuple[Row, ...]) -> Markup:
    """Return the diagram, or nothing when there is no second row to relate to. Marks carry the row's number."""
    actors = list(dict.fromkeys(row.actor for row in rows))
    if len(rows) < 2 or len(actors) > _LANES_MAX:  # noqa: PLR2004 - one row alone relates to nothing
        return Markup("")
    width = _LEFT + _STEP * len(rows) + 8
    parts = []
    for at, actor in enumerate(actors):
        y = _LANE * at + _LANE / 2
        parts.append(element("path", d=f"M{_LEFT} {y:g}H{width}", class_="grid"))
        parts.append(element("text", actor[:20], x=_LEFT - 10, y=y + 4, text_anchor="end", class_="tick"))
    places = [
        (_LEFT + _STEP * at + _STEP / 2, _LANE * actors.index(row.actor) + _LANE / 2) for at, row in enumerate(rows)
    ]
    parts.append(element("path", d="M" + "L".join(f"{x:g} {y:g}" for x, y in places), class_="thread"))
    for at, (row, (x, y)) in enumerate(zip(rows, places, strict=True)):
        kind = "dot bad" if row.offending else "dot"
        if row.offending:
            parts.append(element("rect", x=x - 10, y=y - 9, width=20, height=18, class_=kind))
        else:
            parts.append(element("circle", cx=x, cy=y, r=9, class_=kind))
        parts.append(element("text", str(at + 1), x=x, y=y + 4, text_anchor="middle", class_=f"{kind} number"))
    title = "Who did what, in order; square marks are the offending rows of the table below"
    return element(
        "svg",
        element("title", title),
        join(parts),
        viewBox=f"0 0 {width} {_LANE * len(actors)}",
        width=width,
        height=_LANE * len(actors),
        role="img",
        font_size=12,
        class_="sequence",
    )
