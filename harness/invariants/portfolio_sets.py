"""PF3 to PF5: figures depend on which entries a book has, not on how often or in which order, nor on its deaths."""

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from harness.history.history import History
from harness.invariants.portfolio_findings import Offence, gap, judged, told
from harness.invariants.portfolio_record import Expected, Step, read_steps
from harness.verdict import InvariantResult


@dataclass(frozen=True, slots=True, kw_only=True)
class Idempotent:
    """A batch of which everything was acked before changes no figure, and is not called new. Checked: such batches."""

    id: str
    name: str
    statement: str
    needs_end: bool = False

    def judge(self, history: History) -> InvariantResult:
        """Compare the figures after each such batch with those before it."""
        checked = 0
        offences: list[Offence] = []
        last: dict[str, Step] = {}
        for step in read_steps(history):
            before = last.get(step.book)
            last[step.book] = step
            if not step.entries or step.fresh or before is None:
                continue
            checked += 1
            if what := _difference(before.figures(), step.figures()):
                offences.append(Offence(step, f"a repetition changed {what}", before))
            elif step.said["new"]:
                offences.append(Offence(step, f"{step.said['new']} repeated entries were called new", before))
        return judged(
            self,
            history,
            offences,
            checked=checked,
            what="repetitions had changed something",
            unit="repeated batches",
            reason="nothing came twice",
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderFree:
    """Books that have the same entries say the same, whatever order they came in. Checked: such pairs of books."""

    id: str
    name: str
    statement: str
    needs_end: bool = True

    def judge(self, history: History) -> InvariantResult:
        """Compare, for each set of entries, what the books that had it said last."""
        sets: dict[int, dict[str, Step]] = {}
        for step in read_steps(history):
            if step.sure and step.expected.positions:
                sets.setdefault(step.held, {})[step.book] = step
        checked = 0
        offences: list[Offence] = []
        for books in sets.values():
            first, *others = books.values()
            for other in others:
                checked += 1
                if what := _difference(first.figures(), other.figures()):
                    offences.append(Offence(other, f"in another order than in {first.book}: {what}", first))
        return judged(
            self,
            history,
            offences,
            checked=checked,
            what="order had made a difference",
            unit="pairs of books",
            reason="no two books had the same entries",
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Replayed:
    """A book that starts says what it said last, or what it must say with a beginning of the batch in doubt.

    Checked: starts.
    """

    id: str
    name: str
    statement: str
    needs_end: bool = False

    def judge(self, history: History) -> InvariantResult:
        """Compare each start with the step before it."""
        checked = 0
        offences: list[Offence] = []
        last: dict[str, Step] = {}
        for step in read_steps(history):
            before = last.get(step.book)
            last[step.book] = step
            if step.kind != "reload":
                continue
            checked += 1
            figures = step.figures()
            was = _plain(step.expected) if before is None else before.figures()
            what = _difference(was, figures)
            if what and not any(not _difference(_plain(one), figures) for one in step.possible):
                offences.append(Offence(step, f"after a new start, {what}", before))
        return judged(
            self,
            history,
            offences,
            checked=checked,
            what="a start had changed something",
            unit="starts",
            reason="no book was opened",
        )


def _plain(expected: Expected) -> dict[str, Any]:
    return {
        "positions": {symbol: list(one) for symbol, one in expected.positions.items()},
        "fees": expected.fees,
        "deposits": expected.deposits,
        "funding": expected.funding,
    }


def _difference(one: dict[str, Any], other: dict[str, Any]) -> str:
    """Return the greatest difference between figures in words, or an empty string. What is absent is zero."""
    differences: list[tuple[float, str]] = []
    nothing = [Fraction(0)] * 3
    for symbol in sorted({*one["positions"], *other["positions"]}):
        pairs = zip(
            ("position", "cost", "realised PnL"),
            one["positions"].get(symbol, nothing),
            other["positions"].get(symbol, nothing),
            strict=True,
        )
        differences += [(gap(a, b), f"{name} of {symbol} {told(a)} to {told(b)}") for name, a, b in pairs if a != b]
    for sums in ("fees", "deposits", "funding"):
        for asset in sorted({*one[sums], *other[sums]}):
            a, b = one[sums].get(asset, Fraction(0)), other[sums].get(asset, Fraction(0))
            if a != b:
                differences.append((gap(a, b), f"{sums} in {asset} {told(a)} to {told(b)}"))
    return max(differences)[1] if differences else ""


def idempotent(*, id: str = "PF3") -> Idempotent:  # noqa: A002 - the word of PATCHES.md
    """Declare that repetitions change nothing."""
    return Idempotent(id=id, name="idempotent", statement="duplicates and re-deliveries change nothing")


def order_free(*, id: str = "PF4") -> OrderFree:  # noqa: A002
    """Declare that order changes nothing."""
    return OrderFree(id=id, name="order-free", statement="any arrival order of one set of fills ends in one state")


def replayed(*, id: str = "PF5") -> Replayed:  # noqa: A002
    """Declare that a start changes nothing."""
    return Replayed(id=id, name="replay", statement="crash at any point, reload, replay -> the same state")
