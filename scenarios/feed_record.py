"""What went over one connection of the feed, in columns: a thousand clients' frames at a few bytes an event.

Clients record the batches that they receive; the dashboard's host, from below the target, those that it hands over.
The columns, for `feed` and `handed` observations of about a second each:

| | |
|---|---|
| `client`, `session` | who, and on which of its connections, counted from 1 |
| `t` | when each batch came, in nanoseconds since the run began |
| `after`, `through`, `conflated`, `counts` | what each batch says, and how many events it has |
| `seqs`, `sums` | number and checksum of each event, one after the other |

No I/O and no clock: load users record with it as hosts do.
"""

from dataclasses import dataclass, field
from typing import Any

from scenarios.feed_client import Reading

NAME_HEADER = "X-Client"
"""The header in which a client says who it is: `client/session`. For the record alone; the target has no use for it."""


@dataclass(slots=True)
class Columns:
    """What has been seen on one connection since it was last taken. `taken_ns` is when that was."""

    client: str
    session: int
    taken_ns: int = 0
    t: list[int] = field(default_factory=list)
    after: list[int] = field(default_factory=list)
    through: list[int] = field(default_factory=list)
    conflated: list[int] = field(default_factory=list)
    counts: list[int] = field(default_factory=list)
    seqs: list[int] = field(default_factory=list)
    sums: list[int] = field(default_factory=list)

    def batch(self, time_ns: int, reading: Reading) -> None:
        """Note a batch, as `read` has returned it."""
        frame: Any = reading.frame
        self.t.append(time_ns)
        self.after.append(frame.after)
        self.through.append(frame.through)
        self.conflated.append(frame.conflated)
        self.counts.append(len(frame.events))
        self.seqs += [event.seq for event in frame.events]
        self.sums += reading.sums

    def take(self, time_ns: int) -> dict[str, Any] | None:
        """Return the fields of an observation, and begin anew; None if there was no batch."""
        self.taken_ns = time_ns
        if not self.t:
            return None
        names = ("t", "after", "through", "conflated", "counts", "seqs", "sums")
        fields: dict[str, Any] = {"client": self.client, "session": self.session}
        for name in names:
            fields[name] = getattr(self, name)
            setattr(self, name, [])
        return fields


def client_of(name: str) -> tuple[str, int]:
    """Return client and session from the header's text; a client that does not say is ("", 0)."""
    client, _, session = name.rpartition("/")
    return (client, int(session)) if client and session.isdecimal() else ("", 0)
