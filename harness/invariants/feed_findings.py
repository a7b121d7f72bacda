"""How offences on a feed are told: whose they are, when, and what."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from harness.history.history import History
from harness.invariants.findings import Moment, at, counted, finding
from harness.verdict import Finding


@dataclass(frozen=True, slots=True)
class Offence:
    """One thing that should not have happened; `badness` tells the worst of them, the first if all are alike."""

    host: str
    client: str
    time_ns: int
    what: str
    badness: float = 0.0

    def moments(self) -> Iterator[Moment]:
        """Yield its row."""
        yield Moment(self.time_ns, self.host, self.what, self.client, offending=True)


def explain(history: History, offences: Sequence[Offence], where: str) -> Finding:
    """Explain offences, which come in the order of time; there is at least one."""
    first = offences[0]
    return finding(
        history,
        f"{counted(len(offences), 'offence')} {where}; the first, of {first.client}: {first.what}",
        offences,
        label=lambda one: at(one.client, one.time_ns),
        moments=lambda one: one.moments(),
        badness=lambda one: one.badness,
    )
