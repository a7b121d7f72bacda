"""Armed faults that hit single requests: before anything else, instead of the market, and on the answer.

One fault is named in a request's record: the one that decided what became of it. A lost answer outranks a late one, and
faults that change only what the answer says (headers, prices) are named if there is no other.
"""

from typing import TYPE_CHECKING, Final

from harness.dependencies.binance.gate import errors
from harness.dependencies.binance.gate.armed import TROUBLE, Armed, Live
from harness.dependencies.binance.gate.errors import ERRORS, HTML, ErrorBody
from harness.dependencies.binance.gate.routes import PRICED
from harness.dependencies.binance.gate.visit import Visit
from harness.dependencies.binance.wire import Answer, Reaction, Reset, Silence
from harness.units import MILLISECOND

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from harness.dependencies.binance.arms import Kind
    from harness.dependencies.binance.market.venue import Outcome

_TROUBLES: "Final[Mapping[Kind, ErrorBody]]" = {
    "unknown_error": errors.UNKNOWN_ERROR,
    "service_unavailable": errors.SERVICE_UNAVAILABLE,
    "throttled": errors.THROTTLED,
    "internal_error": errors.INTERNAL_ERROR,
    "bus_unknown": ERRORS[-1006],
    "backend_timeout": ERRORS[-1007],
}


_OK: Final = 200


class RequestFaults:
    """What armed faults do to a request. Call only while something is armed: without, none of it is needed."""

    __slots__ = ("_armed",)

    def __init__(self, armed: Armed) -> None:
        self._armed = armed

    def _hit(self, kind: "Kind", visit: Visit) -> Live | None:
        if kind not in self._armed.by_kind:
            return None
        return self._armed.hit(kind, visit.request.method, visit.request.path, visit.symbol)

    def before(self, visit: Visit) -> Reaction | None:
        """Return what becomes of a request that never gets through; None if it does."""
        for kind in ("limits", "tenant"):
            for live in self._armed.by_kind.get(kind, ()):
                live.add("requests")
        if self._hit("reset_before", visit) is not None:
            visit.blame("reset_before")
            visit.lose()
            return Reset()
        if self._hit("silent_before", visit) is not None:
            visit.blame("silent_before")
            visit.lose()
            return Silence()
        if self._hit("firewall", visit) is not None:
            visit.blame("firewall")
            visit.status = errors.FIREWALL.status
            return Answer(status=visit.status, body=errors.FIREWALL.body(), content_type=HTML)
        return None

    def mover(self, visit: Visit) -> Live | None:
        """Return the `price_move` that an order meets."""
        live = self._hit("price_move", visit)
        if live is not None:
            visit.side_fault = "price_move"
        return live

    def trouble(self, visit: Visit) -> tuple[Live, ErrorBody] | None:
        """Return the trouble that the request meets, and how it is answered."""
        for kind in TROUBLE:
            if kind == "throttled" and visit.risk:
                continue
            live = self._hit(kind, visit)
            if live is not None:
                visit.blame(kind)
                return live, ERRORS[live.options["code"]] if kind == "reject" else _TROUBLES[kind]
        return None

    def after(self, visit: Visit, body: bytes, content_type: str) -> Reaction:
        """Return what becomes of the answer."""
        for fall in self._armed.by_kind.get("price_fall", ()):
            if fall.whole and visit.status == _OK and _tells_prices(visit, fall.arm.symbols):
                fall.add("told")
        delay_ns = 0
        if (live := self._hit("latency", visit)) is not None:
            visit.blame("latency")
            delay_ns = self._armed.around(live.options["ms"], live.options["jitter_ms"]) * MILLISECOND
        if (live := self._hit("silent_after", visit)) is not None:
            self._lose_answer(live, visit)
            return Silence()
        if (live := self._hit("reset_after", visit)) is not None:
            self._lose_answer(live, visit)
            return Reset(delay_ns)
        if (live := self._hit("no_headers", visit)) is not None:
            live.add("requests")
            visit.side_fault = visit.side_fault or "no_headers"
            visit.strip()
        visit.after_ns = delay_ns
        return Answer(
            status=visit.status, body=body, content_type=content_type, headers=visit.headers, delay_ns=delay_ns
        )

    def _lose_answer(self, live: Live, visit: Visit) -> None:
        live.executed += visit.executed
        if visit.fault in (None, "latency"):
            visit.fault = live.arm.kind
        visit.lose()

    def worsened(self, outcome: "Outcome", mover: Live | None, symbol: str) -> None:
        """Count the fills of an order that met a thin book or a moved price; one that was left short counts as well."""
        thin = [
            live
            for live in self._armed.by_kind.get("thin_book", ())
            if not live.arm.symbols or symbol in live.arm.symbols
        ]
        for live in (*thin, *([] if mover is None else [mover])):
            live.add("fills", max(1, outcome.fills))


def _tells_prices(visit: Visit, symbols: "Collection[str]") -> bool:
    """Whether its answer depends on the prices of these symbols (none: of any)."""
    priced = visit.route is not None and visit.route.endpoint in PRICED
    return priced and (not symbols or not visit.symbol or visit.symbol in symbols)
