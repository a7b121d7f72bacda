"""What lowers risk gets through, whatever the flood.

What is owed is an exit from (symbol, side), not the execution of one particular signal: a newer exit may take the place
of an older one, and then inherits how long that has waited. So the time runs from the first offer of such a chain to
the beginning of an execution, and counts only while trading was allowed, and not for `notice` after it was allowed
again.

The limit is 2 s, or what the rate allows: before an exit begin those that waited before it, and the last second may
have been used up when it came. With `n` other exits waiting that is `1 s + n // per_second` seconds, which is 2 s with
up to three others. An exit that is dropped, or superseded by an entry, is an offence at any time; one that expires or
is closed only if it had waited for longer than its limit.

A kill ends the life: what waited until then is judged if it had waited too long already, and the system offers again
what it still wants.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

from harness.history.history import History
from harness.invariants.exchange_record import margin_ns
from harness.invariants.findings import Moment
from harness.invariants.signal_findings import Offence, judged
from harness.invariants.signals import Life, Offered, Slot, Step, disposal_moment, execution_moment, read_lives
from harness.units import SECOND, human, ms, seconds
from harness.verdict import InvariantResult


@dataclass(frozen=True, slots=True, kw_only=True)
class Exits:
    """Every exit begins to execute within its limit. Observed: offences. Checked: exits that did, or should have."""

    id: str
    name: str
    statement: str
    limit_ns: int
    per_second: int
    notice_ns: int
    margin_ns: int
    real_margin_ns: int
    needs_end: bool = False

    def judge(self, history: History) -> InvariantResult:
        """Follow the chains of each life."""
        margin = margin_ns(history, self.margin_ns, self.real_margin_ns)
        lives = [_Chains(life, self, margin, _barred(life, self.notice_ns)) for life in read_lives(history)]
        offences = [offence for chains in lives for offence in chains.follow()]
        checked = sum(chains.checked for chains in lives)
        reason = "" if checked else "no exit was offered that had the time to be executed"
        return judged(self, history, offences, checked=checked, noun="late exit", reason=reason)


@dataclass(slots=True)
class _Chain:
    """Exits for one symbol and side that took each other's place. `ahead`: other chains when it began."""

    first: Offered
    current: Offered
    ahead: int


@dataclass(slots=True)
class _Chains:
    """The chains of one life that are open."""

    life: Life
    rule: Exits
    margin_ns: int
    barred: list[tuple[int, int]]
    open: dict[Slot, _Chain] = field(default_factory=dict)
    checked: int = 0

    def follow(self) -> Iterator[Offence]:
        """Go through the life step by step."""
        for step in self.life.steps:
            offered = self.life.offers.get(step.subject)
            if offered is None or not offered.exit:
                continue
            if step.kind == "offered" and step.offered is offered:
                self._offered(offered)
            elif step.kind == "began":
                yield from self._over(step, offered, execution_moment(self.life, step), "began")
            elif step.kind == "disposed":
                yield from self._disposed(step, offered)
        for chain in tuple(self.open.values()):
            row = Moment(self.life.end_ns, self.life.actor, "still waiting", chain.current.name, offending=True)
            yield from self._late(chain, self.life.end_ns, row, "still waited")

    def _offered(self, offered: Offered) -> None:
        if offered.outcome != "ok":
            return
        chain = self.open.get(offered.slot)
        if chain is None:
            self.open[offered.slot] = _Chain(offered, offered, len(self.open))
        else:
            chain.current = offered

    def _disposed(self, step: Step, offered: Offered) -> Iterator[Offence]:
        row = disposal_moment(self.life, step)
        by = self.life.offers.get(str(step.value.get("detail")))
        if step.reason == "dropped" or (step.reason == "superseded" and by is not None and not by.exit):
            what = "was dropped" if by is None else f"was superseded by entry {by.name}"
            self.checked += 1
            self._close(offered)
            yield Offence(offered.name, what, step.time_ns, (offered.moment(), row))
        elif step.reason in {"expired", "closed"}:
            yield from self._over(step, offered, row, step.reason)

    def _over(self, step: Step, offered: Offered, row: Moment, how: str) -> Iterator[Offence]:
        chain = self._close(offered)
        if chain is not None:
            self.checked += how == "began"
            yield from self._late(chain, step.time_ns, row, how)

    def _close(self, offered: Offered) -> _Chain | None:
        chain = self.open.get(offered.slot)
        return self.open.pop(offered.slot) if chain is not None and chain.current is offered else None

    def _late(self, chain: _Chain, end_ns: int, row: Moment, how: str) -> Iterator[Offence]:
        limit = max(self.rule.limit_ns, SECOND + chain.ahead // self.rule.per_second * SECOND)
        waited = end_ns - chain.first.start_ns - _overlap(self.barred, chain.first.start_ns, end_ns)
        if waited > limit + self.margin_ns:
            self.checked += how != "began"
            others = f" behind {chain.ahead} others" if chain.ahead else ""
            what = f"{how} after {human(waited)} in which trading was allowed{others} (limit {human(limit)})"
            yield Offence(chain.first.name, what, end_ns, (chain.first.moment(), row), waited)


def _barred(life: Life, notice_ns: int) -> list[tuple[int, int]]:
    """Return the times that do not count, in order and apart: halts, and for a moment after each."""
    barred: list[tuple[int, int]] = []
    for since_ns, until_ns in life.halted():
        end_ns = life.end_ns if until_ns is None else until_ns + notice_ns
        if barred and since_ns <= barred[-1][1]:
            barred[-1] = (barred[-1][0], end_ns)
        else:
            barred.append((since_ns, end_ns))
    return barred


def _overlap(windows: list[tuple[int, int]], start_ns: int, end_ns: int) -> int:
    return sum(max(0, min(until, end_ns) - max(since, start_ns)) for since, until in windows)


def exits(
    limit_ns: int = seconds(2),
    *,
    per_second: int = 2,
    notice_ns: int = ms(250),
    margin_ns: int = ms(20),
    real_margin_ns: int = ms(500),
    id: str = "SF5",  # noqa: A002
) -> Exits:
    """Declare how long an exit may wait where so many executions may begin in a second. Raises ValueError below 1."""
    if per_second < 1:
        raise ValueError(f"with {per_second} executions a second no exit could be executed")
    return Exits(
        id=id,
        name="exits",
        statement=f"every exit executes within {human(limit_ns)} of being offered while trading is allowed",
        limit_ns=limit_ns,
        per_second=per_second,
        notice_ns=notice_ns,
        margin_ns=margin_ns,
        real_margin_ns=real_margin_ns,
    )
