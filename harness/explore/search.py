"""The search: experiments that failed before, then one without any fault, then by turns four ways to draw.

Hypothesis draws an experiment; it prefers what is small, at an edge, or much like its last draw, which finds what one
plain fault does. What reached something new joins a corpus, and some are mutations of one from there, half of them of
one that came into some state, whichever, as the rare ones are worth most. Some are drawn by even dice, for what takes
two things that are rarely drawn, and some are what is due: faults that were used least, alone and together. The dice
of all but the first are a tape of the search's own seed, so that the same command makes the same experiments;
Hypothesis could not throw them, as it takes the same choices to mean the same draw.

The first execution, without faults, tells which links are in use and which operations there are, and when: faults of a
link that nobody speaks over would be draws for nothing.
"""

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, replace
from typing import Final

from harness.errors import UsageError
from harness.experiment import Experiment
from harness.explore.coverage import REACHED, Coverage, Feature, features
from harness.explore.draw import Larder, Uses, due, fresh, mutated
from harness.explore.execute import Laboratory
from harness.explore.failures import Failures
from harness.explore.landmarks import Landmarks, landmarks
from harness.explore.menu import Menu, menu_of
from harness.history.history import History
from harness.history.query import observations, operations
from harness.scenario import Between, Profile, Scenario
from harness.tape import Stream, Tape
from harness.units import MILLISECOND

_CORPUS_MAX: Final = 64
_DRAWS_PER_EXECUTION_MAX: Final = 20
"""Drawing the same again costs no execution, but may not go on for ever."""


@dataclass(frozen=True, slots=True)
class Errored:
    """An execution that broke: no finding, and no pass either."""

    experiment: Experiment
    text: str


@dataclass(frozen=True, slots=True)
class Searched:
    """What a search came to. `found` violates the invariants `violated`; None: nothing did.

    `remembered`: it was in the database. `stopped` is why the search ended before its number of executions.
    """

    executions: int
    found: Experiment | None
    violated: tuple[str, ...]
    errors: tuple[Errored, ...]
    coverage: Coverage
    remembered: bool = False
    stopped: str = ""


def search(
    laboratory: Laboratory,
    failures: Failures,
    *,
    executions: int,
    seed: int,
    wanted: Collection[str] | None = None,
    go_on: Callable[[], str] = lambda: "",
    told: Callable[[int, int, int], None] = lambda *_: None,
) -> Searched:
    """Search until an invariant is violated (one of `wanted`, if given), or so many executions were made.

    `go_on` is asked before each execution and returns why not to, if not; `told` hears of each: how many there were,
    how many failed to run, how much has been reached.
    """
    run = _Search(laboratory, failures, executions, wanted, go_on, told)
    try:
        run.remembered()
        run.scout()
        run.drawn(seed)
    except _EnoughError:
        pass
    return run.searched()


def span_ms(scenario: Scenario) -> int:
    """Return how long faults may hold: what the scenario says, or as long as its own schedule may take."""
    wishes = scenario.explore
    if wishes.span_ns is not None:
        return wishes.span_ns // MILLISECOND
    return _schedule_ns(scenario.profile(wishes.profile)) // MILLISECOND


def quiet_experiment(scenario: Scenario) -> Experiment:
    """Return the experiment in which no fault happens."""
    return Experiment(profile=scenario.explore.profile, seed=0, span_ms=span_ms(scenario))


def quiet_history(laboratory: Laboratory) -> History:
    """Return what is recorded where no fault happens."""
    return laboratory.make(quiet_experiment(laboratory.scenario))[1].history


def larder_of(scenario: Scenario, quiet: History, profile: str | None = None) -> Larder:
    """Return what can be drawn for a scenario, of which `quiet` is a run without faults; at another size, if given."""
    menu = menu_of(scenario, profile or scenario.explore.profile)
    links = {f"{seen.actor}->{seen.value.get('to')}" for seen in observations(quiet, "link")}
    entries = [entry for entry, item in menu.items.items() if "->" not in item.fault.on or item.fault.on in links]
    kinds: dict[str, list[str]] = {}
    for entry in [*entries, *_inside(menu, quiet)]:
        kinds.setdefault(menu.item(entry).kind, []).append(entry)
    span = span_ms(scenario)
    profiles = scenario.profiles.values()
    own = {(fault.name, fault.on) for one in profiles for step in one.schedule for fault in step.faults}
    faults = {entry: menu.item(entry).fault for kind in kinds.values() for entry in kind}
    return Larder(
        menu=menu,
        kinds=tuple(tuple(kind) for kind in kinds.values()),
        wishes=scenario.explore,
        span_ms=span,
        own=frozenset(entry for entry, fault in faults.items() if (fault.name, fault.on) in own),
        landmarks=landmarks(quiet, span),
    )


def _inside(menu: Menu, quiet: History) -> Iterator[str]:
    names: dict[str, dict[str, None]] = {}
    for operation in operations(quiet):
        names.setdefault(operation.actor, {})[operation.name] = None
    for host in menu.hosts:
        yield from menu.inside(host, names.get(host, {}))


def _schedule_ns(profile: Profile) -> int:
    def most(span: int | Between) -> int:
        return span.high_ns if isinstance(span, Between) else span

    ends = [most(step.start) + most(step.duration) for step in profile.schedule]
    if not ends:
        raise UsageError("a scenario without a schedule has to say how long it is explored: Exploring(span_ns=...)")
    return max(ends)


