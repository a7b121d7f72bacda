"""When to send, when to buffer, when to replay: the one place that decides. No I/O, no clock.

```
            start                    reached                          resumed
              │                  ┌──────────────┐   ┌────────────────────────────────────────┐
              ▼                  │              ▼   │ (tail replayed, no row, nothing in hand) │
          fallback ──────────────┘            resync ─────────────────────────────────────────▶ direct
              ▲                                 │                                                │
              └───────────── doubt ─────────────┴───────────────────── doubt ────────────────────┘
```

Order rests on three rules kept here:

1. While a row is buffered, every event goes to the buffer (`route` is BUFFER), so none overtakes a buffered one.
2. Near the end of a replay the lane is held (`route` is HOLD) until the last rows are confirmed, or else a busy
   publisher would append for ever. `resumed` is legal only with the tail replayed, no row and no commit in hand.
3. Rows are only replayed once the tail, which is older, was replayed (`next_step` says TAIL before ROWS).
"""

from dataclasses import dataclass
from enum import Enum, auto

from reference_impl._event_bus.model import Mode


class Route(Enum):
    """What the lane does with the events in front of it."""

    SEND = auto()
    BUFFER = auto()
    HOLD = auto()


class Step(Enum):
    """What recovery does next on a connection that answers."""

    TAIL = auto()
    """Publish the retained tail again: this Redis is not the one that confirmed it."""
    ROWS = auto()
    """Replay the oldest rows."""
    WAIT = auto()
    """A commit is in hand; its rows are replayed when it is done."""
    RESUME = auto()
    """Nothing is left: publish directly."""


@dataclass(slots=True)
class Modes:
    """The state of one publisher. Methods are the events that change it; an illegal one is a defect and asserts."""

    mode: Mode = "fallback"
    rows: int = 0
    """Rows in the buffer, as of the last commit or deletion."""
    committing: bool = False
    """A group of events is on its way into the buffer."""
    holding: bool = False
    tail_run_id: str | None = None
    """The Redis process that confirmed the retained tail; None when unknown or when there is no tail to speak of."""
    tail_due: bool = False
    """The tail must be published again before anything else."""

    def opened(self, rows: int, tail_run_id: str | None) -> None:
        """The buffer of an earlier process was found, with so many rows and perhaps a retained tail."""
        self.rows = rows
        self.tail_run_id = tail_run_id

    def route(self) -> Route:
        """Return where events go now."""
        if self.mode == "direct":
            return Route.SEND
        return Route.HOLD if self.holding else Route.BUFFER

    def commit_began(self) -> None:
        """A group of events goes into the buffer."""
        assert self.route() is Route.BUFFER, self
        assert not self.committing, self
        self.committing = True

    def commit_ended(self, rows: int) -> None:
        """That group was committed, or failed; the buffer now has so many rows."""
        assert self.committing, self
        self.committing = False
        self.rows = rows

    def doubt(self) -> None:
        """Something that was sent is not confirmed, or Redis is out of reach."""
        self.mode = "fallback"
        self.holding = False

    def reached(self, run_id: str | None) -> None:
        """A fresh connection answers; `run_id` names the Redis process behind it, None if it does not tell."""
        assert self.mode == "fallback", self
        self.mode = "resync"
        if self.tail_run_id is None:
            self.tail_run_id = run_id
        self.tail_due = run_id is not None and run_id != self.tail_run_id

    def tail_replayed(self, run_id: str | None) -> None:
        """The whole tail is confirmed by this Redis process."""
        assert self.mode == "resync", self
        self.tail_due = False
        self.tail_run_id = run_id

    def next_step(self, hold_below: int) -> Step:
        """Return what recovery does next; holds the lane once no more than `hold_below` rows are left."""
        assert self.mode == "resync", self
        if self.tail_due:
            return Step.TAIL
        if self.rows <= hold_below:
            self.holding = True
        if self.rows:
            return Step.ROWS
        return Step.WAIT if self.committing else Step.RESUME

    def rows_left(self, rows: int) -> None:
        """Confirmed rows were deleted; so many are left."""
        self.rows = rows

    def resumed(self) -> None:
        """Publish directly from now on."""
        assert self.next_step(0) is Step.RESUME, self
        self.mode = "direct"
        self.holding = False
