"""The machine against a naive model: a list that is sorted and searched anew at every step."""

from dataclasses import dataclass

import hypothesis.strategies as st
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from reference_impl._executor.machine import NEVER, Policy, SignalMachine
from reference_impl._executor.signals import MalformedSignalError

SECOND = 1_000_000_000
SYMBOLS = ("A", "B", "C")
SIZE, RATE, RUNNING, RESERVED = 4, 2, 4, 1
TTLS_MS = (60_000, 10_000, 5_000, 2_500, 1_001, 1_000, 999, 250, 1)
LONG = 12
"""A life has so many offers at least before it ends, as otherwise hardly anything would happen in one."""


@dataclass(frozen=True)
class Wait:
    """One that waits, in the model. `turn`: of exits, when the need for them was first offered."""

    name: str
    key: tuple[str, str]
    confidence: float
    leaving: bool
    offered: int
    turn: int
    until: int

    @property
    def rank(self) -> tuple[bool, float, int]:
        """Who goes first has the lowest."""
        return (False, 0.0, self.turn) if self.leaving else (True, -self.confidence, self.offered)


class Model:
    """All rules of the contract, one line each, without any structure that could be wrong."""

    def __init__(self) -> None:
        self.waiting: list[Wait] = []
        self.ends: list[tuple[str, str]] = []
        self.offers = 0

    def shed(self, now: int) -> None:
        """What is stale goes, the stalest first."""
        for one in sorted(self.waiting, key=lambda one: (one.until, one.offered)):
            if one.until <= now:
                self.end(one, "expired")

    def end(self, one: Wait, reason: str) -> None:
        """It waits no longer."""
        if one in self.waiting:
            self.waiting.remove(one)
        self.ends.append((one.name, reason))

    def offer(self, one: Wait) -> str:
        """Return what becomes of it: queued, superseded, dropped, refused."""
        rivals = [each for each in self.waiting if each.key == one.key]
        if rivals and rivals[0].leaving and not one.leaving:
            self.end(one, "superseded")
            return "superseded"
        if rivals:
            turn = rivals[0].turn if rivals[0].leaving else one.turn
            self.end(rivals[0], "superseded")
            self.waiting.append(Wait(one.name, one.key, one.confidence, one.leaving, one.offered, turn, one.until))
            return "queued"
        if len(self.waiting) < SIZE:
            self.waiting.append(one)
            return "queued"
        entries = [each for each in self.waiting if not each.leaving]
        if one.leaving and not entries:
            return "refused"
        last = max([*entries, *([] if one.leaving else [one])], key=lambda each: each.rank)
        if last is not one:
            self.waiting.append(one)
        self.end(last, "dropped")
        return "dropped" if last is one else "queued"

    def next(self, starts: list[int], running: int, now: int) -> Wait | None:
        """Return what would execute now."""
        if len([start for start in starts if start > now - SECOND]) >= RATE or running >= RUNNING:
            return None
        able = [one for one in self.waiting if one.leaving or running < RUNNING - RESERVED]
        return min(able, key=lambda one: one.rank, default=None)


