"""A short way to write down histories by hand. Times are in seconds, as in reports."""

import pytest

from harness.history.events import (
    SCHEMA,
    Event,
    Fail,
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


class Run:
    """Collects events. Every method adds some and returns the run, so that calls can be chained."""

    def __init__(self) -> None:
        self.events: list[Event] = [RunStarted(0, "harness", 1, SCHEMA, "0", "s", "full", "sim", 7, {}, [])]
        self._op = 0
        self._fault = 0

    def call(self, name, start, end=None, outcome="ok", value=None, result=None, actor="publisher", incarnation=1):
        """One operation; without `end` it never completes."""
        op, self._op = self._op, self._op + 1
        self.events.append(Invoke(seconds(start), actor, incarnation, op, name, value or {}))
        if end is not None:
            kinds = {"ok": Ok, "fail": Fail, "info": Info}
            payload = (result or {}) if outcome == "ok" else "TimeoutError"
            self.events.append(kinds[outcome](seconds(end), actor, incarnation, op, payload))
        return self

    def publish(self, key, start, ack=None, outcome="ok", type="orders", digest=None, id=None, **who):  # noqa: A002
        """One publish; its bus id is `id-<key>` and its digest `d-<key>` unless given."""
        value = {"key": key, "type": type, "digest": digest or f"d-{key}"}
        return self.call("publish", start, ack, outcome, value, {"id": id or f"id-{key}"}, **who)

    def deliver(self, key, *times, group="risk", type="orders", digest=None, id=None, consumer="consumer"):  # noqa: A002
        """Deliveries of one key to one group, one for each time."""
        value = {"group": group, "key": key, "type": type, "id": id or f"id-{key}", "digest": digest or f"d-{key}"}
        self.events += [Observation(seconds(time), consumer, 1, "deliver", value) for time in times]
        return self

    def groups(self, *groups, types=("orders",), time=0):
        """A consumer's declaration."""
        value = {"groups": list(groups), "types": list(types)}
        self.events.append(Observation(seconds(time), "consumer", 1, "groups", value))
        return self

    def stats(self, time, buffered=0, dropped=0, mode="direct", actor="publisher", incarnation=1):
        """A sample of the bus' own figures."""
        value = {"mode": mode, "buffered": buffered, "dropped": dropped}
        self.events.append(Observation(seconds(time), actor, incarnation, "stats", value))
        return self

    def overflow(self, time, *keys, actor="publisher"):
        """An announcement that the events of these keys were given up."""
        self.events.append(Observation(seconds(time), actor, 1, "overflow", {"ids": [f"id-{key}" for key in keys]}))
        return self

    def fault(self, start, end=None, name="redis.outage", mode="hang", on="redis"):
        """A fault, healed if `end` is given."""
        self._fault += 1
        self.events.append(FaultBegan(seconds(start), "harness", 1, self._fault, name, mode, on))
        if end is not None:
            self.events.append(FaultHealed(seconds(end), "harness", 1, self._fault))
        return self

    def host(self, name, change, time, incarnation=1):
        """Something in the life of a host."""
        self.events.append(HostChanged(seconds(time), name, incarnation, change))
        return self

    def cut(self):
        """The history so far, without its end."""
        return History.of(self.events)

    def end(self, time):
        """The whole history of a run that lasted until `time`."""
        return History.of([*self.events, RunEnded(seconds(time), "harness", 1, None, len(self.events))])


@pytest.fixture(scope="session")
def new_run():
    """The builder itself, so that property tests can make many."""
    return Run


@pytest.fixture
def run():
    """An empty run."""
    return Run()
