"""HM7 on histories written by hand: what an alert's id may stand for."""

import pytest

from harness.history.events import SCHEMA, Event, Observation, RunEnded, RunStarted
from harness.history.history import History
from harness.invariants.base import judge_all
from harness.invariants.health_alert_ids import distinct
from harness.units import seconds
from harness.verdict import InvariantResult, Outcome


def judged(*alerts: tuple[str | None, str, str]) -> InvariantResult:
    """Judge alerts of these ids, services and kinds, a second apart."""
    events: list[Event] = [RunStarted(0, "harness", 1, SCHEMA, "0", "s", "short", "sim", 1, {}, [])]
    for number, (name, service, kind) in enumerate(alerts, start=1):
        value = {"service": service, "kind": kind, **({} if name is None else {"id": name})}
        events.append(Observation(seconds(number), "monitor", 1, "alert", value))
    events.append(RunEnded(seconds(99), "harness", 1, None, len(events)))
    (result,) = judge_all(History.of(events), [distinct()])
    return result


def test_ids_of_their_own_hold() -> None:
    """Each news has its id; told again after a crash it keeps it."""
    result = judged(("feed-1", "feed", "down"), ("feed-1", "feed", "down"), ("feed-2", "feed", "recovered"))

    assert (result.verdict, result.checked) == (Outcome.HOLDS, 3)


@pytest.mark.parametrize("other", [("feed-1", "feed", "recovered"), ("feed-1", "risk", "down")])
def test_an_id_for_other_news_is_violated(other: tuple[str, str, str]) -> None:
    """Another kind, or another service: a receiver would take it for known, and drop it."""
    result = judged(("feed-1", "feed", "down"), other)

    assert (result.verdict, result.observed) == (Outcome.VIOLATED, 1)
    assert result.finding is not None
    assert [row.offending for row in result.finding.rows] == [False, True]


def test_alerts_without_ids_prove_nothing() -> None:
    """A monitor that gives none has not been shown to give good ones; nor has one that was silent."""
    assert judged((None, "feed", "down")).verdict is Outcome.INCONCLUSIVE
    assert judged().verdict is Outcome.INCONCLUSIVE
