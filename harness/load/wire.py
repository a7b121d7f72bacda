"""What the host process and Locust's processes say to each other.

To the master, or the only process: the assignment, in a file without a name, so that no secret of a URL lies on disk,
in an argument list or an environment. From each process: JSON lines on a pipe of its own. Between master and workers:
Locust's messages, named below, whose data are what msgpack can hold.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, TypeAlias

import msgspec

from harness.history.events import Fail, Info, Invoke, Observation, Ok

DESCRIPTORS: Final = "HARNESS_LOAD"
"""The variable that names the two descriptors: `<assignment or -1>,<reports>`."""

HELLO: Final = "harness_hello"
"""A worker asks for its assignment: {machine, now_ns}. It asks again until it has one."""
ASSIGNMENT_MESSAGE: Final = "harness_assignment"
"""The answer: {assignment, machine, now_ns, asked_ns}, the last the worker's own `now_ns`."""
EVENTS: Final = "harness_events"
"""What a worker's users recorded: {lines, clock_error_ns, here}."""
TROUBLE: Final = "harness_trouble"
"""A worker is not well: {error}."""
FINISH: Final = "harness_finish"
"""A worker is to stop its users and to report all that is left."""
FINISHED: Final = "harness_finished"
"""It has."""

RENEW: Final = "harness_renew"
"""A worker that has stayed for another run is to ask for its assignment again."""

TAKE: Final = "harness_take"
"""To a master that is not ours, from one of our workers: {assignment, machine}. Asked again until it is taken."""
TIME: Final = "harness_time"
"""From that master: {now_ns}; and the answer: {now_ns, asked_ns}, the first by this machine's clock."""
REPORTS: Final = "harness_reports"
"""From that master: {lines} for the history."""
LEAVE: Final = "harness_leave"
"""To it: the run is over. It stops the users, reports what is left, and answers `LEFT`."""
LEFT: Final = "harness_left"


class Assignment(msgspec.Struct, frozen=True, kw_only=True):
    """What Locust's processes must know of their host. `start_ns` is the run's beginning on this machine's clock."""

    name: str
    incarnation: int
    params: Mapping[str, Any]
    endpoints: Mapping[str, str]
    seed: int
    start_ns: int
    users: int
    spawn_rate: float
    workers: int
    """How many there are to be, wherever they run; 0 if there is no master."""
    links_before: int


class LoadBegan(msgspec.Struct, frozen=True, tag_field="event", tag="load_began"):
    """Every worker is there and the first users are being made."""


class LoadFailed(msgspec.Struct, frozen=True, tag_field="event", tag="load_failed"):
    """Locust is not well. `error` is one line."""

    error: str


HostEvent: TypeAlias = Invoke | Ok | Fail | Info | Observation
Report: TypeAlias = HostEvent | LoadBegan | LoadFailed

ENCODER: Final = msgspec.json.Encoder()
REPORT: Final[msgspec.json.Decoder[Report]] = msgspec.json.Decoder(Report)
ASSIGNMENT: Final = msgspec.json.Decoder(Assignment)


_BOOT: Final = Path("/proc/sys/kernel/random/boot_id")


def machine() -> str:
    """Return what tells machines apart whose monotonic clocks differ: the id of this boot."""
    return _BOOT.read_text(encoding="ascii").strip()
