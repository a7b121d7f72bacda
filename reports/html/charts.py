"""The charts of one run, stacked over one time axis.

Every chart has the same left and right edge, so that an instant is at the same x in all of them, and every fault band
runs through all of them. A series is told apart three ways: colour, dash pattern, and its name at its right end.
Values go along in `data-v`, run-length coded, for the hover script; without script there is the data table.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from markupsafe import Markup

from reports.html.data import coded, data_table
from reports.html.svg import Scale, coordinate, element, join, linear, logarithmic, time_ticks
from reports.text import number, plural, visible
from reports.timeline import Band, Chart, Limit, Series, Timeline, Values

WIDTH: Final = 1000
LEFT: Final = 86
RIGHT: Final = 816
PLOT_HEIGHT: Final = 132
TOP: Final = 18
AXIS: Final = 20
LANE: Final = 24
LANES_MAX: Final = 12
LABEL_GAP: Final = 14
LIMIT_REACH: Final = 4
"""A linear chart makes room for limits up to this many times its peak; a higher one would flatten what it shows."""
_CHARACTER: Final = 6.4
"""Width of a character of a label, in pixels: enough to know whether a label fits into its band."""


@dataclass(frozen=True, slots=True)
class Drawing:
    """One chart, ready for the page; `head` and `rows` are its data table."""

    title: str
    unit: str
    note: str
    svg: Markup
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def charts_in(timeline: Timeline) -> int:
    """Return how many drawings `drawings` gives."""
    return bool(timeline.bands or timeline.marks) + sum(bool(chart.series) for chart in timeline.charts)


def drawings(timeline: Timeline) -> list[Drawing]:
    """Return the fault lanes and all charts of a run."""
    x = _time_scale(timeline)
    lanes = [_lanes(timeline, x)] if timeline.bands or timeline.marks else []
    return lanes + [_chart(chart, timeline, x) for chart in timeline.charts if chart.series]


def _time_scale(timeline: Timeline) -> Scale:
    end = max(timeline.duration_s, 1e-6)
    return Scale(0.0, end, LEFT, RIGHT, log=False, ticks=time_ticks(end))


def _lanes(timeline: Timeline, x: Scale) -> Drawing:
    actors = sorted({mark.actor for mark in timeline.marks})[:LANES_MAX]
    bands = timeline.bands[:LANES_MAX]
    height = TOP + LANE * (len(bands) + len(actors)) + AXIS
    parts = [_axis(x, TOP, height - AXIS)]
    for at, band in enumerate(bands):
        y = TOP + LANE * at
        parts += [_lane_label(f"F{at + 1}", y), *_band(band, at, x, y + 3, LANE - 6), *_lane_text(band, x, y)]
    for at, actor in enumerate(actors, start=len(bands)):
        y = TOP + LANE * at
        parts.append(element("path", d=f"M{LEFT} {y + LANE / 2:g}H{RIGHT}", class_="grid"))
        parts.append(_lane_label(actor[:12], y))
        parts += _marks(timeline, actor, x, y)
    left_out = len(timeline.bands) - len(bands)
    return Drawing(
        title="Faults and hosts",
        unit="",
        note=f"{plural(left_out, 'more fault')} not drawn" if left_out else "",
        svg=_svg("Faults and hosts over time", height, parts),
        head=("what", "from", "to"),
        rows=tuple((band.label, f"{band.start_s:.3f} s", _end_of(band)) for band in bands)
        + tuple((f"{m.actor} {m.change}", f"{m.time_s:.3f} s", "") for m in timeline.marks[:40]),
    )


def _end_of(band: Band) -> str:
    return "never healed" if band.end_s is None else f"{band.end_s:.3f} s"


def _lane_label(text: str, y: float) -> Markup:
    return element("text", text, x=LEFT - 8, y=y + LANE / 2 + 4, text_anchor="end", class_="tick")


def _lane_text(band: Band, x: Scale, y: float) -> Iterable[Markup]:
    """The label of a band: behind it, or before it where there is no room behind."""
    until = "the end, never healed" if band.end_s is None else f"{band.end_s:.1f} s"
    text = f"{band.label}, {band.start_s:.1f} s to {until}"
    start, end = x.at(band.start_s), RIGHT if band.end_s is None else x.at(band.end_s)
    room = len(text) * _CHARACTER
    if end + 8 + room <= WIDTH:
        yield element("text", text, x=end + 8, y=y + LANE / 2 + 4, class_="label")
    elif start - 8 - room >= LEFT:
        yield element("text", text, x=start - 8, y=y + LANE / 2 + 4, text_anchor="end", class_="label")
    else:
        yield element("text", text, x=start + 6, y=y + LANE / 2 + 4, class_="label halo")


def _marks(timeline: Timeline, actor: str, x: Scale, y: float) -> Iterable[Markup]:
    free = float(LEFT)
    for mark in [mark for mark in timeline.marks if mark.actor == actor][:20]:
        at = x.at(mark.time_s)
        bad = mark.change in {"killed", "powered_off", "failed", "frozen"}
        yield element("path", d=f"M{coordinate(at)} {y + 4:g}v{LANE - 8}", class_="mark bad" if bad else "mark")
        room = len(mark.change) * _CHARACTER + 6
        if bad and at - room >= free:
            # An end is named before its mark, because the restart that follows it stands right behind.
            yield element("text", mark.change, x=at - 5, y=y + LANE / 2 + 4, text_anchor="end", class_="label halo")
            free = at + 4
        elif at >= free:
            yield element("text", mark.change, x=at + 4, y=y + LANE / 2 + 4, class_="label halo")
            free = at + 4 + room


def _chart(chart: Chart, timeline: Timeline, x: Scale) -> Drawing:
    bottom = TOP + PLOT_HEIGHT
    y = _value_scale(chart, bottom)
    parts = [_axis(x, TOP, bottom), *_value_axis(y)]
    for at, band in enumerate(timeline.bands[:LANES_MAX]):
        parts += _band(band, at, x, TOP, PLOT_HEIGHT)
        later = [other.start_s for other in timeline.bands[:LANES_MAX] if other.start_s > band.start_s]
        name = _band_name(band, at, x, min(later, default=None))
        parts.append(element("text", name, x=x.at(band.start_s) + 4, y=TOP - 5, class_="label"))
    centres = [x.at((at + 0.5) * timeline.bucket_s) for at in range(len(chart.series[0].high))]
    for at, series in enumerate(chart.series):
        parts += _line(series, at, centres, y)
    for limit in chart.limits:
        parts += _limit(limit, y, chart.log)
    parts += _names(chart.series, y)
    parts.append(element("path", d=f"M0 {TOP}V{bottom}", class_="cursor", visibility="hidden"))
    unit = f", {chart.unit}" if chart.unit else ""
    scale = ", logarithmic" if chart.log else ""
    head, rows = data_table(chart, timeline)
    return Drawing(
        title=chart.title,
        unit=chart.unit + scale,
        note=chart.note,
        svg=_svg(f"{chart.title}{unit}{scale}, over time. {chart.note}", bottom + AXIS, parts, timeline),
        head=head,
        rows=rows,
    )


def _limit(limit: Limit, y: Scale, log: bool) -> Iterable[Markup]:
    level = y.at(limit.value)
    text = f"{limit.label}: {number(limit.value)}"
    if limit.value > y.high and not log:
        text += ", above this chart"
    else:
        yield element("path", d=f"M{LEFT} {coordinate(level)}H{RIGHT}", class_="limit")
    # Below the line where there is no room above it: the names of the faults stand there.
    y_text = level - 4 if level > TOP + LABEL_GAP else level + LABEL_GAP
    yield element("text", text, x=RIGHT - 4, y=y_text, text_anchor="end", class_="label limit-text halo")


def _value_scale(chart: Chart, bottom: float) -> Scale:
    highs = [value for series in chart.series for value in series.high if value is not None]
    peak = max(highs, default=0.0)
    highs += [limit.value for limit in chart.limits if chart.log or limit.value <= peak * LIMIT_REACH]
    lows = [value for value in highs if value > 0]
    if chart.log and lows:
        return logarithmic(min(lows), max(lows), bottom, TOP)
    return linear(max(highs, default=0.0), bottom, TOP)


def _svg(title: str, height: float, parts: list[Markup], timeline: Timeline | None = None) -> Markup:
    return element(
        "svg",
        element("title", title),
        join(parts),
        viewBox=f"0 0 {WIDTH} {coordinate(height)}",
        role="img",
        font_size=12,
        class_="chart" if timeline else "lanes",
        data_end=None if timeline is None else f"{timeline.duration_s:g}",
        data_step=None if timeline is None else f"{timeline.bucket_s:g}",
    )


def _axis(x: Scale, top: float, bottom: float) -> Markup:
    lines = "".join(f"M{coordinate(x.at(tick))} {coordinate(top)}V{coordinate(bottom)}" for tick in x.ticks)
    parts = [element("path", d=lines, class_="grid")]
    labels = [
        element("text", f"{tick:g} s" if at == 0 else f"{tick:g}", x=x.at(tick), y=bottom + 14)
        for at, tick in enumerate(x.ticks)
    ]
    parts.append(element("g", *labels, text_anchor="middle", class_="tick"))
    parts.append(element("path", d=f"M{LEFT} {coordinate(bottom)}H{RIGHT}", class_="axis"))
    return join(parts)


def _value_axis(y: Scale) -> Iterable[Markup]:
    lines = "".join(f"M{LEFT} {coordinate(y.at(tick))}H{RIGHT}" for tick in y.ticks)
    yield element("path", d=lines, class_="grid")
    labels = [element("text", number(tick), x=LEFT - 8, y=y.at(tick) + 4) for tick in y.ticks]
    yield element("g", *labels, text_anchor="end", class_="tick")


def _band(band: Band, at: int, x: Scale, top: float, height: float) -> Iterable[Markup]:
    start = x.at(band.start_s)
    end = RIGHT if band.end_s is None else max(x.at(band.end_s), start + 1)
    pattern = "unhealed" if band.end_s is None else f"fault{at % 4}"
    yield element("rect", x=start, y=top, width=end - start, height=height, fill=f"url(#{pattern})", class_="band")
    edges = f"M{coordinate(start)} {coordinate(top)}v{coordinate(height)}"
    if band.end_s is not None:
        edges += f"M{coordinate(end)} {coordinate(top)}v{coordinate(height)}"
    yield element("path", d=edges, class_="edge")


def _band_name(band: Band, at: int, x: Scale, next_s: float | None) -> str:
    """The band's name as far as there is room for it: up to its end, or to where the next one begins."""
    end = RIGHT if band.end_s is None else x.at(band.end_s)
    width = (end if next_s is None else min(end, x.at(next_s))) - x.at(band.start_s)
    full = f"F{at + 1} {band.label}" + (" (never healed)" if band.end_s is None else "")
    return full if len(full) * _CHARACTER < width else f"F{at + 1}"


