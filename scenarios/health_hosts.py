"""The hosts of the health scenarios: services that say how they are, the monitor, and a person who looks at it.

Services speak HTTP by hand, as ten of them must be cheap; what breaks inside of them is a fault of the link
(`harness/faults/service.py`). A service that depends on another asks it, by a request of its own, and is as ill as it.
Each check of a service is an operation `health` of it: the record of when it was really asked, and what it said. Who is
asked to stop `leaves`: from then on it is not there, though its process takes a while to end.
"""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, Final
from urllib.parse import urlsplit

import msgspec

from harness.units import as_seconds, ms
from harness.world.base import Host, HostSpec
from scenarios.ports.health import Alert, HealthMonitor
from scenarios.serving import serving

MONITOR: Final = "monitor"
_HEAD_BYTES_MAX: Final = 8_192


def service(name: str, *, depends_on: Sequence[str] = (), patience_ns: int = ms(200)) -> HostSpec:
    """Return a host that answers `/health`; it waits `patience_ns` for what it depends on."""
    params = {"depends_on": list(depends_on), "patience_ns": patience_ns}
    return HostSpec(name=name, program=serve, params=params, serves="http", follow="http")


def monitor(services: Sequence[Mapping[str, Any]], *, interval_ns: int, timeout_ns: int) -> HostSpec:
    """Return the host of the monitor under test. Services are `name`, `critical` and `depends_on`."""
    params = {"services": list(services), "interval_ns": interval_ns, "timeout_ns": timeout_ns}
    return HostSpec(name=MONITOR, program=watch, params=params, serves="http")


def onlooker(*, every_ns: int, patience_ns: int) -> HostSpec:
    """Return the host of a person who asks the monitor, again and again, how the services are."""
    params = {"every_ns": every_ns, "patience_ns": patience_ns}
    return HostSpec(name="onlooker", program=look, params=params)


async def serve(host: Host) -> None:
    """Answer until asked to stop."""
    causes = [host.endpoints[name] for name in host.params["depends_on"]]
    patience = as_seconds(host.params["patience_ns"])

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            path = (await reader.readuntil(b"\r\n\r\n")).split(b" ", 2)[1]
            if path == b"/health":
                with host.log.operation("health") as operation:
                    well = all([await _get(url, "/ping", patience) is not None for url in causes])
                    operation.result = {"status": "healthy" if well else "unhealthy"}
            else:
                well = True
            writer.write(_answer(well))
            await writer.drain()
        except (OSError, EOFError, asyncio.LimitOverrunError):
            pass  # who asked is gone
        finally:
            writer.close()

    server = await asyncio.start_server(answer, sock=host.listen(), limit=_HEAD_BYTES_MAX)
    await host.stopping()
    host.log.observe("leaves")
    server.close()


async def watch(host: Host) -> None:
    """Run the monitor and serve its application, until asked to stop."""
    params = host.params
    services = [{**one, "url": f"{host.endpoints[one['name']]}/health"} for one in params["services"]]

    def alerted(alert: Alert) -> None:
        host.log.observe("alert", id=alert.id, service=alert.service, kind=alert.kind, affected=list(alert.affected))

    target: HealthMonitor = host.target("health")(
        services=services,
        directory=host.disk,
        name=host.name,
        on_alert=alerted,
        interval=as_seconds(params["interval_ns"]),
        timeout=as_seconds(params["timeout_ns"]),
    )
    depends_on = {one["name"]: list(one["depends_on"]) for one in params["services"]}
    with host.log.operation(
        "watch", interval_ns=params["interval_ns"], timeout_ns=params["timeout_ns"], depends_on=depends_on
    ):
        await target.start()
    async with serving(host, target.app()):
        await host.stopping()
        host.log.observe("leaves")
    await target.close()


async def look(host: Host) -> None:
    """Ask for `/api/health`, and record each answer as an operation `look` with the state of each service."""
    every_ns, patience = host.params["every_ns"], as_seconds(host.params["patience_ns"])
    stopping = asyncio.ensure_future(host.stopping())
    due_ns = host.now_ns()
    while not stopping.done():
        with host.log.operation("look", refused=(ConnectionError,)) as operation:
            body = await _get(host.endpoints[MONITOR], "/api/health", patience)
            if body is None:
                raise ConnectionError("no answer")
            operation.result = {"states": _states(body)}
        due_ns = max(due_ns + every_ns, host.now_ns())
        await asyncio.wait({stopping}, timeout=as_seconds(due_ns - host.now_ns()))


def _states(body: bytes) -> dict[str, str]:
    services = msgspec.json.decode(body)["services"]
    return {name: str(one["state"]) for name, one in services.items()}


def _answer(well: bool) -> bytes:
    status, body = ("200 OK", b'{"status": "healthy"}') if well else ("503 Unavailable", b'{"status": "unhealthy"}')
    head = f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\nConnection: close"
    return head.encode() + b"\r\n\r\n" + body


async def _get(url: str, path: str, patience: float) -> bytes | None:
    """Return the body of a 200, None for anything else."""
    place = urlsplit(url)
    try:
        async with asyncio.timeout(patience):
            reader, writer = await asyncio.open_connection(place.hostname, place.port)
            try:
                writer.write(f"GET {path} HTTP/1.1\r\nHost: {place.netloc}\r\nConnection: close\r\n\r\n".encode())
                head, _, body = (await reader.read()).partition(b"\r\n\r\n")
            finally:
                writer.close()
    except OSError:  # a TimeoutError is one
        return None
    return body if head.startswith(b"HTTP/1.1 200 ") else None