class _EnoughError(Exception):
    """The search is over."""


class _Search:
    """A search under way."""

    def __init__(
        self,
        laboratory: Laboratory,
        failures: Failures,
        executions: int,
        wanted: Collection[str] | None,
        go_on: Callable[[], str],
        told: Callable[[int, int, int], None],
    ) -> None:
        self._laboratory = laboratory
        self._failures = failures
        self._executions = executions
        self._wanted = wanted
        self._go_on = go_on
        self._told = told
        self._coverage = Coverage()
        self._corpus: list[tuple[Experiment, Landmarks]] = []
        self._came_into: dict[Feature, tuple[Experiment, Landmarks]] = {}
        self._uses = Uses()
        self._errors: list[Errored] = []
        self._found: Experiment | None = None
        self._violated: tuple[str, ...] = ()
        self._remembered = False
        self._stopped = ""
        self._quiet: History | None = None

    def searched(self) -> Searched:
        return Searched(
            self._laboratory.count,
            self._found,
            self._violated,
            tuple(self._errors),
            self._coverage,
            remembered=self._remembered,
            stopped=self._stopped,
        )

    def remembered(self) -> None:
        """Try what failed before; what does not any more is forgotten, but not what fails otherwise, or breaks."""
        for experiment in self._failures.kept():
            outcomes = None
            try:
                self._remembered = True
                self._try(experiment)
                outcomes = self._laboratory.known(experiment)
            except UsageError:  # it names what the scenario no longer has
                pass
            self._remembered = False
            if outcomes is None or not (outcomes.violated or outcomes.errors):
                self._failures.forget(experiment)

    def scout(self) -> None:
        """Make an experiment without faults."""
        self._quiet = self._try(quiet_experiment(self._laboratory.scenario))

    def drawn(self, seed: int) -> None:
        """Let Hypothesis draw, and mutate what was new, until there is reason to stop."""
        from hypothesis import HealthCheck, Phase, Verbosity, given, settings  # noqa: PLC0415 - slow to import
        from hypothesis import seed as seeded  # noqa: PLC0415
        from hypothesis import strategies as st  # noqa: PLC0415

        assert self._quiet is not None
        larder = larder_of(self._laboratory.scenario, self._quiet)
        dice = Tape(seed).stream("explore")

        @st.composite
        def experiments(draw: st.DrawFn) -> Experiment:
            return fresh(_Drawing(lambda limit: draw(st.integers(0, limit - 1))), larder)

        @seeded(seed)
        @settings(
            max_examples=_DRAWS_PER_EXECUTION_MAX * self._executions,
            database=None,
            deadline=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
            verbosity=Verbosity.quiet,
            report_multiple_bugs=False,
            print_blob=False,
        )
        @given(experiments())
        def try_each(experiment: Experiment) -> None:
            if self._stopped or self._found is not None:
                raise _EnoughError
            if self._laboratory.known(experiment) is None:
                self._try(experiment)
                self._mutate(dice, larder)
                self._try_new(fresh(dice, larder))
                self._try_new(due(dice, larder, self._uses))
                self._try_new(fresh(dice, larder))
                self._mutate(dice, larder)
                self._try_new(fresh(dice, larder))

        try_each()

    def _mutate(self, dice: Stream, larder: Larder) -> None:
        if not self._corpus:
            return
        newest = dice.below(1 + dice.below(len(self._corpus)))  # the newest most often
        parent, marks = self._corpus[-1 - newest]
        if self._came_into and dice.below(2):
            parent, marks = self._came_into[sorted(self._came_into)[dice.below(len(self._came_into))]]
        other, _ = self._corpus[dice.below(len(self._corpus))]
        self._try_new(mutated(dice, replace(larder, landmarks=marks), parent, other))

    def _try_new(self, experiment: Experiment) -> None:
        if self._laboratory.known(experiment) is None:
            self._try(experiment)

    def _try(self, experiment: Experiment) -> History:
        """Make one experiment and learn from it. Raises `_EnoughError` when the search is over."""
        if self._laboratory.count >= self._executions:
            self._stopped = "executions"
            raise _EnoughError
        if why := self._go_on():
            self._stopped = why
            raise _EnoughError
        outcomes, made = self._laboratory.make(experiment)
        self._uses.note(experiment.faults)
        if outcomes.errors:
            self._errors.append(Errored(experiment, outcomes.errors[0]))
        else:
            self._learn(experiment, made.history)
        self._told(self._laboratory.count, len(self._errors), len(self._coverage))
        self._conclude(experiment, outcomes.violated)
        return made.history

    def _learn(self, experiment: Experiment, history: History) -> None:
        reached = set(features(history))
        kept = experiment, landmarks(history, experiment.span_ms)
        self._came_into |= {feature: kept for feature in reached if feature.phase == REACHED}
        if self._coverage.note(reached):
            self._corpus.append(kept)
            del self._corpus[:-_CORPUS_MAX]

    def _conclude(self, experiment: Experiment, violated: tuple[str, ...]) -> None:
        hit = violated if self._wanted is None else tuple(one for one in violated if one in self._wanted)
        if hit:
            self._found, self._violated = experiment, hit
            self._failures.keep(experiment)
            raise _EnoughError


@dataclass(frozen=True, slots=True)
class _Drawing:
    """Hypothesis as dice."""

    draw: Callable[[int], int]

    def below(self, limit: int, /) -> int:
        return self.draw(limit) if limit > 1 else 0
