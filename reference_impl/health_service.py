"""Patch 10: a monitor that says how every service is, tells people once, and never calls healthy what it did not check.

```python
monitor = HealthService(
    [Service(name="redis-gateway", url="http://10.0.0.5:8001/health"),
     Service(name="executor", url="http://10.0.0.6:8002/health", depends_on=("redis-gateway",)),
     Service(name="journal", url="http://10.0.0.7:8003/health", critical=False)],
    "health.json", on_alert=page_somebody)
await monitor.start()
app = monitor.app()        # /, /api/health, /api/health/history, /metrics, /livez, /readyz
await monitor.close()
```

    python -m reference_impl.health_service --config services.json    # on port 8005

What it promises:

- *An outage shows* within two intervals and a timeout, and so does its end within two intervals: a check that
  contradicts the state is repeated after half an interval.
- *Healthy is what says so*: 200 and JSON with a good `status`, complete, in time. Without a recent check: UNKNOWN.
- *One hung service delays nobody*: a task and a connection for each check. A monitor that is itself short of time
  says so: what it had no time to check is UNKNOWN, not down.
- *One alert for a change that lasts*, that of the cause instead of its consequences, over restarts too; what keeps
  changing is `flapping`, once.
- *Nothing leaks*: no URL, no exception's text, no service's own words in any answer.

`on_alert` is called in the event loop and should hand the alert on; what it raises is logged. After a crash right
behind it the same alert comes again, under the same `id`.

How: `_health.verdict` reads answers, `machine` makes states of them, `alerts` decides what is told; all three are
pure. `watch` and `probe` check, `record` remembers, `api`, `page` and `figures` show.
"""

import argparse
import asyncio
import json
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import uvicorn
from fastapi import FastAPI

from reference_impl._health.alerts import Alerter
from reference_impl._health.api import make_app
from reference_impl._health.figures import Figures
from reference_impl._health.machine import Machine
from reference_impl._health.model import Alert, Options, Reading, Service, State, check_services
from reference_impl._health.probe import new_client, probe
from reference_impl._health.record import Record, load, save
from reference_impl._health.snapshot import Snapshot, take_snapshot
from reference_impl._health.watch import Watch

__all__ = ["Alert", "HealthService", "Options", "Service", "Snapshot", "State", "make"]

log = logging.getLogger(__name__)

PORT: Final = 8005
_LATE: Final = 2
"""So many timeouts after its beginning a check has not ended by the service's fault."""


