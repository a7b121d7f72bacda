"""SVG elements as escaped markup, and the scales that place values on them.

Geometry is in presentation attributes, looks are in classes: a content security policy without `unsafe-inline` lets
no `style` attribute pass, and the style sheet can then serve light, dark and print. Where a policy blocks the style
sheet as well, as Jenkins' does, a drawing keeps to the few colours that its elements bear themselves: any rule of the
style sheet overrides those.
"""

import math
from dataclasses import dataclass
from typing import Final

from markupsafe import Markup, escape

from reports.text import visible

Attribute = str | float | None

_COLOURS: Final = ("#12508f", "#a8380d", "#0b665f", "#74389b", "#6d5200", "#50565c")
_UNSTYLED: Final[dict[str, dict[str, str]]] = {
    "grid": {"stroke": "#ddd"},
    "axis": {"stroke": "#888"},
    "edge": {"stroke": "#8a5a2b"},
    "mark": {"stroke": "#333"},
    "limit": {"stroke": "#a51d16"},
    "area": {"stroke": "#aaa"},
    "cursor": {"stroke": "#333"},
    "thread": {"fill": "none", "stroke": "#888"},
    "dot": {"fill": "#eee", "stroke": "#333"},
}
_TICKS: Final = 4
_TENTHS: Final = 10
_TIME_TICKS_MAX: Final = 10
_TIME_STEPS: Final = (0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1800, 3600)


def element(tag: str, *children: Markup | str, **attributes: Attribute) -> Markup:
    """Return one element. Text children are made visible and escaped; attributes that are None are left out.

    A trailing underscore is dropped (`class_`), other underscores become hyphens (`text_anchor`).
    """
    parts = [f"<{tag}"]
    attributes = {**_unstyled(str(attributes.get("class_") or "")), **attributes}
    for name, value in attributes.items():
        if value is not None:
            shown = coordinate(value) if isinstance(value, (int, float)) else visible(value, 8000)
            parts.append(f' {name.rstrip("_").replace("_", "-")}="{escape(shown)}"')
    if not children:
        return Markup("".join([*parts, "/>"]))  # noqa: S704 - every part is escaped above
    inner = [str(child if isinstance(child, Markup) else escape(visible(child))) for child in children]
    return Markup("".join([*parts, ">", *inner, f"</{tag}>"]))  # noqa: S704 - every part is escaped above


def _unstyled(classes: str) -> dict[str, str]:
    """Return what keeps an element readable without the style sheet: lines are no areas, and each has its colour."""
    kind, *others = classes.split(" ")
    if kind == "line" and others:
        return {"fill": "none", "stroke": _COLOURS[int(others[-1][1:]) % len(_COLOURS)]}
    return _UNSTYLED.get(kind, {}) if "number" not in others else {}


def join(parts: list[Markup]) -> Markup:
    """Return the markup of several elements, one after the other."""
    return Markup("").join(parts)


def coordinate(value: float) -> str:
    """Return a coordinate in tenths of a pixel, as short as it goes."""
    tenths = round(value * _TENTHS)
    return str(tenths // _TENTHS) if tenths % _TENTHS == 0 else f"{tenths / _TENTHS:.1f}"


@dataclass(frozen=True, slots=True)
class Scale:
    """Maps values to pixels, linear or logarithmic; `ticks` are the values to label."""

    low: float
    high: float
    start: float
    end: float
    log: bool
    ticks: tuple[float, ...]

    def at(self, value: float) -> float:
        """Return the pixel of a value; a value below a logarithmic scale sits on its floor."""
        if self.log:
            share = math.log(max(value, self.low) / self.low) / math.log(self.high / self.low)
        else:
            share = (value - self.low) / (self.high - self.low)
        return self.start + min(1.0, max(0.0, share)) * (self.end - self.start)


def linear(high: float, start: float, end: float) -> Scale:
    """Return a scale from 0 to a round number at or above `high`."""
    step = _round_step(max(high, 1e-9) / _TICKS)
    count = max(1, math.ceil(high / step - 1e-9))
    return Scale(0.0, step * count, start, end, log=False, ticks=tuple(step * at for at in range(count + 1)))


def logarithmic(low: float, high: float, start: float, end: float) -> Scale:
    """Return a scale over whole decades that hold `low` and `high`, at most eight of them."""
    top = math.ceil(math.log10(max(high, 1e-6)) - 1e-9)
    bottom = max(min(math.floor(math.log10(max(low, 1e-6)) + 1e-9), top - 1), top - 8)
    ticks = tuple(10.0**power for power in range(bottom, top + 1))
    return Scale(10.0**bottom, 10.0**top, start, end, log=True, ticks=ticks)


def time_ticks(duration_s: float) -> tuple[float, ...]:
    """Return round instants along a run, at most ten."""
    longest = math.ceil(duration_s / _TIME_TICKS_MAX)
    step = next((step for step in _TIME_STEPS if duration_s / step <= _TIME_TICKS_MAX), longest)
    return tuple(step * at for at in range(int(duration_s / step) + 1))


def _round_step(rough: float) -> float:
    power = 10.0 ** math.floor(math.log10(rough))
    return next(factor * power for factor in (1, 2, 2.5, 5, 10) if factor * power >= rough * (1 - 1e-9))
