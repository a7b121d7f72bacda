"""Who waits, in which order, and who has waited too long.

There are four lanes: cancels and reduce-only orders before all else, and orders apart from other requests, as limits on
orders must not keep anybody from reading. Within a lane it is first come, first served. Leaving costs O(1).
"""

import heapq
import math
from collections import OrderedDict
from collections.abc import Iterator
from typing import Any, Final, Literal, TypeAlias

State: TypeAlias = Literal["waiting", "granted", "failed", "done", "expired"]
Reason: TypeAlias = Literal["rate_limited", "banned", "deadline", "closed"]

_SPARE: Final = 64


class Ticket:
    """One request's place. `deadline` is monotonic seconds, `inf` for none; `reason` and `text` say why it failed.

    `owner` is the caller's, untouched.
    """

    __slots__ = ("deadline", "number", "orders", "owner", "reason", "risk", "sent", "state", "text", "weight")

    def __init__(self, number: int, weight: int, orders: int, *, risk: bool, deadline: float) -> None:
        self.number = number
        self.weight = weight
        self.orders = orders
        self.risk = risk
        self.deadline = deadline
        self.state: State = "waiting"
        self.sent = math.inf
        self.reason: Reason = "deadline"
        self.text = ""
        self.owner: Any = None


class WaitingRoom:
    """All that wait."""

    __slots__ = ("_deadlines", "_lanes", "count")

    def __init__(self) -> None:
        self._lanes: dict[tuple[bool, bool], OrderedDict[int, Ticket]] = {
            (risk, orders): OrderedDict() for risk in (True, False) for orders in (True, False)
        }
        self._deadlines: list[tuple[float, int, Ticket]] = []
        self.count = 0

    def __iter__(self) -> Iterator[Ticket]:
        """Iterate over all that wait, lane by lane."""
        for lane in self._lanes.values():
            yield from tuple(lane.values())

    def enter(self, ticket: Ticket) -> None:
        """Stand at the end of the lane."""
        self._lanes[ticket.risk, ticket.orders > 0][ticket.number] = ticket
        self.count += 1
        if ticket.deadline < math.inf:
            heapq.heappush(self._deadlines, (ticket.deadline, ticket.number, ticket))

    def leave(self, ticket: Ticket) -> None:
        """Go, for whatever reason; one that never entered may go as well."""
        if self._lanes[ticket.risk, ticket.orders > 0].pop(ticket.number, None) is None:
            return
        self.count -= 1
        if len(self._deadlines) > 2 * self.count + _SPARE:
            self._deadlines = [(each.deadline, each.number, each) for each in self if each.deadline < math.inf]
            heapq.heapify(self._deadlines)

    def heads(self) -> list[Ticket]:
        """Return the first of each lane, in the order in which they are served."""
        heads = [next(iter(lane.values())) for lane in self._lanes.values() if lane]
        heads.sort(key=lambda ticket: (not ticket.risk, ticket.number))
        return heads

    def overdue(self, now: float) -> Iterator[Ticket]:
        """Yield those whose deadline is over."""
        while (ticket := self._first_due()) is not None and ticket.deadline <= now:
            heapq.heappop(self._deadlines)
            yield ticket

    def next_deadline(self) -> float:
        """Return when somebody has waited too long; `inf` for never."""
        ticket = self._first_due()
        return math.inf if ticket is None else ticket.deadline

    def _first_due(self) -> Ticket | None:
        while self._deadlines:
            ticket = self._deadlines[0][2]
            if ticket.state == "waiting":
                return ticket
            heapq.heappop(self._deadlines)
        return None