class ExecutorRules(RuleBasedStateMachine):
    """Offers, executions that end in any order, halts, restarts, and a clock that only goes forward."""

    @initialize(now=st.integers(0, 10**12))
    def begin(self, now: int) -> None:
        """A first life."""
        self.now = now
        self.starts: list[int] = []
        self.number = 0
        self.allowed = True
        self.live()

    def live(self) -> None:
        """Begin a life: nothing waits, and the last second counts as used up."""
        self.machine = SignalMachine(
            Policy(symbols=SYMBOLS, max_queue_size=SIZE, max_per_second=RATE, max_running=RUNNING, reserved=RESERVED),
            self.now,
        )
        self.model = Model()
        self.refusals_from = self.now
        self.running = []
        self.rejected = self.executed = 0

    @rule(
        symbol=st.sampled_from(SYMBOLS),
        side=st.sampled_from(("BUY", "SELL")),
        confidence=st.sampled_from((0.0, 0.25, 0.5, 1.0)),
        leaving=st.booleans(),
        ttl_ms=st.sampled_from(TTLS_MS),
    )
    def offer(self, symbol: str, side: str, confidence: float, leaving: bool, ttl_ms: int) -> None:
        """A good signal."""
        self.number += 1
        name = f"s{self.number}"
        raw = {"id": name, "symbol": symbol, "side": side, "confidence": confidence, "ttl_s": ttl_ms / 1_000}
        until = self.now + ttl_ms * 1_000_000
        self.model.offers += 1
        self.model.shed(self.now)
        expected = self.model.offer(Wait(name, (symbol, side), confidence, leaving, self.number, self.number, until))
        try:
            queued = self.machine.offer(raw | ({"exit": True} if leaving else {}), self.now)
        except MalformedSignalError as error:
            got = "refused" if error.reason == "exits_full" else error.reason
            self.model.ends.append((name, "rejected"))
        else:
            got = "queued" if queued else self.machine.disposals[-1].reason
        assert got == expected

    @rule(flaw=st.sampled_from(({"confidence": float("nan")}, {"symbol": "Z"}, {"ttl_s": -1}, {"id": ""})))
    def poison(self, flaw: dict[str, object]) -> None:
        """A malformed one."""
        raw = {"id": "p", "symbol": "A", "side": "BUY", "confidence": 0.5, "ttl_s": 1.0}
        self.model.offers += 1
        self.model.shed(self.now)
        self.model.ends.append((str((raw | flaw)["id"]), "rejected"))
        try:
            self.machine.offer(raw | flaw, self.now)
        except MalformedSignalError:
            return
        raise AssertionError("taken in")

    @rule()
    def take(self) -> None:
        """Execute, if trading is allowed: the model's choice, at no other time."""
        if not self.allowed:
            return
        self.model.shed(self.now)
        starts = self.starts + [self.refusals_from] * RATE
        expected = self.model.next(starts, len(self.running), self.now)
        taken = self.machine.take(self.now)
        assert (taken and taken.id) == (expected and expected.name)
        if taken is not None:
            self.model.waiting.remove(expected)
            self.starts.append(self.now)
            self.running.append(taken)
            self.executed += 1

    @precondition(lambda self: self.running)
    @rule(data=st.data(), outcome=st.sampled_from(("ok", "failed", "timed_out", "aborted")))
    def end(self, data: st.DataObject, outcome: str) -> None:
        """An execution ends, whichever."""
        ended = data.draw(st.sampled_from(self.running))
        self.running.remove(ended)
        self.machine.ended(ended, outcome)
        self.model.ends.append((ended.id, "executed"))

    @rule(ns=st.sampled_from((1, 999_999, 1_000_000, 250_000_000, SECOND - 1, SECOND, 3 * SECOND)))
    def wait(self, ns: int) -> None:
        """Time goes by."""
        self.now += ns

    @rule()
    def wait_for_the_machine(self) -> None:
        """Time goes by to the very moment at which the machine says that something happens, or just before."""
        until = min(self.machine.ready_at, self.machine.stale_at)
        if self.now < until < NEVER:
            self.now = until

    @precondition(lambda self: not self.allowed or self.model.offers % 3 == 0)
    @rule()
    def halt_or_go_on(self) -> None:
        """Trading is forbidden, or allowed again: the ttl runs on."""
        self.allowed = not self.allowed

    @precondition(lambda self: self.model.offers >= LONG)
    @rule()
    def restart(self) -> None:
        """A kill and a new life, whose executions still keep their distance from those of the last."""
        self.live()

    @precondition(lambda self: self.model.offers >= LONG)
    @rule()
    def close(self) -> None:
        """A clean end, and a new life."""
        self.model.shed(self.now)
        self.machine.shed(self.now)
        self.machine.close()
        for one in sorted(self.model.waiting, key=lambda one: one.rank):
            self.model.end(one, "closed")
        self.same_ends()
        self.live()

    @invariant()
    def same(self) -> None:
        """The same wait, the same ended for the same reasons, and the counts add up."""
        if not hasattr(self, "machine"):
            return
        assert {entry.signal.id for entry in self.machine.queue} == {one.name for one in self.model.waiting}
        assert len(self.machine.queue) == len(self.model.waiting) <= SIZE
        self.same_ends()
        counts = self.machine.counts
        assert self.machine.offered == self.model.offers == len(self.machine.queue) + sum(counts.values())
        assert counts["executed"] == self.executed

    def same_ends(self) -> None:
        """Each end was announced once, with its reason."""
        told = [(one.id, one.reason) for one in self.machine.disposals]
        assert sorted(told) == sorted(self.model.ends)
        self.machine.disposals, self.model.ends = [], []

    @invariant()
    def rate(self) -> None:
        """Over all lives no second has more starts than the limit."""
        starts = getattr(self, "starts", [])
        assert all(starts[at + RATE] - starts[at] >= SECOND for at in range(len(starts) - RATE))


TestExecutor = ExecutorRules.TestCase
TestExecutor.settings = settings(max_examples=150, stateful_step_count=60)
