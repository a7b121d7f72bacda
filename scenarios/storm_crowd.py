"""Everybody around the stack in `perfect-storm`: a model gone mad, operators, who asks, and who is to be paged.

The *crowd* floods the bus with signals, works the risk API (with a good deal of bad calls), reads the policy, looks at
the monitor, and asks for the models' metrics. The *pager* hears of every transition of the emergency stop. The crowd
is the first to stop, the pager the last: what was published is then due.
"""

import asyncio
from collections.abc import Mapping
from typing import Any, Final

import httpx

from harness.tape import Stream
from harness.units import as_seconds, ms, per_second
from harness.world.base import Host, HostSpec
from reference_impl._stack.topics import ESS, SIGNAL
from scenarios import ai_hosts, health_hosts, policy_hosts
from scenarios.ess_http import DEFECTS, OPERATORS, Caller
from scenarios.storm_hosts import MONITOR, STRATEGIES, SYMBOLS
from scenarios.storm_record import RecordedBus, until_up

_TRIES: Final = 40
_BURST: Final = 10
_BURST_ONE_IN: Final = 20
_TIMEOUT_S: Final = 5.0
_PROFILES: Final = ("NORMAL", "AGGRESSIVE")


def crowd(
    *,
    signals: int,
    per_s: float,
    flood_at_ns: int,
    agenda: tuple[tuple[int, str], ...],
    every_ns: int,
    policy: Mapping[str, int],
    exit_every: int,
    drain_ns: int = 0,
) -> HostSpec:
    """Return the crowd. `agenda`: what operators do, and when; `policy`: ages and poll of its own policy store."""
    params = {
        "signals": signals,
        "gap_ns": per_second(per_s),
        "exit_every": exit_every,
        "flood_at_ns": flood_at_ns,
        "agenda": [list(item) for item in agenda],
        "every_ns": every_ns,
        "patience_ns": ms(3_000),
        "engines": list(STRATEGIES),
        "herd": 0,
        "herd_gap_ns": 0,
        **policy,
    }
    return HostSpec(name="crowd", program=run, params=params, drain_ns=drain_ns)


def pager() -> HostSpec:
    """Return who is to be told of the emergency stop, whatever happens."""
    return HostSpec(name="pager", program=hear)


async def hear(host: Host) -> None:
    """Listen until asked to stop; the recorder does the rest."""
    bus = _bus(host)
    await bus.start()

    async def nothing(_: Any) -> None:
        """What is to be done about it is a person's business."""

    await bus.subscribe("pager", ESS, nothing)
    await host.stopping()
    await bus.close()


async def run(host: Host) -> None:
    """Do it all until asked to stop."""
    began_ns = await until_up(host, MONITOR)
    bus = _bus(host)
    await bus.start()
    async with asyncio.TaskGroup() as group:
        group.create_task(policy_hosts.read(host))
        group.create_task(health_hosts.look(host))
        group.create_task(ai_hosts.run_dashboard(host))
        work = [group.create_task(flood(host, bus, began_ns)), group.create_task(operate(host, bus, began_ns))]
        await host.stopping()
        for task in work:
            task.cancel()
    await bus.close()


