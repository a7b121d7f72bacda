"""From a stored run to an experiment: a run of a scenario's own schedule becomes one that can be taken apart. Pure."""

from harness.experiment import Experiment, Held
from harness.explore.menu import menu_of
from harness.history.events import RunStarted
from harness.scenario import Scenario, plan
from harness.tape import Tape
from harness.units import MILLISECOND


def experiment_of(header: RunStarted, scenario: Scenario) -> Experiment:
    """Return the experiment that a history was, or that does what its schedule did.

    Times are in whole milliseconds, as schedules draw them; the tape's seed is the run's own, so everything else is
    drawn as it was.
    """
    if header.experiment:
        return Experiment.of_fields(header.experiment)
    menu = menu_of(scenario, header.profile)
    planned = plan(scenario.profile(header.profile), Tape(header.seed), header.left_out)
    faults = tuple(
        Held(
            one.start_ns // MILLISECOND,
            (one.end_ns - one.start_ns) // MILLISECOND,
            menu.entry(one.fault, one.mode),
        )
        for one in planned
    )
    span_ms = max((fault.end_ms for fault in faults), default=0)
    return Experiment(profile=header.profile, seed=header.seed, span_ms=span_ms, faults=faults)
