"""A host killed after every step of an operation, one run for each: no await is left out, and none is left to luck.

In the sim world a step ends where the code awaits something, so the steps of an operation are all the moments at which
a crash can part what was done from what was not. The runs are of one scenario and one seed; they are the same up to the
kill. Its own schedule is put aside: a crash is to be blamed for what follows, and nothing else that was not asked for.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from harness.errors import HarnessError, unknown_name
from harness.faults.process import kill_inside
from harness.history.events import JSON
from harness.invariants.base import Invariant
from harness.invariants.needs import at_least
from harness.runner import Order, run
from harness.scenario import Scenario, Step, during
from harness.units import seconds
from harness.verdict import RunResult

STEPS_MAX: Final = 500
"""An operation that takes more steps is not one whose crashes are to be tried one by one."""


@dataclass(frozen=True, slots=True)
class CrashPoint:
    """One run. `inside`: the host died before the operation ended; the last run is the first one of which not."""

    step: int
    inside: bool
    result: RunResult


def crash_points(
    scenario: Scenario,
    *,
    host: str,
    operation: str,
    after_ns: int,
    folder: Path,
    targets: Mapping[str, str] | None = None,
    where: Mapping[str, JSON] | None = None,
    schedule: Sequence[Step] = (),
    ids: Collection[str] | None = None,
    seed: int = 1,
    profile: str = "full",
    down_ns: int = seconds(1),
) -> Iterator[CrashPoint]:
    """Run the scenario once for each step of the first such operation that begins `after_ns` after the start.

    Of operations of that name, one counts whose value holds all of `where`.

    The host dies after step 0, the one that begins the operation, after step 1, and so on, until the operation has
    ended before it dies. `down_ns` after `after_ns`, when it must be dead, it starts again. `schedule` is what else
    happens; what the scenario needs of its own does not apply. `ids`: judge by these of its invariants, since some can
    tell nothing without its faults. Histories of runs that do not pass stay in `folder`.

    Raises `HarnessError` if the operation does not begin in that time, or takes more than STEPS_MAX steps, and
    `UsageError` for an id that is none of its invariants'.
    """
    invariants = _chosen(scenario, ids)
    for step in range(STEPS_MAX):
        fault = kill_inside(host, operation, where=where, step=step)
        chosen = replace(
            scenario.profile(profile),
            schedule=(during(after_ns, down_ns, fault), *schedule),
            needs=(at_least(1, operation),),
        )
        crashing = replace(scenario, profiles={profile: chosen}, invariants=invariants, flawed=())
        order = Order(
            scenario=crashing,
            profile=profile,
            world="sim",
            seed=seed,
            targets=scenario.ports if targets is None else targets,
            folder=folder / f"step{step:03d}",
        )
        result = run(order, keep_history=False)
        hit = result.faults[0]
        if not hit.bit:
            raise HarnessError(f"{host} was not killed in {operation!r}, {step} steps into it: {result.errors}")
        inside = hit.evidence["cut_short"] > 0
        yield CrashPoint(step=step, inside=inside, result=result)
        if not inside:
            return
    raise HarnessError(f"{operation!r} of {host} takes more than {STEPS_MAX} steps")


def _chosen(scenario: Scenario, ids: Collection[str] | None) -> tuple[Invariant, ...]:
    known = {one.id: one for one in scenario.invariants}
    for name in ids or ():
        if name not in known:
            raise unknown_name(f"invariant of {scenario.name}", name, known)
    return scenario.invariants if ids is None else tuple(known[name] for name in ids)