async def flood(host: Host, bus: RecordedBus, began_ns: int) -> None:
    """Publish one signal after the other, each at its own time: a model that wants to buy everything at once."""
    params, draws = host.params, host.draws("signals")
    due_ns, number = began_ns + params["flood_at_ns"], 0
    async with asyncio.TaskGroup() as group:
        while number < params["signals"]:
            turn = _BURST if draws.below(_BURST_ONE_IN) == 0 else 1
            due_ns += turn * (params["gap_ns"] // 2 + draws.below(params["gap_ns"] + 1))
            await asyncio.sleep(as_seconds(max(0, due_ns - host.now_ns())))
            for _ in range(turn):
                made = signal(f"s-{host.incarnation}-{number:05d}", draws, params["exit_every"])
                group.create_task(_offer(bus, made))
                number += 1


async def _offer(bus: RecordedBus, payload: Mapping[str, Any]) -> None:
    try:
        await bus.publish_event(SIGNAL, payload)
    except Exception:  # noqa: BLE001 - it is on record
        return


def signal(name: str, draws: Stream, exit_every: int) -> dict[str, Any]:
    """Return a signal of that id: to buy, or (one in `exit_every`) to get out."""
    ttl_ms = draws.between(100, 500) if draws.below(5) == 0 else draws.between(2_000, 6_000)
    made: dict[str, Any] = {
        "id": name,
        "symbol": draws.choice(SYMBOLS),
        "side": "BUY",
        "confidence": draws.between(500, 1_000) / 1_000,
        "ttl_s": as_seconds(ms(ttl_ms)),
    }
    if draws.below(exit_every) == 0:
        made |= {"side": "SELL", "exit": True, "ttl_s": 5.0}
    return made


async def operate(host: Host, bus: RecordedBus, began_ns: int) -> None:
    """Do what is on the agenda, each in its time."""
    url = host.endpoints["execution"]
    async with httpx.AsyncClient(base_url=url, trust_env=False, verify=False) as client:  # noqa: S501 - plain HTTP
        operators = _Operators(host, client, bus)
        for at_ns, action in host.params["agenda"]:
            await asyncio.sleep(as_seconds(max(0, began_ns + at_ns - host.now_ns())))
            await operators.do(action)


class _Operators:
    """Alice and Bob at the risk API."""

    def __init__(self, host: Host, client: httpx.AsyncClient, bus: RecordedBus) -> None:
        self._host = host
        self._bus = bus
        self._client = client
        self._caller = Caller(host, client)
        self._draws = host.draws("operators")
        self._changes = 0

    async def do(self, action: str) -> None:
        """Do one thing."""
        actions = {
            "attack": self._attack,
            "trigger": self._trigger,
            "reset": self._reset,
            "policy": self._policy,
            "leave": self._leave,
        }
        await actions[action]()

    async def _attack(self) -> None:
        """Every kind of bad call, at once with others'."""
        calls = [
            self._caller.reset("alice", "none", defect=defect)
            if number % 2
            else self._caller.trigger("alice", defect=defect)
            for number, defect in enumerate(DEFECTS)
        ]
        await asyncio.gather(*calls)

    async def _trigger(self) -> None:
        await self._caller.trigger("alice")

    async def _reset(self) -> None:
        """Try to reset what is tripped until it is."""
        for _ in range(_TRIES):
            told = await self._caller.status("bob")
            if told.get("state") == "ARMED":
                return
            if told.get("trip"):
                await self._caller.reset("bob", str(told["trip"]))
            await asyncio.sleep(0.5)

    async def _leave(self) -> None:
        """Get out of everything that was bought, one symbol after the other."""
        for number, symbol in enumerate(SYMBOLS):
            exit_of = {"symbol": symbol, "side": "SELL", "confidence": 1.0, "ttl_s": 5.0, "exit": True}
            await _offer(self._bus, {"id": f"x-{self._host.incarnation}-{number}", **exit_of})
            await asyncio.sleep(0.5)

    async def _policy(self) -> None:
        """Change the policy; whether that could be done is on record where it is done."""
        self._changes += 1
        change: dict[str, Any] = {
            "set": {"cap:last": self._changes, "profile": self._draws.choice(_PROFILES)},
            "add": {"cap:total": 1 + self._draws.below(9)},
        }
        headers = {
            "Authorization": f"Bearer {OPERATORS['alice']}",
            "X-Request-Id": f"{self._host.name}-{self._host.incarnation}-policy-{self._changes:04d}",
        }
        with self._host.log.operation("policy_call", refused=(httpx.HTTPError,), number=self._changes) as operation:
            answer = await self._client.patch("/api/policy", json=change, headers=headers, timeout=_TIMEOUT_S)
            operation.result = {"status": answer.status_code}


def _bus(host: Host) -> RecordedBus:
    made = host.target("event_bus")(redis_url=host.endpoints["redis"], directory=host.disk, name=host.name)
    return RecordedBus(host, made)
