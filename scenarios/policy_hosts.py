"""The hosts of the policy scenarios: writers that change the policy, and desks that go by it.

A writer is a closed loop: one update after the other. Each does three things at once, so that each kind of loss shows:
it adds to a figure that all writers add to, notes its own number in a field of its own, and sets a field that all
writers set. Now and then it changes the profile, or tightens it.

A desk reads the policy over and over, as before each order, and records what it got. A *herd* of its tasks asks for a
refresh at once now and then, as happens when many of them notice something at the same time.

Both say at the start which ages they gave their store to go by.
"""

import asyncio
from typing import Any, Final

from harness.history.events import Invoke
from harness.units import as_seconds, ms, seconds
from harness.world.base import Host, HostSpec
from scenarios.ports.policy import PolicyStore, PolicyView

MAX_AGE_NS: Final = seconds(600)
HARD_LIMIT_NS: Final = seconds(900)
_PROFILES: Final = ("NORMAL", "AGGRESSIVE", "DEFENSIVE")
_RACE: Final = 1_000_000
_DELTA_MAX: Final = 9


def writer(
    name: str,
    *,
    gap_ns: int,
    drain_ns: int = 0,
    max_age_ns: int = MAX_AGE_NS,
    hard_limit_ns: int = HARD_LIMIT_NS,
    poll_ns: int = ms(2_000),
    number: int = 1,
) -> HostSpec:
    """Return a writer, its updates `gap_ns` apart on average; `number` tells it from the others."""
    params = _ages(max_age_ns, hard_limit_ns, poll_ns) | {"gap_ns": gap_ns, "number": number}
    return HostSpec(name=name, program=write, params=params, drain_ns=drain_ns)


def desk(
    name: str,
    *,
    gap_ns: int,
    herd: int = 0,
    herd_gap_ns: int = seconds(1),
    max_age_ns: int = MAX_AGE_NS,
    hard_limit_ns: int = HARD_LIMIT_NS,
    poll_ns: int = ms(2_000),
) -> HostSpec:
    """Return a reader that looks every `gap_ns`, with a herd of so many every `herd_gap_ns`."""
    params = _ages(max_age_ns, hard_limit_ns, poll_ns) | {"gap_ns": gap_ns, "herd": herd, "herd_gap_ns": herd_gap_ns}
    return HostSpec(name=name, program=read, params=params)


async def write(host: Host) -> None:
    """Update until asked to stop, and close."""
    store = await _open(host)
    stopping = asyncio.ensure_future(host.stopping())
    gaps, draws = host.draws("gaps"), host.draws("updates")
    gap_ns, number = host.params["gap_ns"], _resume_at(host)
    while not await _stopped(stopping, gap_ns // 2 + gaps.below(gap_ns + 1)):
        sets: dict[str, Any] = {
            f"cap:last-{host.name}": number,
            "cap:race": host.params["number"] * _RACE + number,
        }
        if number == 1 or draws.below(4) == 0:
            sets["profile"] = draws.choice(_PROFILES)
        if draws.below(4) == 0:
            sets["leverage"] = draws.choice((None, 8, 20))
        await _update(host, store, sets, {"cap:total": 1 + draws.below(_DELTA_MAX)})
        number += 1
    _look(host, store)
    await store.close()


async def read(host: Host) -> None:
    """Look and record until asked to stop, look once more, and close."""
    store = await _open(host)
    stopping = asyncio.ensure_future(host.stopping())
    params = host.params
    herding = asyncio.ensure_future(_herd(host, store)) if params["herd"] else None
    while not await _stopped(stopping, params["gap_ns"]):
        _look(host, store)
    if herding is not None:
        herding.cancel()
        await asyncio.wait([herding])
    _look(host, store)
    await store.close()


async def _open(host: Host) -> PolicyStore:
    params = host.params
    store: PolicyStore = host.target("policy")(
        redis_url=host.endpoints["redis"],
        directory=host.disk,
        name=host.name,
        max_age=as_seconds(params["max_age_ns"]),
        hard_limit=as_seconds(params["hard_limit_ns"]),
        poll=as_seconds(params["poll_ns"]),
    )
    host.log.observe("policy_ages", max_age_ns=params["max_age_ns"], hard_limit_ns=params["hard_limit_ns"])
    await store.start()
    _look(host, store)
    store.on_update(lambda view: host.log.observe("policy_updated", version=view.version))
    return store


async def _update(host: Host, store: PolicyStore, sets: dict[str, Any], adds: dict[str, int]) -> None:
    operation = host.log.begin("update", {"sets": sets, "adds": adds})
    try:
        view = await store.update(sets, adds=adds)
    except asyncio.CancelledError:
        operation.info("cancelled")
        raise
    except Exception as error:  # noqa: BLE001 - whatever the target raises is its answer
        text = " ".join(f"{type(error).__name__}: {error}".split())[:200]
        if getattr(error, "unchanged", False) is True:
            operation.fail(text)
        else:
            operation.info(text)
        return
    operation.ok(version=view.version)
    see(host, view)


def _look(host: Host, store: PolicyStore) -> None:
    looked_ns = host.now_ns()
    see(host, store.get(), looked_ns)


def see(host: Host, view: PolicyView, looked_ns: int | None = None) -> None:
    """Record a read. `looked_ns` is the time just before it; unknown of a view that came with an update's answer."""
    policy, limits = view.policy, view.limits
    host.log.observe(
        "policy",
        version=view.version,
        stale=view.stale,
        source=view.source,
        profile=policy.profile,
        limits=[limits.risk_bps, limits.drawdown_bps, limits.leverage],
        caps={name: policy.caps[name] for name in sorted(policy.caps)},
        age_ns=None if view.age is None else seconds(view.age),
        looked_ns=looked_ns,
    )


async def _herd(host: Host, store: PolicyStore) -> None:
    """Have many ask at once, over and over; who does not get an answer leaves it at that."""
    while True:
        await asyncio.sleep(as_seconds(host.params["herd_gap_ns"]))
        with host.log.operation("herd", size=host.params["herd"]) as operation:
            answers = await asyncio.gather(
                *[store.refresh() for _ in range(host.params["herd"])], return_exceptions=True
            )
            operation.result = {"answered": sum(not isinstance(answer, BaseException) for answer in answers)}


async def _stopped(stopping: "asyncio.Future[None]", pause_ns: int) -> bool:
    """Return whether the run asks to stop, within that pause."""
    await asyncio.wait([stopping], timeout=as_seconds(pause_ns))
    return stopping.done()


def _resume_at(host: Host) -> int:
    """Return the number after the last that any earlier incarnation used."""
    field = f"cap:last-{host.name}"
    used = [event.value["sets"][field] for event in host.past if isinstance(event, Invoke) and event.name == "update"]
    return max(used, default=0) + 1


def _ages(max_age_ns: int, hard_limit_ns: int, poll_ns: int) -> dict[str, int]:
    return {"max_age_ns": max_age_ns, "hard_limit_ns": hard_limit_ns, "poll_ns": poll_ns}
