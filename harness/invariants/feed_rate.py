"""WS2: no client is sent more than it can take, or than a person can read.

Judged by what was handed over for sending on each connection, at the instant of that, so that a network which bunches
frames up says nothing against the server. In the sim world the limit is exact. In the real one a server looks at its
clock before the frame is handed over, by as much as a busy machine likes, so the window is shortened by
`real_window_slack_ns`: a server that keeps the limit and is late with one frame passes, one that doubles it does not.

Checked: batches handed over. Observed: most events in any second.
"""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

from harness.history.history import History
from harness.invariants.base import result
from harness.invariants.feed_findings import Offence, explain
from harness.invariants.feed_record import DEFAULT_FOLLOWING, Following, Served, read_feed
from harness.units import SECOND, ms
from harness.verdict import InvariantResult, Outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class Rated:
    """WS2: at most `events_max` events in any second to a client, in batches of at most `batch_max`."""

    id: str
    name: str
    statement: str
    events_max: int = 50
    batch_max: int = 10
    real_window_slack_ns: int = ms(150)
    following: Following = DEFAULT_FOLLOWING
    needs_end: bool = False

    def judge(self, history: History) -> InvariantResult:
        """Judge every connection by itself, over every window that ends with a batch."""
        feed = read_feed(history, self.following)
        window_ns = SECOND - (self.real_window_slack_ns if history.header.world == "real" else 0)
        offences: list[Offence] = []
        most = checked = 0
        for served in feed.served:
            for time_ns, count, size in _windows(served, window_ns):
                checked += 1
                most = max(most, count)
                if size > self.batch_max:
                    offences.append(self._of(served, time_ns, f"a batch of {size} events", size))
                if count > self.events_max:
                    offences.append(self._of(served, time_ns, f"{count} events within a second", count))
        offences.sort(key=lambda one: one.time_ns)
        return result(
            self,
            Outcome.VIOLATED if offences else Outcome.HOLDS,
            checked=checked,
            observed=most,
            limit=self.events_max,
            unit="events/s",
            finding=explain(history, offences, "in what clients were sent") if offences else None,
        )

    def _of(self, served: Served, time_ns: int, what: str, count: int) -> Offence:
        return Offence(self.following.dashboard, served.label, time_ns, what, count)


def _windows(served: Served, window_ns: int) -> Iterator[tuple[int, int, int]]:
    """Yield for each batch: its time, the events of the window that ends with it, its own events."""
    inside: deque[tuple[int, int]] = deque()
    count = 0
    for batch in served.batches:
        size = len(batch.seqs)
        inside.append((batch.time_ns, size))
        count += size
        while inside[0][0] <= batch.time_ns - window_ns:
            count -= inside.popleft()[1]
        yield batch.time_ns, count, size


def rated(
    *,
    id: str = "WS2",  # noqa: A002 - PATCHES.md's word
    events_max: int = 50,
    batch_max: int = 10,
    following: Following = DEFAULT_FOLLOWING,
) -> Rated:
    """Declare WS2."""
    statement = f"at most {events_max} events in any second to a client, in batches of at most {batch_max}"
    return Rated(
        id=id, name="rated", statement=statement, events_max=events_max, batch_max=batch_max, following=following
    )
