"""The exchange: every request's way through gate and market, as one pure state machine.

Order: armed faults of the connection; limits of the IP; route and parameters; who it is; armed troubles of the
exchange; limits of orders; the market; armed faults of the answer. Each step may end the way with `Reject`; whatever
becomes of it, the request is recorded once. Faults after execution let everything happen and lose the answer, which is
what makes them hard for clients.

No I/O, no clock: the shell passes the time of the run (`now_ns`) and the exchange's own clock (`wall_ms`), and asks
`due_ns` when it is to call `wake`.
"""

from collections.abc import Callable
from decimal import Decimal
from typing import Any, Final

from msgspec.json import Encoder

from harness.dependencies.binance.arms import Arm
from harness.dependencies.binance.conditions import Conditions, CountingOut
from harness.dependencies.binance.core import Record
from harness.dependencies.binance.gate import errors
from harness.dependencies.binance.gate.admission import Admission
from harness.dependencies.binance.gate.armed import ON_EXCHANGE, Armed, Dice, Live
from harness.dependencies.binance.gate.errors import EXAMPLE_FIELDS, JSON, Reject
from harness.dependencies.binance.gate.faults import RequestFaults
from harness.dependencies.binance.gate.params import parse
from harness.dependencies.binance.gate.quotas import MARKETS, Quotas
from harness.dependencies.binance.gate.routes import EXCHANGE, METHODS, Route
from harness.dependencies.binance.gate.visit import Visit
from harness.dependencies.binance.late import Late
from harness.dependencies.binance.market.venue import Venue as RealVenue
from harness.dependencies.binance.parts import Venue
from harness.dependencies.binance.settings import Market, Settings
from harness.dependencies.binance.streams import StreamOut, UserStreams
from harness.dependencies.binance.wire import Answer, Reaction, Request
from harness.errors import WorldError
from harness.units import MILLISECOND

_METHOD_NOT_ALLOWED: Final = 405
_ENCODE: Final = Encoder().encode


