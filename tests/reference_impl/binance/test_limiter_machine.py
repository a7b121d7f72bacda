"""The limiter against an exchange of its own making: whatever happens, and in whatever order, the rules hold."""

import email.utils
import math
import random
from dataclasses import dataclass, field

import hypothesis.strategies as st
from hypothesis import HealthCheck, settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from reference_impl._binance.limiter import Limiter, Policy
from reference_impl._binance.queue import Ticket
from reference_impl._binance.windows import rate_limit

WEIGHT, ORDERS = 40, 12
MINUTE, TEN = 60, 10
EPOCH = 1_800_000_000.0
STRIKES = 10


@dataclass(eq=False)
class Flight:
    """One request on its way. `reply`: the exchange's answer, once it arrived: status, headers, body, told until."""

    ticket: Ticket
    reply: tuple[int, dict[str, str], bytes, float] | None = None


@dataclass
class Exchange:
    """A model that shares nothing with the limiter: windows as a plain dictionary, by the exchange's clock."""

    offset: float
    cap: int = WEIGHT
    storm: bool = False
    orders_storm: int = 0
    says_counts: bool = True
    says_retry: bool = True
    uses: dict[tuple[str, int], int] = field(default_factory=dict)
    own: dict[tuple[str, int], int] = field(default_factory=dict)
    strikes: list[float] = field(default_factory=list)
    earned: int = 0

    def clock(self, now: float) -> float:
        """What its clock shows."""
        return now + self.offset

    def count(self, kind: str, length: int, cost: int, now: float, *, own: bool = True) -> int:
        """Count in the window of now."""
        key = (kind, int(self.clock(now) // length))
        self.uses[key] = self.uses.get(key, 0) + cost
        if own:
            self.own[key] = self.own.get(key, 0) + cost
        return self.uses[key]

    def rest(self, length: int, now: float) -> float:
        """How long the window lasts."""
        return length - self.clock(now) % length

    def receive(self, ticket: Ticket, now: float) -> tuple[int, dict[str, str], bytes, float]:
        """Answer a request that arrives now."""
        used = self.count("weight", MINUTE, ticket.weight, now)
        headers = {"Date": http_date(self.clock(now))}
        if self.says_counts:
            headers["X-MBX-USED-WEIGHT-1M"] = str(used)
        if self.storm or used > self.cap:
            return self.refuse(429, -1003, f"is {self.cap} requests per minute", MINUTE, headers, now)
        if ticket.orders:
            if self.orders_storm:
                return self.refuse(self.orders_storm, -1015, f"is {ORDERS} orders per TEN_SECONDS", TEN, headers, now)
            counted = self.count("orders", TEN, ticket.orders, now)
            if self.says_counts:
                headers["X-MBX-ORDER-COUNT-10S"] = str(counted)
        return 200, headers, b"{}", -math.inf

    def refuse(
        self, status: int, code: int, text: str, length: int, headers: dict[str, str], now: float
    ) -> tuple[int, dict[str, str], bytes, float]:
        """Refuse, count the strike, and say how long to wait, if it says so."""
        if status == 429:
            self.strikes = [at for at in self.strikes if at > now - 60] + [now]
            self.earned += len(self.strikes) >= STRIKES
        wait = self.rest(length, now)
        if self.says_retry and self.says_counts:
            headers["Retry-After"] = str(math.ceil(wait))
        return status, headers, f'{{"code": {code}, "msg": "current limit {text}."}}'.encode(), now + wait


def http_date(seconds: float) -> str:
    """Format it as `Date` headers do."""
    return email.utils.formatdate(math.floor(seconds), usegmt=True)


class LimiterRules(RuleBasedStateMachine):
    """Callers, a network that delays, reorders and loses, an exchange with storms and other tenants."""

    @initialize(
        offset=st.floats(-0.5, 0.5), skew=st.floats(-25, 25), phase=st.floats(0, 60), seed=st.integers(0, 1_000)
    )
    def begin(self, offset: float, skew: float, phase: float, seed: int) -> None:
        """A limiter whose host's clock is wrong by `skew`, at some phase of the exchange's windows."""
        self.now = 1_000.0
        self.exchange = Exchange(EPOCH + phase + offset)
        policy = Policy(assumed=(rate_limit("weight", MINUTE, WEIGHT, "1M"), rate_limit("orders", TEN, ORDERS, "10S")))
        wall = self.exchange.clock(self.now) + skew
        self.limiter = Limiter(policy, now=self.now, wall=wall, draw=random.Random(seed).random)
        self.waiting: list[Ticket] = []
        self.flights: list[Flight] = []
        self.silent = {"ip": -math.inf, "orders": -math.inf}

    # --- callers ---

    @rule(weight=st.integers(0, 6), orders=st.integers(0, 2), risk=st.booleans(), patience=st.floats(0.1, 200))
    def ask(self, weight: int, orders: int, risk: bool, patience: float) -> None:
        """Somebody wants to send something."""
        ticket = self.limiter.ask(weight, orders, risk=risk, deadline=self.now + patience, now=self.now)
        if ticket.state == "waiting":
            self.waiting.append(ticket)
        elif ticket.state == "granted":
            self.sent(ticket)
        self.settle()

    @precondition(lambda self: self.waiting)
    @rule(pick=st.integers(0, 1_000))
    def cancel(self, pick: int) -> None:
        """Somebody gives up."""
        self.limiter.leave(self.waiting.pop(pick % len(self.waiting)), self.now)
        self.settle()

    @precondition(lambda self: self.flights)
    @rule(pick=st.integers(0, 1_000))
    def unused(self, pick: int) -> None:
        """Somebody does not send after all."""
        flight = self.flights[pick % len(self.flights)]
        if flight.reply is None:
            self.flights.remove(flight)
            self.limiter.unused(flight.ticket, self.now)
            self.settle()

    # --- the network ---

    @precondition(lambda self: self.flights)
    @rule(pick=st.integers(0, 1_000))
    def arrive(self, pick: int) -> None:
        """A request reaches the exchange."""
        flight = self.flights[pick % len(self.flights)]
        if flight.reply is None:
            flight.reply = self.exchange.receive(flight.ticket, self.now)

    @precondition(lambda self: self.flights)
    @rule(pick=st.integers(0, 1_000))
    def answer(self, pick: int) -> None:
        """An answer reaches its caller, at once if it did not yet set out."""
        self.arrive(pick)
        flight = self.flights.pop(pick % len(self.flights))
        assert flight.reply is not None
        status, headers, body, until = flight.reply
        scope = "orders" if b"-1015" in body else "ip"
        self.silent[scope] = max(self.silent[scope], until)
        self.limiter.answered(flight.ticket, status, headers, body, self.now)
        self.settle()

    @precondition(lambda self: self.flights)
    @rule(pick=st.integers(0, 1_000), arrives=st.booleans())
    def lose(self, pick: int, arrives: bool) -> None:
        """A request or its answer is lost."""
        if arrives:
            self.arrive(pick)
        self.limiter.lost(self.flights.pop(pick % len(self.flights)).ticket, self.now)
        self.settle()

    # --- the exchange and time ---

    @rule(storm=st.booleans(), orders_storm=st.sampled_from([0, 0, 400, 429]))
    def weather(self, storm: bool, orders_storm: int) -> None:
        """A storm begins or ends."""
        self.exchange.storm, self.exchange.orders_storm = storm, orders_storm

    @rule(counts=st.booleans(), retry=st.booleans())
    def candour(self, counts: bool, retry: bool) -> None:
        """Headers get lost, or come back."""
        self.exchange.says_counts, self.exchange.says_retry = counts, retry

    @rule(weight=st.integers(0, 10))
    def tenant(self, weight: int) -> None:
        """Others use some of what is left; like everybody they are refused beyond the limit."""
        room = self.exchange.cap - self.exchange.count("weight", MINUTE, 0, self.now)
        self.exchange.count("weight", MINUTE, max(0, min(weight, room)), self.now, own=False)

    @rule(before=st.floats(0, 0.5), after=st.floats(0, 0.5))
    def learn_time(self, before: float, after: float) -> None:
        """The exchange's time becomes known as well as a round trip allows."""
        server_ms = int(self.exchange.clock(self.now) * 1_000)
        sent, received = self.now - before, self.now + after
        self.advance(after)
        self.limiter.set_server_time(server_ms, sent=sent, received=received, now=self.now)
        self.settle()

    @rule(seconds=st.one_of(st.floats(0.001, 0.5), st.floats(0.5, 70)))
    def advance(self, seconds: float) -> None:
        """Time goes by, and the limiter's timer rings whenever it asked for that."""
        end = self.now + seconds
        rings = 0
        while self.limiter.wake <= end:
            assert self.limiter.wake > self.now, "the timer rings without end"
            rings += 1
            assert rings < 2_000
            self.now = self.limiter.wake
            self.limiter.turn(self.now)
            self.settle()
        self.now = end

    # --- what must hold ---

    def settle(self) -> None:
        """Take what the limiter decided."""
        settled, self.limiter.settled = self.limiter.settled, []
        for ticket in settled:
            if ticket in self.waiting:
                self.waiting.remove(ticket)
                if ticket.state == "granted":
                    assert ticket.deadline >= self.now
                    self.sent(ticket)
                else:
                    assert ticket.state == "failed"

    def sent(self, ticket: Ticket) -> None:
        """Nothing is sent while the exchange has said to wait."""
        assert self.now >= self.silent["ip"]
        if ticket.orders:
            assert self.now >= self.silent["orders"]
        self.flights.append(Flight(ticket))

    @invariant()
    def within_limits(self) -> None:
        """Our own use alone never exceeds a limit, in any window of the exchange, whatever is lost or late."""
        if hasattr(self, "exchange"):
            assert all(
                used <= (WEIGHT if kind == "weight" else ORDERS) for (kind, _), used in self.exchange.own.items()
            )

    @invariant()
    def no_ban(self) -> None:
        """Refusals never add up to a ban."""
        if hasattr(self, "exchange"):
            assert self.exchange.earned == 0

    @invariant()
    def nothing_leaks(self) -> None:
        """What is in flight, and who waits, is known to both sides alike."""
        if hasattr(self, "limiter"):
            held = [flight for flight in self.flights if flight.ticket.state == "granted"]
            assert self.limiter.in_flight == len(held), (self.limiter.in_flight, len(held))
            assert len(held) <= 8
            assert self.limiter.room.count == len(self.waiting)

    def teardown(self) -> None:
        """When the weather is fine and all is answered, everybody is served or told in time: nobody starves."""
        if not hasattr(self, "limiter"):
            return
        self.weather(storm=False, orders_storm=0)
        self.candour(counts=True, retry=True)
        granted = [flight.ticket for flight in self.flights]
        deadline = self.now + 400
        while self.flights or self.waiting:
            while self.flights:
                granted.append(self.flights[0].ticket)
                self.answer(0)
            if self.waiting:
                assert self.limiter.wake < math.inf
                self.advance(max(0.001, self.limiter.wake - self.now))
            assert self.now < deadline
        assert self.limiter.wake == math.inf
        self.nothing_leaks()


TestLimiterRules = LimiterRules.TestCase
TestLimiterRules.settings = settings(
    max_examples=150, stateful_step_count=60, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
