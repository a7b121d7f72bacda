"""A host killed after every step of an operation, one run for each: no await is left out, and none is left to luck.

In the sim world a step ends where the code awaits something, so the steps of an operation are all the moments at which
a crash can part what was done from what was not. The runs are of one scenario and one seed; they are the same up to the
kill. Its own schedule is put aside: a crash is to be blamed for what follows, and nothing else.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from harness.errors import HarnessError
from harness.faults.process import kill_inside
from harness.runner import Order, run
from harness.scenario import Scenario, during
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
    seed: int = 1,
    profile: str = "full",
    down_ns: int = seconds(1),
) -> Iterator[CrashPoint]:
    """Run the scenario once for each step of the first such operation that begins `after_ns` after the start.

    The host dies after step 0, the one that begins the operation, after step 1, and so on, until the operation has
    ended before it dies. `down_ns` after `after_ns`, when it must be dead, it starts again. Histories of runs that do
    not pass stay in `folder`.

    Raises `HarnessError` if the operation does not begin in that time, or takes more than STEPS_MAX steps.
    """
    for step in range(STEPS_MAX):
        fault = kill_inside(host, operation, step=step)
        chosen = replace(scenario.profile(profile), schedule=(during(after_ns, down_ns, fault),))
        crashing = replace(scenario, profiles={profile: chosen})
        order = Order(
            scenario=crashing,
            profile=profile,
            world="sim",
            seed=seed,
            targets=scenario.ports if targets is None else targets,
            folder=folder / f"step{step:03d}",
        )
        result = run(order, keep_history=False)
        (hit,) = result.faults
        if not hit.bit:
            raise HarnessError(f"{host} was not killed in {operation!r}, {step} steps into it: {result.errors}")
        inside = hit.evidence["cut_short"] > 0
        yield CrashPoint(step=step, inside=inside, result=result)
        if not inside:
            return
    raise HarnessError(f"{operation!r} of {host} takes more than {STEPS_MAX} steps")