class Exchange:
    """One emulated Binance. `core.Core` says what each method does.

    `venue` makes each market, of its name and the user streams; by default a `market.venue.Venue`.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        dice: Dice,
        record: Record,
        streams: StreamOut,
        venue: Callable[[Market, UserStreams], Venue] | None = None,
    ) -> None:
        self._record = record
        self._armed = Armed(dice)
        self._faults = RequestFaults(self._armed)
        self._quotas = Quotas(settings)
        self._admission = Admission(settings, self._quotas, self._armed, record)
        out = CountingOut(streams)
        self._streams = UserStreams(out, record=record)
        make = venue or (lambda market, streams: RealVenue(market, settings, record=record, streams=streams))
        self._venues: dict[Market, Venue] = {market: make(market, self._streams) for market in MARKETS}
        self._conditions = Conditions(
            settings,
            record,
            quotas=self._quotas,
            armed=self._armed,
            admission=self._admission,
            venues=self._venues,
            streams=self._streams,
            out=out,
        )
        self._late = Late()
        self._requests = 0
        self._began = False
        self._now_ns = 0
        self._wall_ms = 0

    # --- requests -----------------------------------------------------------------------------------------------

    def receive(self, request: Request, now_ns: int, wall_ms: int) -> Reaction:
        """Take one HTTP request and say what becomes of it."""
        self._see(now_ns, wall_ms)
        self._requests += 1
        visit = Visit(self._requests, request, parse(request), now_ns, wall_ms)
        reaction = self._react(visit)
        self._record("request", visit.as_fields())
        return reaction

    def _react(self, visit: Visit) -> Reaction:
        if self._armed.by_kind and (reaction := self._faults.before(visit)) is not None:
            return reaction
        content_type = JSON
        try:
            self._admission.weigh(visit)
            route = _found(visit)
            if visit.params.refusal is not None:
                raise visit.params.refusal
            self._admission.authenticate(visit)
            body = self._serve(visit, route)
            visit.status = 200
        except Reject as refusal:
            visit.status, visit.code = refusal.status, refusal.code or 0
            body, content_type = refusal.body, refusal.content_type
        if self._armed.by_kind:
            return self._faults.after(visit, body, content_type)
        return Answer(status=visit.status, body=body, content_type=content_type, headers=visit.headers)

    def _serve(self, visit: Visit, route: Route) -> bytes:
        """Let the exchange's own troubles happen, and carry the request out, unless they prevent it."""
        met = self._faults.trouble(visit) if self._armed.by_kind else None
        if met is None:
            return self._execute(visit, route)
        live, error = met
        if self._armed.happens(live.options.get("executed", 0)):
            if live.options.get("after_ms"):
                self._late.put(visit, route, live)
                raise Reject.of(error, **EXAMPLE_FIELDS)
            try:
                self._execute(visit, route)
            except Reject:
                visit.lose()
            self._admission.tell_use(visit)  # of orders nothing is said, as after every refusal
            live.executed += visit.executed
        visit.after_ns = 0
        raise Reject.of(error, **EXAMPLE_FIELDS)

    def _take_effect(self, visit: Visit, route: Route, live: Live) -> None:
        """Carry out what was answered before."""
        visit.wall_ms = self._wall_ms
        try:
            self._execute(visit, route)
        except Reject:
            return
        live.executed += visit.executed
        live.add("late", visit.executed)

    def _execute(self, visit: Visit, route: Route) -> bytes:
        """Count the request's orders and carry it out. Raises `Reject`."""
        self._admission.take_orders(visit)
        if route.endpoint in EXCHANGE:
            return self._order_counts(route.market, visit.wall_ms)
        mover = self._faults.mover(visit) if self._armed.by_kind and any(route.orders) else None
        move_bps = 0 if mover is None else mover.options["bps"]
        try:
            outcome = self._venues[route.market].call(
                route.endpoint, visit.params.values, visit.wall_ms, move_bps=move_bps
            )
        except Reject:
            self._admission.charge_failure(visit)
            raise
        visit.outcome = outcome
        if outcome.worse:
            self._faults.worsened(outcome, mover, visit.symbol)
        if visit.order_budget is not None:
            visit.headers = visit.headers | visit.order_budget.headers()
        payload = outcome.payload
        return payload if isinstance(payload, bytes) else _ENCODE(payload)

    def _order_counts(self, market: Market, wall_ms: int) -> bytes:
        counts = []
        for counter in self._quotas.orders[market].counters:
            counter.roll(wall_ms)
            counts.append({**counter.declared.as_json(), "limit": counter.limit, "count": counter.used})
        return _ENCODE(counts)

    # --- control ------------------------------------------------------------------------------------------------

    def arm(self, arm: Arm, now_ns: int, wall_ms: int) -> str:
        """Arm a fault; return what names it. Raises `WorldError` for options that it does not take."""
        self._see(now_ns, wall_ms)
        live = self._armed.arm(arm)
        if arm.kind in ON_EXCHANGE:
            try:
                self._conditions.begin(live, now_ns, wall_ms)
            except WorldError:
                self._armed.disarm(live.name)
                raise
        return live.name

    def disarm(self, name: str, now_ns: int, wall_ms: int) -> None:
        """End it, after an `exchange_fault` record. Raises `WorldError` if there is none of that name."""
        self._see(now_ns, wall_ms)
        live = self._armed.disarm(name)
        if live.arm.kind in ON_EXCHANGE:
            self._conditions.end(live, now_ns, wall_ms)
        self._record("exchange_fault", live.as_fields())

    def refill(self, symbol: str, now_ns: int, wall_ms: int) -> None:
        """Bring back all depth of that symbol's books. Raises `WorldError` for an unknown symbol."""
        self._see(now_ns, wall_ms)
        self._on_symbol(lambda venue: venue.refill((symbol,), wall_ms))

    def set_price(self, symbol: str, price: Decimal, now_ns: int, wall_ms: int) -> None:
        """Move the middle of that symbol's books there. Raises `WorldError` for an unknown symbol, or no price."""
        self._see(now_ns, wall_ms)
        self._on_symbol(lambda venue: venue.set_price(symbol, price, wall_ms))

    def ledger(self) -> dict[str, Any]:
        """Return all the truth there is, as plain JSON values."""
        markets = {market: venue.ledger() for market, venue in self._venues.items()}
        return {"requests": self._requests, "quotas": self._quotas.as_json(self._wall_ms), "markets": markets}

    # --- streams and time ---------------------------------------------------------------------------------------

    def stream_opened(self, session: str, path: str, query: str, now_ns: int, wall_ms: int) -> bool:
        """A WebSocket was asked for at that path; return whether there is such a stream."""
        self._see(now_ns, wall_ms)
        return self._streams.opened(session, path, query, wall_ms)

    def stream_said(self, session: str, text: str, now_ns: int, wall_ms: int) -> None:
        """The client of that session sent a text message."""
        self._see(now_ns, wall_ms)
        self._streams.said(session, text, wall_ms)

    def stream_closed(self, session: str, now_ns: int, wall_ms: int) -> None:
        """That session's socket is gone, whoever closed it."""
        self._see(now_ns, wall_ms)
        self._streams.closed(session)

    def due_ns(self) -> int | None:
        """Return at what time of the run something happens by itself; None if nothing will.

        At first that is at once: what the exchange is like is recorded when the time is known.
        """
        if not self._began:
            return 0
        dues = [due_ms for due_ms in (self._conditions.due_ms(), self._late.due_ms()) if due_ms is not None]
        return self._now_ns + (min(dues) - self._wall_ms) * MILLISECOND if dues else None

    def wake(self, now_ns: int, wall_ms: int) -> None:
        """Do what is due."""
        self._see(now_ns, wall_ms)
        self._conditions.advance(wall_ms)

    def _see(self, now_ns: int, wall_ms: int) -> None:
        self._now_ns, self._wall_ms = now_ns, wall_ms
        if not self._began:
            self._began = True
            self._conditions.say(wall_ms)
        while (late := self._late.take(wall_ms)) is not None:
            self._take_effect(*late)

    def _on_symbol(self, act: Callable[[Venue], None]) -> None:
        """Act on the symbol in every market that has it. Raises `WorldError` if none can do it."""
        refused: list[WorldError] = []
        for venue in self._venues.values():
            try:
                act(venue)
            except WorldError as error:
                refused.append(error)
        if len(refused) == len(self._venues):
            raise refused[0]


def _found(visit: Visit) -> Route:
    """Return the request's route. Raises `Reject`: -5000 within an API, the web server's own page outside."""
    if visit.route is not None:
        return visit.route
    request = visit.request
    if visit.market is None:
        raise Reject.of(errors.NOT_FOUND)
    status = _METHOD_NOT_ALLOWED if request.path in METHODS else None
    raise Reject(-5000, status=status, path=request.path, method=request.method)