def _line(series: Series, at: int, centres: Sequence[float], y: Scale) -> Iterable[Markup]:
    if series.low is not None and series.low != series.high:
        yield element("path", d=_area(series.low, series.high, centres, y), class_=f"area s{at % 6}")
    yield element(
        "path",
        d=_path(series.high, centres, y),
        class_=f"line s{at % 6}",
        data_n=visible(series.name, 60),
        data_v=coded(series.high),
    )


def _path(values: Values, centres: Sequence[float], y: Scale) -> str:
    """Return a path in tenths, broken where nothing was measured; points on a straight run are left out."""
    parts: list[str] = []
    run: list[tuple[float, float]] = []
    for centre, value in zip([*centres, 0.0], [*values, None], strict=True):
        if value is not None:
            run.append((centre, y.at(value)))
        elif run:
            parts.append(_run(run))
            run = []
    return "".join(parts)


def _run(points: list[tuple[float, float]]) -> str:
    if len(points) == 1:
        return f"M{coordinate(points[0][0] - 1)} {coordinate(points[0][1])}h2"
    kept = [
        point
        for at, point in enumerate(points)
        if at in (0, len(points) - 1)
        or not (round(points[at - 1][1], 1) == round(point[1], 1) == round(points[at + 1][1], 1))
    ]
    first, *rest = kept
    return f"M{coordinate(first[0])} {coordinate(first[1])}L" + " ".join(
        f"{coordinate(px)} {coordinate(py)}" for px, py in rest
    )


