"""The host of the dashboard scenarios: the server under test, and who publishes.

Each event is an operation `publish` {n, topic, key, sum}: `n` counts over all lives, `sum` is the checksum of its
content, and the result has the `seq` that it got. About one event in `critical_every` is critical; the others are the
latest of some key, drawn so that half of the events are of the first few keys. `start` {max_clients, ...} has the
options that the server was started with. Killed, the host starts its server anew and goes on with the next `n`; asked
to stop, it stops publishing, lets the last events arrive, and closes the server.
"""

import asyncio
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, Final

from harness.history.events import Invoke
from harness.units import as_seconds, ms, seconds
from harness.world.base import Host, HostSpec
from scenarios.dashboard_below import Below
from scenarios.feed_client import checksum
from scenarios.ports.dashboard import DashboardServer
from scenarios.recording import recorded
from scenarios.serving import serving

DASHBOARD: Final = "dashboard"
TOKEN: Final = "feed-token-of-the-run"  # noqa: S105 - made up, and told to every client
_CRITICAL: Final = (
    ("ess.tripped", "ess"),
    ("order.filled", "BTCUSDT"),
    ("order.rejected", "ETHUSDT"),
    ("ess.armed", "ess"),
)
_TOPICS: Final = ("market.price", "portfolio.position", "portfolio.pnl")
_LAST_NS: Final = seconds(1)
"""How long clients have for what was published last."""


def dashboard(
    *,
    burst_ns: tuple[int, int],
    burst_gap_ns: int,
    gap_ns: int = ms(200),
    keys: int = 8,
    critical_every: int = 8,
    filler_bytes: int = 24,
    reopen_ns: Sequence[int] = (),
    options: Mapping[str, Any] | None = None,
) -> HostSpec:
    """Return the dashboard's host, which is best started last: its clients wait for it, and leave before it ends.

    From `burst_ns[0]` until `burst_ns[1]`, counted from the host's first start, an event comes each `burst_gap_ns`,
    else each `gap_ns`. Values have `filler_bytes` beside the figures; `options` go to the target. At the times in
    `reopen_ns`, counted alike, the server is closed and opened anew, as for a new version of it.
    """
    params = {
        "burst_ns": list(burst_ns),
        "burst_gap_ns": burst_gap_ns,
        "gap_ns": gap_ns,
        "keys": keys,
        "critical_every": critical_every,
        "filler_bytes": filler_bytes,
        "reopen_ns": list(reopen_ns),
        "options": dict(options or {}),
    }
    return HostSpec(name=DASHBOARD, program=serve, params=params, serves="http")


async def serve(host: Host) -> None:
    """Serve and publish until asked to stop."""
    stopping = asyncio.ensure_future(host.stopping())
    workload, below = _Workload(host), Below(host)
    for until_ns in (*(workload.origin_ns + at_ns for at_ns in host.params["reopen_ns"]), None):
        if until_ns is None or until_ns > host.now_ns():
            await _open(host, workload, below, stopping, until_ns)
            if stopping.done():
                break


async def _open(
    host: Host, workload: "_Workload", below: Below, stopping: asyncio.Future[None], until_ns: int | None
) -> None:
    """Open a server, publish until that time or until asked to stop, and close it."""
    options = host.params["options"]
    target: DashboardServer = host.target("dashboard")(directory=host.disk, name=host.name, token=TOKEN, **options)
    with host.log.operation("start", **options):
        await target.start()
    below.app = target.app()
    async with serving(host, below):
        await _publish(host, target, workload, stopping, until_ns)
        if stopping.done():
            await asyncio.sleep(as_seconds(_LAST_NS))
            below.finish()
        await recorded(host.log, "close", {}, partial(_closed, target))


async def _closed(target: DashboardServer) -> dict[str, Any]:
    await target.close()
    return {}


async def _publish(
    host: Host, target: DashboardServer, workload: "_Workload", stopping: asyncio.Future[None], until_ns: int | None
) -> None:
    """Publish at the times that were planned; what is late comes at once."""
    params = host.params
    due_ns = host.now_ns()
    while not stopping.done() and (until_ns is None or due_ns < until_ns):
        topic, key, value = workload.event()
        fields = {"n": workload.number, "topic": topic, "key": key, "sum": checksum(topic, key, value)}
        await recorded(host.log, "publish", fields, partial(_published, target, topic, key, value))
        first_ns, last_ns = (workload.origin_ns + at_ns for at_ns in params["burst_ns"])
        due_ns += params["burst_gap_ns"] if first_ns <= due_ns < last_ns else params["gap_ns"]
        pause_ns = due_ns - host.now_ns()
        if pause_ns > 0:
            await asyncio.wait({stopping}, timeout=as_seconds(pause_ns))
        elif pause_ns < -seconds(1):
            due_ns = host.now_ns()  # after a freeze nobody makes up for what was not published


async def _published(target: DashboardServer, topic: str, key: str, value: Any) -> dict[str, Any]:
    return {"seq": await target.publish(topic, key, value)}


class _Workload:
    """Draws the events. `number` is that of the last one, `origin_ns` when the host's first life began."""

    def __init__(self, host: Host) -> None:
        params = host.params
        self._dice = host.draws("events").dice()
        self._keys: Sequence[tuple[str, str]] = [
            (_TOPICS[number % len(_TOPICS)], f"K{number:02d}") for number in range(params["keys"])
        ]
        self._weights = [1 / (1 + rank) for rank in range(params["keys"])]
        self._critical_every = params["critical_every"]
        self._filler = "x" * params["filler_bytes"]
        self.origin_ns = host.past[0].time_ns if host.past else host.now_ns()
        self.number = sum(isinstance(one, Invoke) and one.name == "publish" for one in host.past)

    def event(self) -> tuple[str, str, Any]:
        self.number += 1
        if self._dice.randrange(self._critical_every) == 0:
            topic, key = self._dice.choice(_CRITICAL)
        else:
            ((topic, key),) = self._dice.choices(self._keys, self._weights)
        return topic, key, {"n": self.number, "price": f"{self._dice.randrange(10**7) / 100:.2f}", "text": self._filler}