class HealthService:
    """Watches services. Belongs to one event loop; not thread-safe.

    Args:
        services: What to watch.
        history_path: The file of what was; one monitor at a time may use it.
        on_alert: Told of each alert.
        options: See `Options`.

    Raises:
        ValueError: Services or options make no sense.

    """

    machine_type: type[Machine] = Machine
    alerter_type: type[Alerter] = Alerter
    watch_type: type[Watch] = Watch

    def __init__(
        self,
        services: Sequence[Service],
        history_path: str | Path,
        *,
        on_alert: Callable[[Alert], None] | None = None,
        **options: Any,
    ) -> None:
        check_services(services)
        self._services = tuple(services)
        self._options = given = Options(**options)
        self._path = Path(history_path)
        self._on_alert = on_alert
        self._machines = {service.name: self.machine_type(service.name, given) for service in services}
        self._record = Record(given.history_max)
        self._figures = Figures(self.snapshot)
        self._alerter = self._new_alerter()
        self._watch = self.watch_type(self._services, self._probe, self._take, given.interval)
        self._client = new_client(given)
        self._dirty = asyncio.Event()
        self._saver: asyncio.Task[None] | None = None
        self._closing = False

    async def start(self) -> None:
        """Begin to check. Nothing is known yet, whatever the history says; what was told before is not told again."""
        await asyncio.to_thread(load, self._path, self._record)
        self._alerter = self._new_alerter()
        self._saver = asyncio.get_running_loop().create_task(self._save_until_closed(), name="health-history")
        self._watch.start()

    def snapshot(self) -> Snapshot:
        """Return how everything is now."""
        return take_snapshot(self._services, self._machines, time.monotonic(), time.time())

    def app(self) -> FastAPI:
        """Return the HTTP application; it shows this monitor, and neither starts nor ends it."""
        return make_app(
            snapshot=self.snapshot,
            is_running=lambda: self._watch.is_running,
            record=self._record,
            figures=self._figures,
        )

    async def close(self) -> None:
        """Stop; what is remembered is saved, no task or connection is left. Idempotent."""
        await self._watch.close()
        if self._saver is not None:
            self._closing = True
            self._dirty.set()
            await self._saver  # not cancelled: a write that is on its way goes on in its thread, and must end first
        await self._client.aclose()

    def _new_alerter(self) -> Alerter:
        return self.alerter_type(self._services, self._machines, self._options, self._record.told)

    async def _probe(self, service: Service) -> Reading:
        return await probe(self._client, service, self._options)

    def _take(self, service: Service, reading: Reading | None, took: float) -> float:
        """Take the result of a check; return the time from its beginning to that of the next.

        A check that failed and took far longer than its timeout says that the monitor did not get to run, and nothing
        of the service: it was not made.
        """
        now, wall = time.monotonic(), time.time()
        machine = self._machines[service.name]
        if reading is not None and reading.state is State.CRITICAL and took > _LATE * self._options.timeout:
            reading = None
        self._figures.checked(service.name, "not_made" if reading is None else reading.reason or "healthy", took)
        change = None if reading is None else machine.take(reading, now)
        if change is not None:
            self._record.changed(change, wall)
            self._dirty.set()
        for alert in self._alerter.due(service.name, now, wall):
            self._tell(alert)
        return self._options.fast if machine.in_doubt else self._options.interval

    def _tell(self, alert: Alert) -> None:
        self._record.alerted(alert)
        self._record.told = self._alerter.told()
        self._dirty.set()
        self._figures.alerted(alert.service, alert.kind)
        log.warning(
            "%s: %s (%s), affects %s", alert.service, alert.kind, alert.reason, alert.affected or "nothing else"
        )
        if self._on_alert is not None:
            try:
                self._on_alert(alert)
            except Exception:
                log.exception("an alert of %s could not be handed on", alert.service)

    async def _save_until_closed(self) -> None:
        last = False
        while not last:
            await self._dirty.wait()
            last = self._closing
            self._dirty.clear()
            try:
                await asyncio.to_thread(save, self._path, self._record.encode())
            except OSError as error:
                self._figures.unsaved()
                log.error("the health history could not be saved: %s", error.strerror)  # noqa: TRY400


def make(
    *,
    services: Sequence[Mapping[str, Any]],
    directory: Path,
    name: str,
    on_alert: Callable[[Alert], None] | None = None,
    monitor_type: type[HealthService] = HealthService,
    **options: Any,
) -> HealthService:
    """Make a monitor whose history is in `directory`. Services are given by the fields of `Service`."""
    return monitor_type(
        [_service(one) for one in services], Path(directory) / f"{name}.health.json", on_alert=on_alert, **options
    )


def _service(fields: Mapping[str, Any]) -> Service:
    return Service(**{**fields, "depends_on": tuple(fields.get("depends_on", ()))})


async def serve(monitor: HealthService, host: str, port: int) -> None:
    """Watch, and serve the application, until told to stop by a signal."""
    await monitor.start()
    try:
        await uvicorn.Server(uvicorn.Config(monitor.app(), host=host, port=port, server_header=False)).serve()
    finally:
        await monitor.close()


def main() -> None:
    """Run the service. The configuration is JSON: `services`, and `options` if any."""
    parser = argparse.ArgumentParser(description="Says how every service is.")
    parser.add_argument("--config", type=Path, required=True, help="JSON with `services` and, if any, `options`")
    parser.add_argument("--directory", type=Path, default=Path(), help="where the history is kept")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=PORT)
    given = parser.parse_args()
    try:
        config = json.loads(given.config.read_text(encoding="utf-8"))
        monitor = make(
            services=config["services"], directory=given.directory, name="monitor", **config.get("options", {})
        )
    except (OSError, ValueError, TypeError, KeyError) as error:
        parser.error(f"{given.config}: {error}")
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    logging.getLogger("httpx").setLevel(logging.WARNING)  # it would log every check, with its URL
    asyncio.run(serve(monitor, given.host, given.port))


if __name__ == "__main__":
    main()
