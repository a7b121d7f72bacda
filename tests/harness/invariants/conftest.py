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


class ExchangeRun(Run):
    """A run with an exchange in it, whose windows are of 10 s and begin at 0, and a host `trader`."""

    def __init__(self, world="sim"):
        super().__init__()
        self.events[0] = RunStarted(0, "harness", 1, SCHEMA, "0", "s", "full", world, 7, {}, [])
        self._order = 0
        self.limits(0)

    def _see(self, name, time, value):
        kept = {field: one for field, one in value.items() if one or field == "status"}
        self.events.append(Observation(seconds(time), "binance", 1, name, kept))
        return self

    def limits(self, time, weight=100, orders=10):
        """What the exchange allows from then on."""
        limits = {"futures": [["REQUEST_WEIGHT", 10_000, weight], ["ORDERS", 10_000, orders]]}
        return self._see(
            "exchange", time, {"limits": limits, "strikes": 10, "wall_ms": 1_700_000_000_000 + round(1_000 * time)}
        )

    def ask(self, time, used=0, weight=0, status=200, wait=0, scope="ip", limit=100, window=10, **fields):
        """A GET, or whatever `fields` make of it; told to wait for `wait` seconds."""
        value = {
            "method": "GET",
            "path": "/fapi/v1/depth",
            "market": "futures",
            "status": status,
            "weight": weight,
            "used": used,
            "limit": limit,
            "window_ms": 1_000 * window,
            "wait_ns": seconds(wait),
            "scope": scope if wait else "",
        }
        return self._see("request", time, value | fields)

    def order(self, time, symbol="BTCUSDT", quantity="1", fills=(), side="BUY", **fields):
        """A POST of an order, and its fills as (quantity, price)."""
        self._order += 1
        order = {"symbol": symbol, "side": side, "order_id": self._order, "client_id": f"c{self._order}"}
        value = {"method": "POST", "path": "/fapi/v1/order", "quantity": quantity, "executed": bool(fills), "limit": 0}
        self.ask(time, **(value | order | fields))
        for taken, price in fills:
            self._see("fill", time, {**order, "price": price, "quantity": taken, "trade_id": 1})
        return self

    def ban(self, time, until, *, earned=True, strikes=10):
        """A ban of the IP."""
        length = seconds(until - time)
        value = {"ip": "x", "length_ns": length, "until_ns": seconds(until), "earned": earned, "strikes": strikes}
        return self._see("ban", time, value)

    def do(self, name, start, end=None, outcome="ok", deadline=5, **fields):
        """An operation of the trader."""
        value = {"key": f"{name}-{start}", "deadline_ns": seconds(deadline)} | fields
        return self.call(name, start, end, outcome, value, actor="trader")

    def execute(self, key, start, end=None, outcome="ok", report=None, deadline=5, incarnation=1, **fields):
        """An intent to buy 10 at 100, within 50 bps; `report` is (status, filled, missing, reason), or it failed."""
        outcome = "fail" if report is None and outcome == "ok" else outcome
        value = {"key": key, "symbol": "BTCUSDT", "side": "BUY", "quantity": "10", "decision_price": "100"}
        value |= {"limit_bps": 50, "reduce_only": False, "deadline_ns": seconds(deadline)} | fields
        result = None if report is None else self._report(*report)
        return self.call("execute", start, end, outcome, value, result, actor="trader", incarnation=incarnation)

    def reconciled(self, time, **reports):
        """What the target found out about these intents."""
        value = {"intents": {key: self._report(*report) for key, report in reports.items()}}
        self.events.append(Observation(seconds(time), "trader", 1, "reconciled", value))
        return self

    @staticmethod
    def _report(status, filled, missing, reason=""):
        return {"status": status, "filled": filled, "missing": missing, "reason": reason, "attempts": 1}


@pytest.fixture
def market():
    """An empty run with an exchange."""
    return ExchangeRun()


@pytest.fixture(scope="session")
def new_market():
    """The builder itself."""
    return ExchangeRun


