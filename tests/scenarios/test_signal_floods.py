"""The signal floods of patch 3: what is in the mix, and what a second life takes over from the first."""

from pathlib import Path

import pytest

from harness.history.events import Invoke, Observation
from harness.history.query import observations, operations
from harness.history.store import load
from harness.registry import discover
from harness.tape import Tape
from scenarios import signal_hosts
from scenarios.signal_mix import POISONS, Mix

SCENARIOS = {name: scenario for name, scenario in discover().items() if "executor" in scenario.ports}


def test_a_kill_in_the_flood_is_survived(run_short) -> None:
    """The second life goes on where the first ended, and offers again the exits that it still wants."""
    result = run_short(SCENARIOS["signal-flood"])
    assert result.history is not None
    history = load(Path(result.history))
    offers = operations(history, "offer")
    assert {one.incarnation for one in offers} == {1, 2}
    keys = [one.value["key"] for one in offers]
    assert len(keys) == len(set(keys))
    allowed = [one.value["allowed"] for one in observations(history, "trading")]
    assert False in allowed
    assert allowed[-1]


def test_the_mix_has_everything_in_it() -> None:
    """All poisons, repetitions, exits, short-lived signals and equal confidences, in the shares that were asked for."""
    mix = Mix(Tape(1).stream("mix"), {"poison": 100, "repeated": 50, "exits": 20})
    offers = [mix.next(number) for number in range(20_000)]
    flaws = [offer.value["flaw"] for offer in offers]
    assert set(flaws) == {"", "repeated id", *POISONS}
    assert 0.09 < sum(flaw in POISONS for flaw in flaws) / len(flaws) < 0.11
    assert 0.04 < flaws.count("repeated id") / len(flaws) < 0.06
    good = [offer.value for offer in offers if not offer.value["flaw"]]
    assert 0.015 < sum(one["exit"] for one in good) / len(offers) < 0.025
    assert 0.1 < sum(one["ttl_ns"] < 10**9 for one in good) / len(good) < 0.3
    assert len({one["confidence"] for one in good}) < len(good) / 2
    assert len({(one["symbol"], one["side"]) for one in good}) == 240


class PastHost:
    """As much of a host as a restart looks at."""

    def __init__(self, *past: Invoke | Observation) -> None:
        self.past = past


def test_a_halt_is_planned_once() -> None:
    """The second life has the first one's plan."""
    planned = Observation(0, "engine", 1, "halt_planned", {"at": 7, "length_ns": 9})
    assert signal_hosts._planned_halt(PastHost(planned)) == (7, 9)


def offered(name: str, symbol: str, *, leaving: bool = True, flaw: str = "") -> Invoke:
    """An offer of an earlier life."""
    value = {"key": name, "id": name, "symbol": symbol, "side": "SELL", "exit": leaving, "flaw": flaw}
    return Invoke(0, "engine", 1, int(name[1:]), "offer", value)


def test_exits_that_did_not_end_are_wanted_again() -> None:
    """The newest for each symbol and side; none that executed, or ended, nor entries and what was malformed."""
    past = (
        offered("s1", "A"),
        offered("s2", "B"),
        offered("s3", "C"),
        offered("s4", "C"),
        offered("s5", "D", leaving=False),
        offered("s6", "E", flaw="no symbol"),
        offered("s7", "F"),
        Invoke(0, "engine", 1, 90, "execution", {"key": "s1"}),
        Observation(0, "engine", 1, "disposed", {"id": "s2", "reason": "expired"}),
        Observation(0, "engine", 1, "disposed", {"id": "s7", "reason": "rejected"}),
    )
    assert [value["id"] for value in signal_hosts._exits_left(PastHost(*past))] == ["s4", "s7"]


@pytest.mark.parametrize(("halts", "until"), [((), 0), ((0,), 0), ((0, 9), 9), ((0, 9, 0), 0)])
def test_a_halt_outlives_the_one_who_obeys_it(halts: tuple[int, ...], until: int) -> None:
    """The last word of the life before."""
    past = [Observation(0, "engine", 1, "trading", {"allowed": not one, "until_ns": one}) for one in halts]
    assert signal_hosts._halted_until(PastHost(*past)) == until
