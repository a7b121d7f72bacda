"""The seam between the machines of the sim world and what is virtualised around them.

`loop.py`, `hosts.py` and `network.py` know which host is running and what time it is; `sources.py`, `entropy.py` and
`escapes.py` replace the clocks, dice and exits of the process for the length of a run. This Protocol is all that the
second group sees of the first. "The current host" is the one whose callback is running; outside of any host it is the
machine named `harness`, where the director lives.
"""

import asyncio  # noqa: TC003 - the annotation below is evaluated by tools that read it
import random
from collections.abc import Callable
from typing import Final, Protocol, TypeVar

T = TypeVar("T")

EPOCH_NS: Final = 1_700_000_000_000_000_000
"""The wall clock of every host at the beginning of a run (2023-11-14 22:13:20 UTC), before its offset."""


class Machine(Protocol):
    """The current host, as clocks, dice and escape guards see it."""

    def now_ns(self) -> int:
        """Virtual nanoseconds since the run began: what every monotonic clock shows."""

    def wall_ns(self) -> int:
        """The wall clock of the current host: `EPOCH_NS` + now + that host's clock offset."""

    def dice(self) -> random.Random:
        """Return the entropy of the current host's current incarnation (tape label `entropy/<host>#<n>`)."""

    def host_label(self) -> str:
        """Return the current host and incarnation for error texts, as `publisher#2`."""

    def may_write(self, path: str) -> bool:
        """Say whether `path` lies on the current host's disk (or is /dev/null)."""

    def run_blocking(self, executor: object, call: Callable[[], T]) -> "asyncio.Future[T]":
        """Run `call` as a thread would: inline, but after a drawn virtual delay; FIFO where `executor` has one worker.

        A host that is killed before that moment never runs it. Context variables are the caller's business.
        """