@pytest.fixture(scope="session")
def new_run():
    """The builder itself, so that property tests can make many."""
    return Run


@pytest.fixture
def run():
    """An empty run."""
    return Run()


class SignalRun(Run):
    """A run with a host `engine` that offers signals, and writes down its executor's counts as they should be."""

    def __init__(self, world="sim"):
        super().__init__()
        self.events[0] = RunStarted(0, "harness", 1, SCHEMA, "0", "s", "full", world, 7, {}, [])
        self.incarnation = 1
        self.counts = dict.fromkeys(
            ("offered", "queued", "executed", "dropped", "expired", "superseded", "rejected", "closed"), 0
        )
        self.trading(0, allowed=True)

    def offer(self, name, time, outcome="ok", *, ends=(), confidence=0.5, symbol=None, side="BUY", ttl=5, **fields):
        """One offer, a symbol of its own unless told; `ends`: (id, reason, detail) announced before it returns."""
        value = {"key": name, "id": name, "symbol": symbol or f"S-{name}", "side": side, "confidence": confidence}
        value |= {"ttl_ns": seconds(ttl), "exit": False, "flaw": ""} | fields
        op, self._op = self._op, self._op + 1
        self.events.append(Invoke(seconds(time), "engine", self.incarnation, op, "offer", value))
        for end in ends:
            self.end_of(*end, time=time)
        if outcome is None:
            return self
        kinds = {"ok": Ok, "fail": Fail, "info": Info}
        payload = (
            {} if outcome == "ok" else "bad_confidence: MalformedSignalError" if outcome == "fail" else "TypeError"
        )
        self.events.append(kinds[outcome](seconds(time), "engine", self.incarnation, op, payload))
        self.counts["offered"] += 1
        self.counts["queued"] += outcome == "ok"
        return self

    def end_of(self, name, reason, detail="", *, time):
        """An announced end; of what waited, unless it was rejected or executed."""
        value = {"id": name, "reason": reason, "detail": detail}
        self.events.append(Observation(seconds(time), "engine", self.incarnation, "disposed", value))
        if reason != "executed":
            self.counts[reason] += 1
            self.counts["queued"] -= reason != "rejected"
        return self

    def execute(self, name, start, end=None, outcome="ok"):
        """One execution, announced when it ends."""
        self.call("execution", start, end, outcome, {"key": name}, actor="engine", incarnation=self.incarnation)
        self.counts["executed"] += 1
        self.counts["queued"] -= 1
        return self if end is None else self.end_of(name, "executed", outcome, time=end)

    def counted(self, time, **wrong):
        """A sample of the executor's own counts: true ones, but for these."""
        counts = self.counts | wrong
        value = {"queued": counts.pop("queued"), "counts": counts}
        self.events.append(Observation(seconds(time), "engine", self.incarnation, "stats", value))
        return self

    def trading(self, time, *, allowed):
        """Trading is halted, or allowed again."""
        self.events.append(Observation(seconds(time), "engine", self.incarnation, "trading", {"allowed": allowed}))
        return self

    def closing(self, time):
        """The executor is asked to close."""
        self.events.append(Observation(seconds(time), "engine", self.incarnation, "closing", {}))
        return self

    def killed(self, time, again):
        """The host is killed, and lives again later; its counts begin anew."""
        if self.incarnation == 1:
            self.host("engine", "started", 0)
        self.host("engine", "killed", time, self.incarnation)
        self.incarnation += 1
        self.host("engine", "started", again, self.incarnation)
        self.counts = dict.fromkeys(self.counts, 0)
        return self.trading(again, allowed=True)

    def finished(self, time):
        """The host ends by itself."""
        if self.incarnation == 1:
            self.host("engine", "started", 0)
        return self.host("engine", "finished", time, self.incarnation)


@pytest.fixture
def floor():
    """An empty run with an executor of signals."""
    return SignalRun()


@pytest.fixture(scope="session")
def new_floor():
    """The builder itself."""
    return SignalRun
