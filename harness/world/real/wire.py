"""What the harness and a host process say to each other.

Down: the assignment, one JSON document on the host's stdin (a file without a name, so that secrets in URLs
never lie on disk and no argument list is too long); later orders on the control
pipe, one JSON line each. End of file on the control pipe means that the harness is gone. Up: the history pipe,
one JSON line for each event as it is recorded, and the three messages below.
"""

from collections.abc import Mapping
from typing import Any, Final, TypeAlias

import msgspec

from harness.history.events import Fail, Info, Invoke, Observation, Ok
from harness.load.spec import Crew, LocustLoad


class Stop(msgspec.Struct, frozen=True, tag_field="order", tag="stop"):
    """Ask the program to finish."""


class SetClock(msgspec.Struct, frozen=True, tag_field="order", tag="set_clock"):
    """Have the wall clock be off by so much; answered by `ClockSet`."""

    offset_ns: int


Order: TypeAlias = Stop | SetClock


class Assignment(msgspec.Struct, frozen=True, kw_only=True):
    """All that a host process must know. `start_ns` is the run's beginning on CLOCK_MONOTONIC."""

    name: str
    incarnation: int
    program: str
    params: Mapping[str, Any]
    endpoints: Mapping[str, str]
    disk: str
    targets: Mapping[str, str]
    seed: int
    start_ns: int
    sys_path: list[str]
    log_level: str
    past_bytes: int
    """How much of the file of past events belongs to earlier incarnations."""
    clock_offset_ns: int
    """What the wall clock of the host's machine is off by."""
    listen_port: int | None
    """Where the host is to listen, if it serves."""
    links_before: int
    """How many `link` observations earlier incarnations recorded."""
    load: LocustLoad | None = None
    """What is to run instead of the program."""
    crew: Crew = Crew()
    """Which processes make that load."""


class ProgramRunning(msgspec.Struct, frozen=True, tag_field="event", tag="program_running"):
    """Everything is imported; the program begins."""


class ProgramFailed(msgspec.Struct, frozen=True, tag_field="event", tag="program_failed"):
    """The program or a target could not be loaded, or raised. `error` is one line; the log has more."""

    error: str


class ClockSet(msgspec.Struct, frozen=True, tag_field="event", tag="clock_set"):
    """The wall clock is off as ordered, or `error` says in one line why not."""

    error: str = ""


HostEvent: TypeAlias = Invoke | Ok | Fail | Info | Observation
"""What a host program can record."""

Message: TypeAlias = HostEvent | ProgramRunning | ProgramFailed | ClockSet

ENCODER: Final = msgspec.json.Encoder()
DECODER: Final[msgspec.json.Decoder[Message]] = msgspec.json.Decoder(Message)
PAST: Final[msgspec.json.Decoder[HostEvent]] = msgspec.json.Decoder(HostEvent)
ORDER: Final[msgspec.json.Decoder[Order]] = msgspec.json.Decoder(Order)
ASSIGNMENT: Final = msgspec.json.Decoder(Assignment)
