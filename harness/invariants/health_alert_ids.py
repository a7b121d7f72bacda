"""HM7: an alert's id names its news. Whoever receives alerts drops those whose id is known: a repetition after a crash.

So the same id may come again with the same news of the same service, and never with other news. Checked: alerts that
bear an id. Observed: alerts whose id had stood for something else.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from harness.history.events import Observation
from harness.history.history import History
from harness.history.query import observations
from harness.invariants.base import none_of
from harness.invariants.findings import Moment, at, counted, finding
from harness.verdict import Finding, InvariantResult


@dataclass(frozen=True, slots=True)
class _Confused:
    """An alert, and the one that bore its id before and said something else."""

    alert: Observation
    before: Observation

    def moments(self) -> Iterator[Moment]:
        for seen in (self.before, self.alert):
            text = f"{seen.value['service']}: {seen.value['kind']}"
            yield Moment(seen.time_ns, seen.actor, text, str(seen.value["id"]), offending=seen is self.alert)


@dataclass(frozen=True, slots=True, kw_only=True)
class Distinct:
    """No id stands for two different news."""

    id: str
    name: str
    statement: str
    needs_end: bool = False

    def judge(self, history: History) -> InvariantResult:
        """Compare each alert with the first of its id."""
        first: dict[str, Observation] = {}
        checked, confused = 0, []
        for seen in observations(history, "alert"):
            if (name := seen.value.get("id")) is None:
                continue
            checked += 1
            before = first.setdefault(str(name), seen)
            if _news(before) != _news(seen):
                confused.append(_Confused(seen, before))
        return none_of(self, confused, checked=checked, unit="alerts", explain=lambda: _explain(history, confused))


def _news(seen: Observation) -> tuple[str, str]:
    return str(seen.value.get("service")), str(seen.value.get("kind"))


def _explain(history: History, confused: list[_Confused]) -> Finding:
    return finding(
        history,
        f"{counted(len(confused), 'alert')} with an id that had stood for other news (limit 0): a receiver drops it",
        confused,
        label=lambda one: at(str(one.alert.value["id"]), one.alert.time_ns),
        moments=lambda one: one.moments(),
        badness=lambda one: -one.alert.time_ns,
    )


def distinct(
    *,
    id: str = "HM7",  # noqa: A002 - the word of PATCHES.md
    name: str = "distinct",
    statement: str = "an alert's id never stands for two different news",
) -> Distinct:
    """Declare that alerts can be told apart by their ids."""
    return Distinct(id=id, name=name, statement=statement)
