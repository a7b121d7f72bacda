"""The hosts of `ai-metrics`: an engine that is fed and disturbed, and a dashboard on another machine that reads it.

The dashboard asks at its own times, whether or not earlier questions have been answered.
"""

import asyncio
import contextlib
import json
from collections.abc import Mapping
from typing import Any, Final

import httpx

from harness.units import as_seconds
from harness.world.base import Host, HostSpec
from scenarios.ai_feeder import STAGES, Feeder
from scenarios.ai_models import Workshop
from scenarios.serving import serving

ML_METRICS: Final = "/api/dashboard/ml_metrics"
OTHERS: Final = ("/api/ai/metrics/ensemble", "/api/ai/metrics/meta-strategy", "/api/ai/metrics/rl-sizing")

_FINISH_S_MAX: Final = 8.0
_ASK_S_MAX: Final = 3.0
_BODY_CHARS_MAX: Final = 2_000


def engine(
    *,
    name: str = "engine",
    history: int,
    tick_ns: int,
    stage_ticks: int,
    stages: tuple[str, ...] = STAGES,
    fit_ns: int = 0,
    pause_ns: int,
    options: Mapping[str, Any],
    drain_ns: int = 0,
) -> HostSpec:
    """Return a host with an engine, fed every `tick_ns`; each stage takes `stage_ticks`, a pause `pause_ns`."""
    params = {
        "history": history,
        "tick_ns": tick_ns,
        "stage_ticks": stage_ticks,
        "stages": list(stages),
        "fit_ns": fit_ns,
        "pause_ns": pause_ns,
        "options": dict(options),
    }
    return HostSpec(name=name, program=run_engine, params=params, serves="http", drain_ns=drain_ns)


def dashboard(*, every_ns: int, engines: tuple[str, ...] = ("engine", "other"), drain_ns: int = 0) -> HostSpec:
    """Return a host that asks each engine for its `ml_metrics` every `every_ns`, and the first for the rest as well."""
    params = {"every_ns": every_ns, "engines": list(engines)}
    return HostSpec(name="dashboard", program=run_dashboard, params=params, drain_ns=drain_ns)


async def run_engine(host: Host) -> None:
    """Serve the metrics of an engine, feed it, and disturb it, until asked to stop."""
    params = host.params
    workshop = Workshop(fit_ns=params["fit_ns"])
    make = host.target("ai")
    target = make(directory=host.disk, name=host.name, executor=workshop, **params["options"])
    with host.log.operation("start"):
        await target.start()
    feeder = Feeder(host, target, workshop)
    async with serving(host, feeder.watched(target.app())):
        feeding = asyncio.create_task(feeder.run(), name="feeder")
        stopping = asyncio.create_task(_asked_to_stop(host, feeder))
        await asyncio.wait({feeding, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if feeding.done():
            feeding.result()  # it only ends by an error of ours
        feeding.cancel()
        await asyncio.wait({feeding})
    await target.close()


async def _asked_to_stop(host: Host, feeder: Feeder) -> None:
    await host.stopping()
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(feeder.through.wait(), _FINISH_S_MAX)


async def run_dashboard(host: Host) -> None:
    """Ask every engine in turn until asked to stop; let what was asked be answered."""
    stopping = asyncio.ensure_future(host.stopping())
    every_ns, engines = host.params["every_ns"], host.params["engines"]
    clients = {
        name: httpx.AsyncClient(
            base_url=host.endpoints[name],
            timeout=_ASK_S_MAX,
            verify=False,  # noqa: S501 - it is plain HTTP, and reading certificates takes 0.2 s
        )
        for name in engines
    }
    due_ns, turn = host.now_ns(), 0
    asking: set[asyncio.Task[None]] = set()
    while not stopping.done():
        paths = [(name, ML_METRICS) for name in engines] + [(engines[0], OTHERS[turn % len(OTHERS)])]
        for name, path in paths:
            task = asyncio.create_task(_ask(host, clients[name], name, path))
            asking.add(task)
            task.add_done_callback(asking.discard)
        turn += 1
        due_ns += every_ns
        await asyncio.wait({stopping}, timeout=as_seconds(max(0, due_ns - host.now_ns())))
    if asking:
        await asyncio.wait(asking)
    for client in clients.values():
        await client.aclose()


async def _ask(host: Host, client: httpx.AsyncClient, name: str, path: str) -> None:
    with host.log.operation("metrics", refused=(httpx.HTTPError,), engine=name, path=path) as operation:
        answer = await client.get(path)
        operation.result = {"status": answer.status_code, "body": _decoded(answer.text)}


def _decoded(text: str) -> Any:
    try:
        return json.loads(text, parse_constant=lambda name: {"not_json": name})
    except ValueError:
        return text[:_BODY_CHARS_MAX]