def _area(low: Values, high: Values, centres: Sequence[float], y: Scale) -> str:
    known = [
        (centre, y.at(below), y.at(above))
        for centre, below, above in zip(centres, low, high, strict=True)
        if below is not None and above is not None and below != above
    ]
    return "".join(f"M{coordinate(cx)} {coordinate(bottom)}V{coordinate(top)}" for cx, bottom, top in known)


def _names(series: Sequence[Series], y: Scale) -> Iterable[Markup]:
    """The name of each series at its right end, pushed apart where they would overlap."""
    ends = []
    for at, one in enumerate(series):
        last = next((value for value in reversed(one.high) if value is not None), None)
        if last is not None:
            ends.append((y.at(last), at, f"{one.name[:20]} {number(float(f'{last:.4g}'))}"))
    ends.sort()
    limit = max(y.start, y.end)
    places: list[float] = []
    for level, _, _ in ends:
        places.append(max(level, places[-1] + LABEL_GAP) if places else level)
    over = max(0.0, places[-1] - limit) if places else 0.0
    for at in range(len(places) - 1, -1, -1):
        ceiling = limit if at == len(places) - 1 else places[at + 1] - LABEL_GAP
        places[at] = min(places[at], ceiling) if over else places[at]
    for place, (level, at, text) in zip(places, ends, strict=True):
        yield element(
            "path",
            d=f"M{RIGHT + 2} {coordinate(level)}L{RIGHT + 8} {coordinate(place)}h16",
            class_=f"line key s{at % 6}",
        )
        yield element("text", text, x=RIGHT + 28, y=place + 4, class_=f"name s{at % 6}")
