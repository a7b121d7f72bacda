"""What is told: once, the cause, damped; over restarts too."""

from collections.abc import Mapping
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reference_impl._health.alerts import Alerter, Told
from reference_impl._health.machine import Machine
from reference_impl._health.model import Alert, Options, Reading, Service, State

H, D, C, U = State.HEALTHY, State.DEGRADED, State.CRITICAL, State.UNKNOWN
OPTIONS = Options(interval=2.0, timeout=1.0)
STORE = Service(name="store", url="http://store/health")
BOT = Service(name="bot", url="http://bot/health", depends_on=("store",))
DESK = Service(name="desk", url="http://desk/health", depends_on=("bot",))
FEED = Service(name="feed", url="http://feed/health")
ALL = (STORE, BOT, DESK, FEED)


class Bench:
    """Services, their checks, and what was told, as `service kind`."""

    def __init__(self, *, told: Mapping[str, Told] | None = None, first: Mapping[str, State] | None = None) -> None:
        self.services = ALL
        self.machines = {one.name: Machine(one.name, OPTIONS) for one in self.services}
        self.alerter = Alerter(self.services, self.machines, OPTIONS, told or {})
        self.alerts: list[Alert] = []
        self.now = 1_000.0
        for one in self.services:
            self.check(**{one.name: (first or {}).get(one.name, H)})

    def check(self, **found: State) -> "Bench":
        """Check these, in this order, at this moment."""
        for name, state in found.items():
            self.machines[name].take(Reading(state, "" if state is H else "why"), self.now)
            self.alerts += self.alerter.due(name, self.now, 5_000.0 + self.now)
        return self

    def rounds(self, count: int, **found: State) -> "Bench":
        """Check these so many times, a second apart, and the others, which are healthy."""
        for _ in range(count):
            self.now += 1.0
            self.check(**{one.name: found.get(one.name, H) for one in self.services})
        return self

    @property
    def told(self) -> list[str]:
        return [f"{one.service} {one.kind}" for one in self.alerts]


def test_nothing_is_told_of_what_is_well() -> None:
    """Nor that it turned out to be."""
    assert Bench().rounds(20).told == []


def test_an_outage_is_told_once_and_its_end() -> None:
    """However long it lasts."""
    bench = Bench().rounds(50, feed=C).rounds(50)
    assert bench.told == ["feed down", "feed recovered"]
    down, recovered = bench.alerts
    assert (down.id, down.state, down.reason, down.affected) == ("feed-1", C, "why", ())
    assert down.at == 5_000.0 + 1_002.0
    assert (recovered.id, recovered.state, recovered.reason) == ("feed-2", H, "")


def test_getting_worse_and_better_is_told() -> None:
    """Degraded is not down."""
    bench = Bench().rounds(40, feed=D).rounds(40, feed=C).rounds(40, feed=D).rounds(9)
    assert bench.told == ["feed degraded", "feed down", "feed degraded", "feed recovered"]


def test_one_failed_check_is_nobodys_business() -> None:
    """Two in a row are."""
    bench = Bench()
    for _ in range(10):
        bench.rounds(1, feed=C).rounds(1)
    assert bench.told == []


@pytest.mark.parametrize("first", ["store", "bot"])
def test_the_cause_is_told_and_not_its_consequences(first: str) -> None:
    """Whichever is found out first; the alert names all that suffer, over however many others."""
    bench = Bench()
    bench.rounds(3, **({"store": C} if first == "store" else {"bot": C, "desk": C}))
    bench.rounds(30, store=C, bot=C, desk=C).rounds(3, bot=C, desk=C).rounds(30)
    assert bench.told == ["store down", "store recovered"]
    assert bench.alerts[0].affected == ("bot", "desk")


def test_a_consequence_that_stays_is_a_cause_of_its_own() -> None:
    """When the cause has been well again for a while."""
    bench = Bench().rounds(20, store=C, bot=C).rounds(40, bot=C)
    assert bench.told == ["store down", "store recovered", "bot down"]
    assert bench.alerts[-1].affected == ("desk",)


def test_a_service_whose_causes_are_well_is_told_of_a_little_later() -> None:
    """After they have been checked since: an interval and a timeout."""
    bench = Bench().rounds(2, bot=C)
    changed = bench.now
    bench.rounds(20, bot=C)
    assert bench.told == ["bot down"]
    assert bench.alerts[0].at - 5_000.0 - changed == 3.0


def test_a_cause_in_doubt_does_not_silence_for_ever() -> None:
    """One that fails every other check is never down, and never quite well."""
    bench = Bench()
    for _ in range(20):
        bench.rounds(1, bot=C, store=C).rounds(1, bot=C)
    assert bench.told == ["bot down"]


def test_flapping_is_told_once_and_what_comes_of_it() -> None:
    """Four alerts at most until it is calm, and one when it is."""
    bench = Bench()
    for _ in range(20):
        bench.rounds(2, feed=C).rounds(2)
    assert bench.told == ["feed down", "feed recovered", "feed down", "feed flapping"]
    assert bench.alerts[-1].state is H
    bench.rounds(40)
    assert bench.told[4:] == []
    bench.rounds(20, feed=C)
    assert bench.told[4:] == ["feed down"]


def test_what_flapping_ends_in_is_told() -> None:
    """Once it has been so for half a window."""
    bench = Bench()
    for _ in range(5):
        bench.rounds(2, feed=C).rounds(2)
    bench.rounds(40, feed=C)
    assert bench.told == ["feed down", "feed recovered", "feed down", "feed flapping", "feed down"]


def test_a_restart_tells_nothing_that_was_told() -> None:
    """Not of what is down still, nor of its consequences, in whatever order they are found."""
    told = {"feed": Told(C, 7), "store": Told(C, 1)}
    bench = Bench(told=told, first={"feed": C, "store": C, "bot": C})
    bench.rounds(30, feed=C, store=C, bot=C)
    assert bench.told == []
    assert bench.alerter.told()["feed"] == Told(C, 7)


def test_a_restart_tells_what_changed_meanwhile() -> None:
    """Numbers go on, so that an id is never given twice."""
    bench = Bench(told={"feed": Told(C, 7)}, first={"store": C}).rounds(30, store=C)
    assert bench.told == ["feed recovered", "store down"]
    assert [one.id for one in bench.alerts] == ["feed-8", "store-1"]


def test_what_is_unknown_is_not_told() -> None:
    """Nothing was found."""
    bench = Bench()
    bench.now += 60.0
    bench.check(feed=C)
    assert bench.machines["feed"].state(bench.now) is U
    assert bench.told == []


@given(st.lists(st.tuples(st.sampled_from(["store", "bot", "desk", "feed"]), st.sampled_from([H, D, C])), max_size=150))
def test_alerts_of_a_service_differ_from_the_one_before(checks: list[tuple[str, State]]) -> None:
    """Whatever is found when: never the same twice, never an all-clear first, ids in order, at most 4 in a window."""
    bench = Bench()
    for name, state in checks:
        bench.now += 0.5
        bench.check(**{name: state})
    for name in bench.machines:
        mine = [one for one in bench.alerts if one.service == name]
        states = [H, *(one.state for one in mine)]
        assert all(before is not after for before, after in pairwise(states))
        assert [one.id for one in mine] == [f"{name}-{number}" for number in range(1, len(mine) + 1)]
        for at in range(len(mine) - 4):
            within = mine[at + 4].at - mine[at].at
            assert within > OPTIONS.flap_span / 2
