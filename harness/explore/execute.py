"""Carries out experiments in the sim world, one after the other, and remembers what each came to."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from harness.experiment import Experiment
from harness.explore.applied import applied
from harness.explore.legal import affordable
from harness.runner import Made, Order, make
from harness.scenario import Scenario
from harness.verdict import INTERRUPTED, Outcome


@dataclass(frozen=True, slots=True)
class Outcomes:
    """What an experiment came to: the ids of the invariants that it violates, and what went wrong with the run itself.

    A run that broke violates nothing: what it shows may be the breakage.
    """

    violated: tuple[str, ...]
    errors: tuple[str, ...]


class Laboratory:
    """Where experiments with one scenario and its targets are made. `count` is how many were."""

    def __init__(self, scenario: Scenario, targets: Mapping[str, str], folder: Path) -> None:
        self.scenario = scenario
        self.targets = dict(targets)
        self.count = 0
        self._folder = folder
        self._known: dict[Experiment, Outcomes] = {}

    def known(self, experiment: Experiment) -> Outcomes | None:
        """Return what it came to if it was made before."""
        return self._known.get(experiment)

    def make(self, experiment: Experiment) -> tuple[Outcomes, Made]:
        """Make the experiment, again if it was made before. Raises `KeyboardInterrupt` if interrupted."""
        order = Order(
            scenario=applied(self.scenario, experiment),
            profile=experiment.profile,
            world="sim",
            seed=experiment.seed,
            targets=self.targets,
            folder=self._folder,
        )
        made = make(order, keep=lambda _: False)
        if INTERRUPTED in made.result.doubts:
            raise KeyboardInterrupt
        self.count += 1
        errors = made.result.errors
        judges = () if errors else self.judges(experiment)
        violated = tuple(
            one.id for one in made.result.invariants if one.verdict is Outcome.VIOLATED and one.id in judges
        )
        outcomes = self._known[experiment] = Outcomes(violated, errors)
        return outcomes, made

    def judges(self, experiment: Experiment) -> list[str]:
        """Return the invariants that apply: those whose fault budget is kept."""
        wishes = self.scenario.explore
        ids = [one.id for one in self.scenario.invariants]
        return [name for name in ids if affordable(experiment.faults, wishes.budget_of(name))]

    def outcomes(self, experiment: Experiment) -> Outcomes:
        """Return what it comes to; it is made only if that is not known."""
        known = self._known.get(experiment)
        return known if known is not None else self.make(experiment)[0]
