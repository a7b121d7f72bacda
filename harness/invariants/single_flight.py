"""PS6: however many ask at once, one refresh is under way. Judged by what the link saw, not by what the store says.

While the fault `network.delay_reply` holds on the link of a host, every reply to the command that refreshes comes
`delay_ns` later, and the link counts these requests (`matched`). One after the other, at most one of them fits into
each `delay_ns` of the time that the fault held; if more went over the link, several were under way at once.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from harness.history.history import History
from harness.history.query import FaultWindow, fault_windows, operations, toxic_counts
from harness.invariants.base import none_of
from harness.invariants.findings import Moment, at, counted, finding
from harness.units import human
from harness.verdict import Finding, InvariantResult


@dataclass(frozen=True, slots=True, kw_only=True)
class SingleFlight:
    """In each such fault, at most one request for each `delay_ns`, and two at its ends, went over the link.

    Asked for it have operations of that name, each `size` times at once; a window in which fewer asked than would be
    allowed shows nothing and is not counted. Nor is one in which another fault of the link or of the server held: a
    request that it ended made room for the next. Observed: windows with more. Checked: windows.
    """

    id: str
    name: str
    statement: str
    delay_ns: int
    operation: str = "herd"
    fault: str = "network.delay_reply"
    needs_end: bool = False

    def judge(self, history: History) -> InvariantResult:
        """Judge every window by itself."""
        windows = list(self._windows(history))
        many = [one for one in windows if one.sent > one.allowed]
        return none_of(
            self,
            many,
            checked=len(windows),
            unit="windows",
            reason="" if windows else "nobody asked while replies were late",
            explain=lambda: self._explain(history, many),
        )

    def _windows(self, history: History) -> Iterator["_Flights"]:
        for window in fault_windows(history, self.fault):
            if window.end_ns is None or _disturbed(history, window):
                continue
            host, _, dependency = window.on.partition("->")
            allowed = (window.end_ns - window.start_ns) // self.delay_ns + 2
            asked = sum(
                one.value["size"]
                for one in operations(history, self.operation)
                if one.actor == host and window.holds_at(one.start_ns)
            )
            if asked > allowed:
                counts = toxic_counts(history, window, host, dependency, {"redis_match"})
                yield _Flights(window, asked, counts.get("matched", 0), allowed)

    def _explain(self, history: History, many: Sequence["_Flights"]) -> Finding:
        worst = max(many, key=lambda one: one.sent)
        sentence = (
            f"{counted(worst.sent, 'request')} went over {worst.window.on} while each took {human(self.delay_ns)}; "
            f"one at a time it would be {worst.allowed} at most ({worst.asked} were asked for)"
        )
        return finding(
            history,
            sentence,
            many,
            label=lambda one: at(one.window.on, one.window.start_ns),
            moments=_Flights.moments,
            badness=lambda one: one.sent - one.allowed,
        )


@dataclass(frozen=True, slots=True)
class _Flights:
    window: FaultWindow
    asked: int
    sent: int
    allowed: int

    def moments(self) -> Iterator[Moment]:
        text = f"{self.sent} sent, {self.allowed} allowed"
        yield Moment(self.window.end_ns or self.window.start_ns, self.window.on, text, "refreshes", offending=True)


def _disturbed(history: History, window: FaultWindow) -> bool:
    host, _, dependency = window.on.partition("->")
    for other in fault_windows(history):
        overlaps = other.start_ns <= (window.end_ns or history.end_ns) and (
            other.end_ns is None or other.end_ns >= window.start_ns
        )
        on_it = other.on in {host, dependency, window.on} and not other.name.startswith("clock.")
        if other.number != window.number and overlaps and on_it:
            return True
    return False


def single_flight(*, delay_ns: int, id: str = "PS6") -> SingleFlight:  # noqa: A002 - the word of PATCHES.md
    """Declare that refreshes are made one at a time; `delay_ns` is what `network.delay_reply` was given."""
    statement = "one refresh is in flight per store, whatever the readers"
    return SingleFlight(id=id, name="single-flight", statement=statement, delay_ns=delay_ns)
