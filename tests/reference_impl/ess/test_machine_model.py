"""The machine and its store against a model: whatever happens, in whatever order, crashes included."""

import math
import os
import shutil
import tempfile
from pathlib import Path

import hypothesis.strategies as st
from hypothesis import HealthCheck, settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from reference_impl._ess.files import Files
from reference_impl._ess.machine import (
    ArmAsked,
    DisableAsked,
    ExecutionSeen,
    MetricsSeen,
    ResetAsked,
    StopDone,
    Tick,
    TripAsked,
    decide,
    may_trade,
)
from reference_impl._ess.model import Limits, Standing
from reference_impl._ess.store import Commit, Store

LIMITS = Limits(cooldown_s=900.0, metrics_max_age_s=10.0, checkpoint_s=5.0)
FIGURES = st.sampled_from([0.0, 0.049, 0.05, 0.051, 0.1, 0.2, -1.0, math.nan, math.inf])


class Model:
    """What must be true, told without any of the machine's code: by what happened since, not by states and rules."""

    def __init__(self) -> None:
        self.in_service = False
        self.trips: list[str] = []
        self.open_trip = ""  # the trip that holds orders back
        self.carried_out = False
        self.cooled = 0.0  # seconds of certain cooldown
        self.figures: tuple[float, float] | None = None
        self.figures_age = math.inf
        self.errors = 0

    def state(self) -> str:
        if self.open_trip:
            return "COOLING_DOWN" if self.carried_out else "TRIPPED"
        return "ARMED" if self.in_service else "DISABLED"

    def good(self) -> bool:
        if self.figures is None or self.figures_age >= 10:
            return False
        return -math.inf < self.figures[0] < 0.05 and -math.inf < self.figures[1] < 0.1

    def tripped(self, trip: str) -> None:
        assert trip not in self.trips
        self.trips.append(trip)
        self.open_trip, self.carried_out, self.cooled, self.errors = trip, False, 0.0, 0

    def armed(self) -> None:
        self.in_service, self.open_trip, self.errors = True, "", 0


class StopMachine(RuleBasedStateMachine):
    """Every decision is written as the shell writes it; a crash forgets all but the file."""

    @initialize()
    def begin(self) -> None:
        self.folder = Path(tempfile.mkdtemp(dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else None))
        self.now = 50.0
        self.model = Model()
        self.rows: list[str] = []
        self.open()

    def open(self) -> None:
        self.store = Store(Files(self.folder, "desk"))
        opened = self.store.open()
        assert opened.missed is None
        self.standing = Standing(**opened.standing.saved(), since=self.now)

    def teardown(self) -> None:
        self.store.close()
        shutil.rmtree(self.folder)

    def take(self, event) -> str | None:
        """Decide and write; return why a wish was refused."""
        decision = decide(self.standing, event, self.now, LIMITS)
        changed = decision.standing.saved() != self.standing.saved()
        self.standing = decision.standing
        if decision.transition is not None:
            self.rows.append(decision.transition.id)
            if decision.transition.target == "TRIPPED":
                self.store.forbid()
        if changed:
            self.store.commit([Commit(standing=decision.standing, transition=decision.transition)])
        return decision.refused

    def follow(self) -> None:
        """Have the model follow what needs no asking: a trip of the system, the end of a cooldown."""
        model = self.model
        if model.state() == "ARMED":
            bad = model.figures is not None and not model.good() and model.figures_age < 10
            if bad or model.figures_age >= 10 or model.errors >= 5:
                model.tripped(self.standing.trip)
        elif model.state() == "COOLING_DOWN" and model.cooled >= 900 and model.good():
            model.armed()

    @rule(drawdown=FIGURES, loss=FIGURES)
    def metrics(self, drawdown, loss) -> None:
        self.take(MetricsSeen(drawdown, loss))
        self.model.figures, self.model.figures_age = (drawdown, loss), 0.0
        self.follow()

    @rule()
    def calm_metrics(self) -> None:
        self.metrics(0.01, 0.01)

    @rule(span=st.sampled_from([0.5, 3.0, 5.0, 9.0, 20.0, 895.0, 901.0]))
    def time_passes(self, span) -> None:
        """A tick comes when it is due at the latest."""
        self.now += span
        self.model.figures_age += span
        if self.model.state() == "COOLING_DOWN":
            self.model.cooled += span
        self.take(Tick())
        self.follow()

    @rule(ok=st.booleans())
    def execution(self, ok) -> None:
        self.take(ExecutionSeen(ok))
        self.model.errors = 0 if ok else self.model.errors + 1
        self.follow()

    @rule()
    def five_errors(self) -> None:
        for _ in range(5):
            self.execution(ok=False)

    @rule()
    def person_trips(self) -> None:
        self.take(TripAsked("bob", "drill"))
        self.model.tripped(self.standing.trip)

    @precondition(lambda self: self.model.trips)
    @rule(which=st.integers(-3, -1))
    def stop_done(self, which) -> None:
        """Of the last trip, or an earlier one that comes late."""
        trip = self.model.trips[max(which, -len(self.model.trips))]
        self.take(StopDone(trip))
        if trip == self.model.open_trip and not self.model.carried_out:
            self.model.carried_out, self.model.errors = True, 0

    @precondition(lambda self: self.model.trips)
    @rule(which=st.integers(-3, -1), racing=st.booleans())
    def reset(self, which, racing) -> None:
        """One or two at once; of the last trip, or of an earlier one."""
        trip = self.model.trips[max(which, -len(self.model.trips))]
        for _ in range(1 + racing):
            may = self.model.state() == "COOLING_DOWN" and trip == self.model.open_trip and self.model.good()
            refused = self.take(ResetAsked("alice", "all is well", trip))
            assert (refused is None) is may
            if may:
                self.model.armed()

    @rule()
    def arm(self) -> None:
        may = self.model.state() == "DISABLED" and self.model.good()
        assert (self.take(ArmAsked("alice", "start of day")) is None) is may
        if may:
            self.model.armed()

    @rule()
    def disable(self) -> None:
        may = self.model.state() == "ARMED"
        assert (self.take(DisableAsked("alice", "end of day")) is None) is may
        if may:
            self.model.in_service, self.model.errors = False, 0

    @rule(downtime=st.sampled_from([0.0, 10.0, 100_000.0]), clock=st.sampled_from([0.0, 7.0, 1e6]))
    def crash(self, downtime, clock) -> None:
        """The next process has another monotonic clock, and no metrics; the downtime counts for nothing."""
        del downtime
        self.store.close()
        self.now = clock
        self.open()
        lost = self.model.cooled - self.standing.cooled_s
        assert 0 <= lost < 5.0 or self.model.state() != "COOLING_DOWN"
        self.model.cooled = self.standing.cooled_s
        self.model.figures, self.model.figures_age = None, 0.0

    @invariant()
    def agrees(self) -> None:
        if not hasattr(self, "model"):
            return
        model = self.model
        assert self.standing.state == model.state()
        assert self.standing.errors == model.errors
        assert may_trade(self.standing, self.now, LIMITS) is (model.state() == "ARMED" and model.good())
        assert [row.id for row in self.store.trail()] == self.rows


StopMachine.TestCase.settings = settings(
    stateful_step_count=30, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
TestStopMachine = StopMachine.TestCase
