"""How often an order may be sent: once if it met a terminal error, and never without end."""

from dataclasses import dataclass
from typing import Final

from harness.history.history import History
from harness.invariants.exchange_record import margin_ns, read_exchange
from harness.invariants.findings import counted
from harness.invariants.intent_findings import Offence, judged
from harness.invariants.intents import read_intents
from harness.units import human, ms, seconds
from harness.verdict import InvariantResult

TERMINAL: Final = (-1022, -1102, -1111, -1121, -2010, -2014, -2015, -2019, -2022, -4003, -4120, -4164)
"""Codes that the same order will meet again: malformed, not allowed, not covered."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TerminalOnce:
    """After a terminal error was answered to an order of an intent, no further order of it is sent.

    Answers that could not arrive do not count (exchange_record.py). Checked: intents that met a terminal error.
    """

    id: str
    name: str
    statement: str
    codes: tuple[int, ...] = TERMINAL
    exchange: str = "binance"
    needs_end: bool = True

    def judge(self, history: History) -> InvariantResult:
        """Look for orders after the first terminal answer of each intent."""
        record = read_exchange(history, self.exchange)
        checked = 0
        offences: list[Offence] = []
        for intent in read_intents(history, self.exchange):
            refused = next((one for one in intent.attempts if one.code in self.codes and record.told(one)), None)
            if refused is None:
                continue
            checked += 1
            again = [
                one
                for one in intent.attempts
                if one.time_ns > refused.answered_ns and not record.died_between(refused.time_ns, one.time_ns)
            ]
            if again:
                what = f"sent again {counted(len(again), 'time')} after {refused.code}"
                offences.append(Offence(intent, what, again[0].time_ns, len(again)))
        reason = "" if checked else "no order met a terminal error"
        return judged(self, history, offences, checked=checked, what="sent again", reason=reason)


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempts:
    """At most `most` orders are sent for an intent; each call ends by its deadline plus `grace`. Checked: intents."""

    id: str
    name: str
    statement: str
    most: int
    grace_ns: int
    real_grace_ns: int
    exchange: str = "binance"
    needs_end: bool = True

    def judge(self, history: History) -> InvariantResult:
        """Count each intent's orders, refused ones included, and time each of its calls."""
        grace = margin_ns(history, self.grace_ns, self.real_grace_ns)
        intents = read_intents(history, self.exchange)
        offences: list[Offence] = []
        for intent in intents:
            if len(intent.attempts) > self.most:
                what = f"{len(intent.attempts)} orders sent (limit {self.most})"
                offences.append(Offence(intent, what, intent.attempts[self.most].time_ns, len(intent.attempts)))
                continue
            for call in intent.calls:
                took_ns = call.duration_ns or 0
                if took_ns > int(call.value["deadline_ns"]) + grace:
                    what = f"took {human(took_ns)} (limit {human(int(call.value['deadline_ns']))})"
                    offences.append(Offence(intent, what, call.start_ns + took_ns))
                    break
        return judged(self, history, offences, checked=len(intents), what="tried without end")


def terminal_once(*, id: str = "EX3") -> TerminalOnce:  # noqa: A002
    """Declare that what met a terminal error is not sent again."""
    return TerminalOnce(id=id, name="terminal", statement="an order that met a terminal error is not sent again")


def attempts(
    most: int = 8,
    *,
    grace_ns: int = ms(100),
    real_grace_ns: int = seconds(1),
    id: str = "EX6",  # noqa: A002
) -> Attempts:
    """Declare how often an intent may be tried. Raises ValueError below 1."""
    if most < 1:
        raise ValueError(f"an intent of at most {most} orders could not be executed")
    statement = f"at most {most} orders for one intent, and an answer by its deadline"
    return Attempts(
        id=id, name="bounded", statement=statement, most=most, grace_ns=grace_ns, real_grace_ns=real_grace_ns
    )
