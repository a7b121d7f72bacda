"""The health monitor: it says that a service is well, notices that it is gone, and tells somebody once."""

import asyncio
from contextlib import suppress

import httpx

from harness.trial import Trial
from scenarios.ports.health import Alert, HealthMonitor

_PORT = 8001
_BODY = b'{"status": "healthy"}'
_WELL = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\nConnection: close\r\n\r\n" % len(
    _BODY
)


async def talk(trial: Trial) -> None:
    """Serve a service's health, look at the monitor, end the service, look again."""
    alerts: list[Alert] = []
    server = await asyncio.start_server(_answer, "127.0.0.1", _PORT)
    url = f"http://127.0.0.1:{_PORT}/health"
    monitor: HealthMonitor = trial.make(
        services=[{"name": "feed", "url": url, "critical": True, "depends_on": []}],
        directory=trial.disk,
        name="trial",
        on_alert=alerts.append,
        interval=0.5,
        timeout=0.3,
    )
    await trial.call("start()", monitor.start)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(monitor.app()), base_url="http://trial") as client:
        seen: list[str] = []

        async def watch() -> None:
            while True:
                answer = await client.get("/api/health")
                seen.append(str(answer.json()["services"]["feed"]["state"]))
                await asyncio.sleep(0.1)

        watching = asyncio.ensure_future(watch())
        await trial.expect(
            "/api/health says HEALTHY", lambda: "HEALTHY" in seen[-1:] or _raise(watching), after="start()"
        )
        server.close()
        await server.wait_closed()
        await trial.expect("it says something else", lambda: seen[-1:] != ["HEALTHY"], after="the service's end")
        await trial.expect("on_alert was told", lambda: bool(alerts), after="the service's end")
        trial.equal("service of the alert", "feed", alerts[0].service)
        trial.true("it has an id", otherwise="the alert's `id` is empty", when=bool(alerts[0].id))
        watching.cancel()
        with suppress(asyncio.CancelledError):
            await watching
    await trial.call("close()", monitor.close)


def _raise(task: "asyncio.Task[None]") -> bool:
    if task.done():
        task.result()
    return False


async def _answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError, EOFError, asyncio.LimitOverrunError):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(_WELL + _BODY)
        await writer.drain()
    writer.close()
