"""The values behind a chart: its data table, and the coding that the hover script reads."""

from typing import Final

from reports.text import NOT_MEASURED, number
from reports.timeline import Chart, Timeline, Values

TABLE_ROWS_MAX: Final = 16
STRETCH_MIN: Final = 8
"""Buckets in one row at least: a chart of few buckets is one of many, and its table a small one."""


def coded(values: Values) -> str:
    """Return the values in four significant digits, equal neighbours as `value*count`."""
    parts: list[list[str | int]] = []
    for value in values:
        shown = "" if value is None else f"{value:.4g}"
        if parts and parts[-1][0] == shown:
            parts[-1][1] = int(parts[-1][1]) + 1
        else:
            parts.append([shown, 1])
    return ",".join(f"{shown}*{count}" if int(count) > 1 else str(shown) for shown, count in parts)


def data_table(chart: Chart, timeline: Timeline) -> tuple[tuple[str, ...], tuple[tuple[str, ...], ...]]:
    """Return the data table: the least and greatest bucket of each stretch; nothing is averaged."""
    buckets = len(chart.series[0].high)
    stretch = max(-(-buckets // TABLE_ROWS_MAX), STRETCH_MIN)
    rows = []
    for start in range(0, buckets, stretch):
        cells = [f"{start * timeline.bucket_s:g} s"]
        for series in chart.series:
            highs = [value for value in series.high[start : start + stretch] if value is not None]
            lows = [value for value in (series.low or series.high)[start : start + stretch] if value is not None]
            cells.append(_spread(lows, highs))
        rows.append(tuple(cells))
    return ("from", *(series.name for series in chart.series)), tuple(rows)


def _spread(lows: list[float], highs: list[float]) -> str:
    if not highs:
        return NOT_MEASURED
    low, high = number(float(f"{min(lows):.4g}")), number(float(f"{max(highs):.4g}"))
    return low if low == high else f"{low} to {high}"
