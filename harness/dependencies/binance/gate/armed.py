"""Which armed fault hits a request, and what each did; kinds and options are those of arms.py.

Dice are thrown only for arms with a share below 1, one throw a request that matches, in the order of arming; so a run
draws the same whatever else is armed. Of one kind, the first that hits wins.
"""

import difflib
import re
from collections.abc import Mapping
from fnmatch import translate
from typing import Any, Final, Protocol

from harness.dependencies.binance.arms import KINDS, Arm, Kind
from harness.dependencies.binance.gate.errors import ERRORS
from harness.errors import WorldError

CONNECTION: Final[tuple[Kind, ...]] = ("reset_before", "silent_before", "firewall")
"""Before anything was looked at."""
TROUBLE: Final[tuple[Kind, ...]] = (
    "unknown_error",
    "service_unavailable",
    "throttled",
    "internal_error",
    "bus_unknown",
    "backend_timeout",
    "reject",
)
"""After authentication; some of them although the request took effect."""
ON_EXCHANGE: Final[tuple[Kind, ...]] = (
    "ban",
    "tenant",
    "limits",
    "thin_book",
    "price_fall",
    "stream_disconnect",
    "listen_key_expiry",
)
"""These act on the exchange as a whole, and hit no single request."""

_SHARES: Final = 1 << 20
_POSITIVE: Final = (0, float("inf"))


class Dice(Protocol):
    """Where choices come from; `harness.tape.Stream` is one."""

    def below(self, limit: int, /) -> int:
        """Draw an integer in `[0, limit)`."""


class Option:
    """One option: its default (None: there is none, and it may be left out), and what it may be, bounds included."""

    __slots__ = ("bounds", "default", "required", "whole")

    def __init__(
        self,
        default: float | None,
        bounds: tuple[float, float] = _POSITIVE,
        *,
        whole: bool = True,
        required: bool = False,
    ) -> None:
        self.default = default
        self.bounds = bounds
        self.whole = whole
        self.required = required

    def check(self, name: str, value: Any) -> None:
        """Raise `WorldError` for a value that it cannot be."""
        kinds = (int,) if self.whole else (int, float)
        if isinstance(value, bool) or not isinstance(value, kinds):
            raise WorldError(f"{name} is {'an integer' if self.whole else 'a number'}, not {value!r}")
        low, high = self.bounds
        if not low <= value <= high:
            raise WorldError(f"{name} is {low:g} to {high:g}, not {value!r}")


_EXECUTED: Final = {"executed": Option(0.5, (0, 1), whole=False), "after_ms": Option(0)}
_NONE: Final[Mapping[str, Option]] = {}

OPTIONS: Final[Mapping[Kind, Mapping[str, Option]]] = {
    "too_many_requests": {"retry_after_ms": Option(None)},
    "ban": {"ms": Option(120_000, (1, float("inf")))},
    "too_many_orders": {"status": Option(429, (400, 429)), "retry_after_ms": Option(None)},
    "unknown_error": _EXECUTED,
    "service_unavailable": _NONE,
    "throttled": _NONE,
    "internal_error": _NONE,
    "bus_unknown": _EXECUTED,
    "backend_timeout": _EXECUTED,
    "outside_recv_window": _NONE,
    "firewall": _NONE,
    "reject": {"code": Option(None, (-9_999, -1), required=True)},
    "silent_before": _NONE,
    "silent_after": _NONE,
    "reset_before": _NONE,
    "reset_after": _NONE,
    "latency": {"ms": Option(2_000), "jitter_ms": Option(0)},
    "tenant": {"weight_per_s": Option(None, whole=False, required=True), "orders_per_s": Option(0, whole=False)},
    "limits": {"factor": Option(0.5, (0.001, 1_000), whole=False)},
    "no_headers": _NONE,
    "thin_book": {"factor": Option(0.05, (0, 1), whole=False), "refill_ms": Option(5_000)},
    "price_move": {"bps": Option(80, (0, 9_999))},
    "price_fall": {"bps": Option(2_000, (1, 9_999)), "over_ms": Option(3_000, (1, float("inf")))},
    "stream_disconnect": {"every_ms": Option(1_000, (1, float("inf")))},
    "listen_key_expiry": {"ms": Option(1_000, (1, float("inf")))},
}


