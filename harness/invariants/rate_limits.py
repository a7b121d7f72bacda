"""What a client owes an exchange that limits it: to earn no ban, and to be silent when told (exchange_record.py)."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from harness.history.history import History
from harness.invariants.base import none_of
from harness.invariants.exchange_record import Ban, ExchangeRecord, Request, Wait, margin_ns, read_exchange
from harness.invariants.findings import Moment, at, counted, finding
from harness.units import MILLISECOND, human, ms
from harness.verdict import Finding, InvariantResult


@dataclass(frozen=True, slots=True, kw_only=True)
class NoBan:
    """The IP earns no ban. One that a fault imposes is not the client's.

    Observed: earned bans. Checked: requests.
    """

    id: str
    name: str
    statement: str
    exchange: str = "binance"
    needs_end: bool = True

    def judge(self, history: History) -> InvariantResult:
        """Judge by the exchange's own word on why it banned."""
        record = read_exchange(history, self.exchange)
        earned = [ban for ban in record.bans if ban.earned]
        return none_of(
            self,
            earned,
            checked=len(record.requests),
            unit="bans",
            explain=lambda: self._explain(history, record, earned),
        )

    def _explain(self, history: History, record: ExchangeRecord, earned: Sequence[Ban]) -> Finding:
        longest = max(ban.until_ns - ban.time_ns for ban in earned)
        sentence = f"{counted(len(earned), 'earned ban')} of the IP (limit 0), the longest of {human(longest)}"
        return finding(
            history,
            sentence,
            earned,
            label=lambda ban: at("ban", ban.time_ns),
            moments=lambda ban: self._moments(record, ban),
            badness=lambda ban: ban.until_ns - ban.time_ns,
        )

    def _moments(self, record: ExchangeRecord, ban: Ban) -> Iterator[Moment]:
        before = [one for one in record.requests if one.status in {418, 429} and one.time_ns <= ban.time_ns]
        for request in before[-3:]:
            yield request_moment(request)
        length = human(ban.until_ns - ban.time_ns)
        text = f"IP banned for {length} after {counted(ban.strikes, 'strike')}"
        yield Moment(ban.time_ns, self.exchange, text, "ban", offending=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Silence:
    """While the exchange has said to wait nothing is sent; if only orders are to wait, no order.

    A wait binds from a margin after its answer was sent until it is over, and it binds the incarnation of the host that
    was told. Observed: requests sent all the same. Checked: waits.
    """

    id: str
    name: str
    statement: str
    margin_ns: int
    real_margin_ns: int
    exchange: str = "binance"
    needs_end: bool = True

    def judge(self, history: History) -> InvariantResult:
        """Sweep over requests and waits in the order of time."""
        record = read_exchange(history, self.exchange)
        waits = sorted(record.waits(), key=lambda wait: wait.start_ns)
        offences = list(self._offences(record, waits, margin_ns(history, self.margin_ns, self.real_margin_ns)))
        return none_of(
            self,
            offences,
            checked=len(waits),
            unit="requests",
            reason="" if waits else "the exchange never told to wait",
            explain=lambda: self._explain(history, offences),
        )

    def _offences(self, record: ExchangeRecord, waits: Sequence[Wait], margin: int) -> Iterator["_Spoke"]:
        """Yield each request that came during a wait, with the wait. Of several the one that lasts longest counts."""
        binding: dict[str, Wait] = {}
        position = 0
        for request in record.requests:
            while position < len(waits) and waits[position].start_ns + margin <= request.time_ns:
                wait = waits[position]
                held = binding.get(wait.scope)
                if held is None or held.end_ns <= wait.end_ns:
                    binding[wait.scope] = wait
                position += 1
            for scope in ("ip", "orders") if request.is_order else ("ip",):
                held = binding.get(scope)
                if held is None or request.time_ns >= held.end_ns - MILLISECOND:  # the exchange speaks milliseconds
                    continue
                if not record.died_between(held.start_ns, request.time_ns):
                    yield _Spoke(request, held)
                    break

    def _explain(self, history: History, offences: Sequence["_Spoke"]) -> Finding:
        first = offences[0]
        since, length = first.request.time_ns - first.wait.start_ns, first.wait.end_ns - first.wait.start_ns
        sentence = (
            f"{counted(len(offences), 'request')} sent while the exchange had said to wait (limit 0): the first "
            f"{human(since)} into {human(length)}"
        )
        return finding(
            history,
            sentence,
            offences,
            label=lambda one: at(f"{one.request.method} {one.request.path}", one.request.time_ns),
            moments=_Spoke.moments,
            badness=lambda one: one.wait.end_ns - one.request.time_ns,
        )


@dataclass(frozen=True, slots=True)
class _Spoke:
    request: Request
    wait: Wait

    def moments(self) -> Iterator[Moment]:
        told = self.wait.request
        length = human(self.wait.end_ns - self.wait.start_ns)
        yield Moment(self.wait.start_ns, "binance", f"{told}: told to wait {length} ({self.wait.scope})", "wait")
        yield request_moment(self.request, offending=True)
        yield Moment(self.wait.end_ns, "binance", "the wait is over", "wait")


def request_moment(request: Request, *, offending: bool = False) -> Moment:
    """Return the row of one request."""
    label = request.client_id or request.symbol or request.path
    return Moment(request.time_ns, "binance", str(request), label, offending=offending)


def no_ban(*, id: str = "RL1") -> NoBan:  # noqa: A002 - the word of PATCHES.md
    """Declare that no ban is earned."""
    return NoBan(id=id, name="no-ban", statement="no storm earns the IP a ban (418)")


def silence(*, margin_ns: int = ms(50), real_margin_ns: int = ms(500), id: str = "RL2") -> Silence:  # noqa: A002
    """Declare that nothing is sent during a wait, from a margin after the answer on."""
    statement = "nothing is sent while the exchange has said to wait"
    return Silence(id=id, name="silence", statement=statement, margin_ns=margin_ns, real_margin_ns=real_margin_ns)
