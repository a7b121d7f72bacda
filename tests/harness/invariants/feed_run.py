"""A run with a dashboard's feed in it, written down by hand, in the sim world. Times are seconds.

Events are `state` of a key, or `critical`, and have the checksum 1000 + number. Clients are `w-1` and the like, of the
host `watchers` unless told.
"""

from collections.abc import Sequence
from typing import Any, Self

from harness.history.events import (
    SCHEMA,
    Event,
    FaultBegan,
    FaultHealed,
    HostChanged,
    Info,
    Invoke,
    Observation,
    Ok,
    RunEnded,
    RunStarted,
)
from harness.history.history import History
from harness.units import seconds


class FeedRun:
    """Collects events. Every method adds some and returns the run."""

    def __init__(self, world: str = "sim", **options: Any) -> None:
        self.events: list[Event] = [RunStarted(0, "harness", 1, SCHEMA, "0", "s", "full", world, 7, {}, [])]
        self._op = 0
        self._fault = 0
        self.host("dashboard", "started", 0).call("dashboard", "start", 0, 0, options, {})

    def call(self, actor: str, name: str, start: float, end: float, value: Any, result: Any) -> Self:
        """An operation; without a result nobody knows what came of it."""
        self._op += 1
        self.events.append(Invoke(seconds(start), actor, 1, self._op, name, value))
        ended = (
            Info(seconds(end), actor, 1, self._op, "?")
            if result is None
            else Ok(seconds(end), actor, 1, self._op, result)
        )
        self.events.append(ended)
        return self

    def host(self, name: str, change: str, time: float, life: int = 1) -> Self:
        """Something in the life of a host."""
        self.events.append(HostChanged(seconds(time), name, life, change))
        return self

    def fault(self, start: float, end: float, on: str, name: str = "network.reset", mode: str = "now") -> Self:
        """A fault."""
        self._fault += 1
        self.events.append(FaultBegan(seconds(start), "harness", 1, self._fault, name, mode, on))
        self.events.append(FaultHealed(seconds(end), "harness", 1, self._fault))
        return self

    def state(self, seq: int, time: float, key: str = "A", *, known: bool = True) -> Self:
        """An event of which the latest counts."""
        return self._publish(seq, time, "market.price", key, known=known)

    def critical(self, seq: int, time: float, *, known: bool = True) -> Self:
        """An event that counts."""
        return self._publish(seq, time, "order.filled", "o", known=known)

    def _publish(self, seq: int, time: float, topic: str, key: str, *, known: bool) -> Self:
        value = {"n": seq, "topic": topic, "key": key, "sum": 1_000 + seq}
        return self.call("dashboard", "publish", time, time, value, {"seq": seq} if known else None)

    def connect(
        self,
        client: str,
        time: float,
        base: int = 0,
        *,
        session: int = 1,
        snapshot: Sequence[int] = (),
        asked: tuple[int | None, int | None] = (None, None),
        critical_from: int | None = None,
        host: str = "watchers",
    ) -> Self:
        """A session begins: resumed if a number was asked for, and there is no `critical_from`."""
        resumed = asked[0] is not None and critical_from is None
        value = {"client": client, "session": session, "last_seq": asked[0], "critical_seq": asked[1]}
        result = {"base": base, "seq": base, "resumed": resumed, "seqs": list(snapshot)}
        result["sums"] = [1_000 + seq for seq in snapshot]
        if not resumed:
            result["critical_from"] = base if critical_from is None else critical_from
        return self.call(host, "connect", time, time, value, result)

    def batch(
        self,
        client: str,
        time: float,
        after: int,
        through: int,
        *seqs: int,
        conflated: int = 0,
        session: int = 1,
        host: str = "watchers",
        sums: Sequence[int] | None = None,
    ) -> Self:
        """A batch that a client got."""
        fields = self._batch(client, session, time, after, through, conflated, seqs)
        fields["sums"] = [1_000 + seq for seq in seqs] if sums is None else list(sums)
        return self.see(host, time, "feed", **fields)

    def handed(self, client: str, time: float, *seqs: int, session: int = 1, number: int = 1) -> Self:
        """A batch that the server handed over."""
        fields = self._batch(client, session, time, 0, 0, 0, seqs)
        return self.see("dashboard", time, "handed", number=number, **fields)

    @staticmethod
    def _batch(
        client: str, session: int, time: float, after: int, through: int, conflated: int, seqs: Sequence[int]
    ) -> dict[str, Any]:
        columns = {"t": [seconds(time)], "after": [after], "through": [through], "conflated": [conflated]}
        return {"client": client, "session": session, **columns, "counts": [len(seqs)], "seqs": list(seqs)}

    def served(
        self, client: str, start: float, end: float | None, *, session: int = 1, number: int = 1, pending: int = 1
    ) -> Self:
        """What the server had of a connection; without `end` it is still there, and that is told at 90 s."""
        ended_ns = None if end is None else seconds(end)
        fields = {"opened_ns": seconds(start), "ended_ns": ended_ns, "pending_max": pending, "code": None, "events": 0}
        when = 90.0 if end is None else end
        return self.see("dashboard", when, "served", client=client, session=session, number=number, **fields)

    def left(self, client: str, time: float, why: str = "stops", *, session: int = 1, host: str = "watchers") -> Self:
        """A session is over."""
        return self.see(host, time, "left", client=client, session=session, code=None, why=why, gaps=[], lost=0)

    def see(self, host: str, time: float, name: str, **fields: Any) -> Self:
        """An observation."""
        self.events.append(Observation(seconds(time), host, 1, name, fields))
        return self

    def end(self, time: float = 100) -> History:
        """The whole history."""
        return History.of([*self.events, RunEnded(seconds(time), "harness", 1, None, len(self.events))])
