"""Armed faults that act on the exchange as a whole: what begins when they are armed, and ends when they are not.

Where several of a kind are armed, their effects add up, and when one ends, what the others still want remains.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from typing import Any, Final

from harness.dependencies.binance.arms import Kind
from harness.dependencies.binance.core import Record
from harness.dependencies.binance.gate.admission import Admission
from harness.dependencies.binance.gate.armed import Armed, Live
from harness.dependencies.binance.gate.quotas import Quotas
from harness.dependencies.binance.parts import Venue
from harness.dependencies.binance.settings import Market, Settings
from harness.dependencies.binance.streams import VALID_MS, StreamOut, UserStreams

_FALL_STEP_MS: Final = 100
_BPS: Final = 10_000
_STREAM_KINDS: Final[tuple[Kind, ...]] = ("stream_disconnect", "listen_key_expiry")


class CountingOut:
    """Counts the sessions that the exchange closes, on their way to `out`."""

    __slots__ = ("_out", "closes")

    def __init__(self, out: StreamOut) -> None:
        self._out = out
        self.closes = 0

    def send(self, key: str, text: str) -> None:
        """Send one text message to the session `key`."""
        self._out.send(key, text)

    def close(self, key: str, code: int) -> None:
        """Close the session `key` with that WebSocket code."""
        self.closes += 1
        self._out.close(key, code)


@dataclass(slots=True)
class _Held:
    """When a fault began, when it acts next, and how many streams had been closed before."""

    since_ms: int
    next_ms: int | None
    closes: int


class Conditions:
    """The conditions of one exchange: `begin` and `end` an armed fault, `advance` what goes on meanwhile."""

    def __init__(
        self,
        settings: Settings,
        record: Record,
        *,
        quotas: Quotas,
        armed: Armed,
        admission: Admission,
        venues: Mapping[Market, Venue],
        streams: UserStreams,
        out: CountingOut,
    ) -> None:
        self._settings = settings
        self._quotas = quotas
        self._armed = armed
        self._admission = admission
        self._venues = venues
        self._streams = streams
        self._out = out
        self._record = record
        self._held: dict[str, _Held] = {}

    def begin(self, live: Live, now_ns: int, wall_ms: int) -> None:
        """Let a fault that was armed take hold."""
        held = self._held[live.name] = _Held(wall_ms, wall_ms, self._out.closes)
        kind = live.arm.kind
        if kind == "ban":
            self._ban(wall_ms, now_ns)
        elif kind == "tenant":
            self._share(wall_ms)
        elif kind == "limits":
            self._scale(wall_ms)
        elif kind == "thin_book":
            self._thin(live, wall_ms)
        elif kind == "price_fall":
            self._fall(live, held, wall_ms)
        elif kind == "listen_key_expiry":
            self._set_lifetime()
            self._streams.expire(wall_ms)
        elif kind == "stream_disconnect":
            self._disconnect(live, held, wall_ms)

    def end(self, live: Live, now_ns: int, wall_ms: int) -> None:
        """Let it go, and put down what it did."""
        held = self._held.pop(live.name)
        kind = live.arm.kind
        if kind == "ban":
            self._ban(wall_ms, now_ns)
        elif kind == "tenant":
            for what in ("weight", "orders"):
                live.add(what, int(live.options[f"{what}_per_s"] * (wall_ms - held.since_ms) / 1_000))
            self._share(wall_ms)
        elif kind == "limits":
            self._scale(wall_ms)
        elif kind in ("thin_book", "price_fall"):
            self._mend_books(live, wall_ms)
        elif kind == "listen_key_expiry":
            self._set_lifetime()
        if kind in _STREAM_KINDS:
            live.add("streams", self._out.closes - held.closes)

    def say(self, wall_ms: int) -> None:
        """Record the limits in force."""
        limits = {
            market: [[one.type, one.window_ms, one.limit] for one in self._quotas.limits(market)]
            for market in self._venues
        }
        fields = {"strikes": self._settings.strikes, "bans_ms": list(self._settings.bans_ms), "wall_ms": wall_ms}
        self._record("exchange", {"limits": limits, **fields})

    def due_ms(self) -> int | None:
        """Return when something happens by itself."""
        going_on = [*self._of("stream_disconnect"), *self._of("price_fall")]
        dues = [due_ms for live in going_on if (due_ms := self._held[live.name].next_ms) is not None]
        if (key_ms := self._streams.due_ms()) is not None:
            dues.append(key_ms)
        return min(dues, default=None)

    def advance(self, wall_ms: int) -> None:
        """Do what is due."""
        for live in (*self._of("stream_disconnect"), *self._of("price_fall")):
            held = self._held[live.name]
            if held.next_ms is not None and held.next_ms <= wall_ms:
                act = self._fall if live.arm.kind == "price_fall" else self._disconnect
                act(live, held, wall_ms)
        self._streams.advance(wall_ms)
        for venue in self._venues.values():
            venue.advance(wall_ms)

    def _of(self, kind: Kind) -> list[Live]:
        return self._armed.by_kind.get(kind, [])

    def _ban(self, wall_ms: int, now_ns: int) -> None:
        ends = [self._held[live.name].since_ms + int(live.options["ms"]) for live in self._of("ban")]
        for ip, ban in self._quotas.impose(max(ends, default=0), wall_ms):
            self._admission.record_ban(ip, ban, now_ns, wall_ms)

    def _share(self, wall_ms: int) -> None:
        live = self._of("tenant")
        rates = [sum(float(one.options[name]) for one in live) for name in ("weight_per_s", "orders_per_s")]
        self._quotas.share(rates[0], rates[1], wall_ms)

    def _scale(self, wall_ms: int) -> None:
        self._quotas.scale(prod(float(live.options["factor"]) for live in self._of("limits")))
        for market, venue in self._venues.items():
            venue.limits = self._quotas.limits(market)
        self.say(wall_ms)

    def _thin(self, live: Live, wall_ms: int) -> None:
        options: Mapping[str, Any] = live.options
        for venue in self._venues.values():
            venue.thin(live.arm.symbols, float(options["factor"]), int(options["refill_ms"]), wall_ms)

    def _mend_books(self, live: Live, wall_ms: int) -> None:
        """End what a fault did to books, and let others of its kind do theirs again."""
        for venue in self._venues.values():
            if live.arm.kind == "thin_book":
                venue.restore(live.arm.symbols, wall_ms)
            else:
                venue.fall(live.arm.symbols, 0.0, wall_ms)
        for other in self._of(live.arm.kind):
            if live.arm.kind == "thin_book":
                self._thin(other, wall_ms)
            else:
                self._fall(other, self._held[other.name], wall_ms)

    def _fall(self, live: Live, held: _Held, wall_ms: int) -> None:
        """Prices go down in even steps, and then stay."""
        over_ms = int(live.options["over_ms"])
        done_ms = min(wall_ms - held.since_ms, over_ms)
        for venue in self._venues.values():
            venue.fall(live.arm.symbols, live.options["bps"] / _BPS * done_ms / over_ms, wall_ms)
        live.whole = done_ms == over_ms
        held.next_ms = None if live.whole else min(wall_ms + _FALL_STEP_MS, held.since_ms + over_ms)

    def _disconnect(self, live: Live, held: _Held, wall_ms: int) -> None:
        held.next_ms = wall_ms + int(live.options["every_ms"])
        self._streams.disconnect()

    def _set_lifetime(self) -> None:
        self._streams.valid_ms = min((live.options["ms"] for live in self._of("listen_key_expiry")), default=VALID_MS)
