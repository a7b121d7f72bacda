"""What a history is made of. One line of JSONL is one of these.

An *operation* is an `Invoke` and at most one completion with the same `(actor, incarnation, op)`: `Ok` (it took
effect), `Fail` (it did not), `Info` (nobody knows). An operation without a completion counts as `Info`: its host died
first. An `Observation` is something seen, not done: a delivery, a sample of a counter, what a link did.

These are msgspec structs rather than dataclasses because a history is a tagged union that is read back from disk.
Times are nanoseconds since the run began: virtual in the sim world, CLOCK_MONOTONIC in the real one.
"""

from collections.abc import Mapping
from typing import Any, Final, TypeAlias

import msgspec

SCHEMA: Final = 2
"""2 added `base`, `experiment` and `code` to the first line; a history of schema 1 is one without them."""
SCHEMAS: Final = (1, SCHEMA)
"""Those that can be read."""

JSON: TypeAlias = Any
"""Anything JSON can hold. Values are small and flat; bulky payloads are recorded as digests."""

Fields: TypeAlias = dict[str, JSON]


class _Event(msgspec.Struct, frozen=True, tag_field="event", omit_defaults=True, gc=False):
    """Common to all: when, and who. `actor` is a host, a dependency, or `harness`; incarnations count from 1.

    JSON has no cycles, so the collector need not look at the tens of thousands of events that a run holds.
    """

    time_ns: int
    actor: str
    incarnation: int


class RunStarted(_Event, frozen=True, tag="run_started"):
    """The first line: enough to judge the history again, or to run it again."""

    schema: int
    harness_version: str
    scenario: str
    profile: str
    world: str
    seed: int
    targets: dict[str, str]
    plan: list[Fields]
    left_out: list[str] = []
    """Faults with their modes (`redis.outage/crash`) that could not be done there, and were left out of the plan."""
    base: str = ""
    """The scenario that `experiment` was made with, where there is one; `scenario` is then only what it is called."""
    experiment: Fields = {}
    """The `Experiment` (harness/experiment.py) that the run was, if it was one."""
    code: dict[str, str] = {}
    """A hash of the sources of each package that took part, by its name."""


class RunEnded(_Event, frozen=True, tag="run_ended"):
    """The last line. A history without it was cut short and can never be a PASS."""

    trace_digest: str | None
    events: int


class Invoke(_Event, frozen=True, tag="invoke"):
    """An operation begins. `op` is unique within one incarnation of one actor."""

    op: int
    name: str
    value: Fields


class Ok(_Event, frozen=True, tag="ok"):
    """The operation took effect; `value` is what it returned."""

    op: int
    value: Fields


class Fail(_Event, frozen=True, tag="fail"):
    """The operation did not take effect, for certain."""

    op: int
    error: str


class Info(_Event, frozen=True, tag="info"):
    """Whether the operation took effect is unknown."""

    op: int
    error: str


class Observation(_Event, frozen=True, tag="observation"):
    """Something seen. The worlds themselves make `link`, `unanswered`, `toxic`, `disk`, `clock`: see world/base.py."""

    name: str
    value: Fields


class HostChanged(_Event, frozen=True, tag="host"):
    """A host's life. `change`: started, stopped, finished, failed, killed, powered_off, frozen, thawed."""

    change: str
    detail: str = ""


class FaultBegan(_Event, frozen=True, tag="fault_began"):
    """A fault takes hold. `fault` numbers the faults of a run; `on` is what it hits ("redis", "publisher->redis")."""

    fault: int
    name: str
    mode: str
    on: str


class FaultHealed(_Event, frozen=True, tag="fault_healed"):
    """The fault is over: from here on recovery is owed. Healing began at `healing_ns`: some felt it from then on.

    A world takes its time to heal, and to say so. What had to be impossible is judged by the first, what is owed by the
    second. None in histories of schema 1 and 2.
    """

    fault: int
    healing_ns: int | None = None


Event: TypeAlias = (
    RunStarted | RunEnded | Invoke | Ok | Fail | Info | Observation | HostChanged | FaultBegan | FaultHealed
)
Completion: TypeAlias = Ok | Fail | Info


def begins(event: object, operation: str, where: Mapping[str, JSON]) -> bool:
    """Say whether the event begins an operation of that name whose value holds all of `where`."""
    if not isinstance(event, Invoke) or event.name != operation:
        return False
    return all(name in event.value and event.value[name] == value for name, value in where.items())
