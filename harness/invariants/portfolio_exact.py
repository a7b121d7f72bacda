"""PF1 and PF2: the figures are the exact ones, and they add up, after every step."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Final, TypeAlias

from harness.history.history import History
from harness.invariants.portfolio_findings import Offence, gap, judged, told
from harness.invariants.portfolio_oracle import Standing
from harness.invariants.portfolio_record import Step, in_quote, read_steps
from harness.verdict import InvariantResult

_NAMES: Final = ("position", "cost", "realised PnL")
_Figure: TypeAlias = tuple[str, Fraction | str, Fraction]
"""What it is, what was said, what is true."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Exact:
    """Every figure equals the oracle's, digit for digit, whenever it is known what the book holds.

    Position, cost and realised profit of each symbol, fees, deposits and funding by asset, and in the valuation what is
    realised, unrealised, and charged. After reconciling, too: then the entries are the exchange's own, what was found
    missing is what was missing, and nothing is left that differs. Checked: steps.
    """

    id: str
    name: str
    statement: str
    needs_end: bool = False

    def judge(self, history: History) -> InvariantResult:
        """Compare all figures of all steps."""
        checked = 0
        offences: list[Offence] = []
        for step in read_steps(history):
            if not step.sure:
                continue
            checked += 1
            wrong = [one for one in _figures(step) if one[1] != one[2]]
            if wrong:
                what, said, true = max(wrong, key=lambda one: gap(one[1], one[2]))
                words = f"{what} is said to be {told(said)}, and is {told(true)}"
                offences.append(Offence(step, words, excess=gap(said, true)))
            elif step.kind == "reconcile" and (words := _misreported(step)):
                offences.append(Offence(step, words))
        return judged(self, history, offences, checked=checked, what="figures are wrong", reason="no figures were told")


@dataclass(frozen=True, slots=True, kw_only=True)
class Conserved:
    """Equity is the sum of its parts as they are told, and it is what was put in, plus what trading brought.

    The second is computed without any convention of cost: positions at their marks, less what was paid for them.
    Checked: steps.
    """

    id: str
    name: str
    statement: str
    needs_end: bool = False

    def judge(self, history: History) -> InvariantResult:
        """Add up every step's value."""
        checked = 0
        offences: list[Offence] = []
        for step in read_steps(history):
            checked += 1
            value = step.value()
            said = value["equity"]
            parts = _sum(value)
            if said != parts:
                words = f"equity is said to be {told(said)}, its parts come to {told(parts)}"
                offences.append(Offence(step, words, excess=gap(said, parts)))
            elif step.sure and said != step.expected.worth:
                words = f"equity is said to be {told(said)}, and is {told(step.expected.worth)}"
                offences.append(Offence(step, words, excess=gap(said, step.expected.worth)))
        return judged(self, history, offences, checked=checked, what="money is amiss", reason="no equity was told")


def _sum(value: Mapping[str, Fraction | str]) -> Fraction | str:
    total = Fraction(0)
    for part, sign in (("deposits", 1), ("realised", 1), ("unrealised", 1), ("fees", -1), ("funding", 1)):
        one = value[part]
        if isinstance(one, str):
            return f"{part} {one}"
        total += sign * one
    return total


def _figures(step: Step) -> Iterator[_Figure]:
    """Yield each figure that was told, or had to be, beside the true one."""
    said, true = step.figures(), step.expected
    nothing = Standing()
    for symbol in sorted({*said["positions"], *true.positions}):
        row = said["positions"].get(symbol, nothing)
        for name, one, other in zip(_NAMES, row, true.positions.get(symbol, nothing), strict=True):
            yield f"{name} of {symbol}", one, other
    for sums, expected in (("fees", true.fees), ("deposits", true.deposits), ("funding", true.funding)):
        for asset in sorted({*said[sums], *expected}):
            yield f"{sums} in {asset}", said[sums].get(asset, Fraction(0)), expected.get(asset, Fraction(0))
    value = step.value()
    yield "unrealised PnL", value["unrealised"], true.unrealised
    yield "realised PnL", value["realised"], sum((one.realised for one in true.positions.values()), Fraction(0))
    yield "all fees", value["fees"], in_quote(true.fees, step.record.value["rates"])


def _misreported(step: Step) -> str:
    """Return what is wrong with what reconciling said it found, or an empty string."""
    found = {(str(symbol), int(trade_id)) for symbol, trade_id in step.said["backfilled"]}
    if wrong := sorted(found.symmetric_difference(step.missing) - step.in_doubt):
        return f"it says that {len(found)} trades were missing; {len(step.missing)} were, such as {wrong[0]}"
    if step.said["differences"]:
        return f"it names a difference that there is not: {step.said['differences'][0]}"
    return ""


def exact(*, id: str = "PF1") -> Exact:  # noqa: A002 - the word of PATCHES.md
    """Declare that figures are exact."""
    return Exact(
        id=id,
        name="exact",
        statement="realised PnL, fees, position = an exact rational oracle, digit for digit",
    )


def conserved(*, id: str = "PF2") -> Conserved:  # noqa: A002
    """Declare that no money appears or vanishes."""
    return Conserved(
        id=id,
        name="conservation",
        statement="equity = deposits + realised + unrealised - fees + funding, at every step",
    )