def checked(arm: Arm) -> dict[str, Any]:
    """Return the arm's options with their defaults. Raises `WorldError` for what it does not take."""
    if arm.kind not in KINDS:
        raise WorldError(_unknown("kind of fault", arm.kind, KINDS))
    if not 0 < arm.share <= 1:
        raise WorldError(f"share of {arm.kind} is above 0 and at most 1, not {arm.share!r}")
    if arm.count < 0:
        raise WorldError(f"count of {arm.kind} is 0 (no end) or more, not {arm.count!r}")
    if arm.kind in ON_EXCHANGE and (arm.methods or arm.paths or arm.share < 1 or arm.count):
        raise WorldError(f"{arm.kind} acts on the exchange as a whole: it takes no share, count, methods or paths")
    known = OPTIONS[arm.kind]
    for name, value in arm.options.items():
        if name not in known:
            raise WorldError(_unknown(f"option of {arm.kind}", name, known))
        known[name].check(f"{name} of {arm.kind}", value)
    if missing := [name for name, option in known.items() if option.required and name not in arm.options]:
        raise WorldError(f"{arm.kind} needs {missing[0]}")
    options = {name: option.default for name, option in known.items() if option.default is not None}
    options |= arm.options
    _check_together(arm.kind, options)
    return options


def _check_together(kind: Kind, options: Mapping[str, Any]) -> None:
    """Check what a bound on a single option cannot say."""
    if kind == "reject" and options["code"] not in ERRORS:
        raise WorldError(f"code of reject is none that the exchange knows: {options['code']}")
    if kind == "latency" and options["jitter_ms"] > options["ms"]:
        raise WorldError("jitter_ms of latency is at most its ms: answers cannot come before requests")
    if kind == "too_many_orders" and options["status"] not in (400, 429):
        raise WorldError(f"status of too_many_orders is 400 or 429, not {options['status']}")


def _unknown(what: str, name: str, known: Any) -> str:
    near = difflib.get_close_matches(name, list(known), n=1, cutoff=0.5)
    hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(known) or 'none'}"
    return f"unknown {what} {name!r}; {hint}"


class Live:
    """One arm in force, and its effects so far. `extra` are further fields of its `exchange_fault` observation.

    `whole` is False while an arm that takes its time (`price_fall`) has not come to its full effect.
    """

    __slots__ = ("_paths", "arm", "executed", "extra", "hits", "name", "options", "whole")

    def __init__(self, name: str, arm: Arm) -> None:
        self.name = name
        self.arm = arm
        self.options = checked(arm)
        self.hits = 0
        self.executed = 0
        self.whole = arm.kind != "price_fall"
        self.extra: dict[str, int] = {}
        self._paths = re.compile("|".join(map(translate, arm.paths))) if arm.paths else None

    def matches(self, method: str, path: str, symbol: str) -> bool:
        """Whether it is for such requests, and has hits left."""
        arm = self.arm
        return (
            not (arm.count and self.hits >= arm.count)
            and (not arm.methods or method in arm.methods)
            and (self._paths is None or self._paths.match(path) is not None)
            and (not arm.symbols or symbol in arm.symbols)
        )

    def add(self, what: str, amount: int = 1) -> None:
        """Count an effect that is no hit of a request."""
        self.extra[what] = self.extra.get(what, 0) + amount

    def as_fields(self) -> dict[str, Any]:
        """Return the fields of the `exchange_fault` observation."""
        counts = {"hits": self.hits, "executed": self.executed, **self.extra}
        return {"fault": self.arm.kind, "arm": self.name, **{name: count for name, count in counts.items() if count}}


class Armed:
    """All arms in force, by kind."""

    __slots__ = ("_dice", "_made", "by_kind", "by_name")

    def __init__(self, dice: Dice) -> None:
        self._dice = dice
        self._made = 0
        self.by_name: dict[str, Live] = {}
        self.by_kind: dict[Kind, list[Live]] = {}

    def arm(self, arm: Arm) -> Live:
        """Put it in force under a new name. Raises `WorldError` as `checked`."""
        live = Live(f"{arm.kind}#{self._made + 1}", arm)
        self._made += 1
        self.by_name[live.name] = live
        self.by_kind.setdefault(arm.kind, []).append(live)
        return live

    def disarm(self, name: str) -> Live:
        """Take it out of force. Raises `WorldError` if there is none of that name."""
        live = self.by_name.pop(name, None)
        if live is None:
            raise WorldError(_unknown("armed fault", name, self.by_name))
        of_kind = self.by_kind[live.arm.kind]
        of_kind.remove(live)
        if not of_kind:
            del self.by_kind[live.arm.kind]
        return live

    def hit(self, kind: Kind, method: str, path: str, symbol: str) -> Live | None:
        """Return the arm of that kind that hits such a request, counted as a hit; None if none does."""
        for live in self.by_kind.get(kind, ()):
            if live.matches(method, path, symbol) and self.happens(live.arm.share):
                live.hits += 1
                return live
        return None

    def happens(self, share: float) -> bool:
        """Throw dice for a chance of `share`; a throw of 0, the simplest, is no fault. Certain outcomes throw none."""
        if share >= 1:
            return True
        return share > 0 and self._dice.below(_SHARES) >= _SHARES - round(share * _SHARES)

    def around(self, middle: int, spread: int) -> int:
        """Draw an integer within `spread` of `middle`."""
        return middle - spread + self._dice.below(2 * spread + 1) if spread else middle
