"""The monitor as a whole, over real sockets: what it finds, tells, remembers, and leaves behind."""

import asyncio
import json
import logging
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from reference_impl import health_service
from reference_impl._health.model import Alert, Reading, State
from reference_impl.health_service import HealthService, Service, make

from .conftest import answer

pytestmark = pytest.mark.real
FAST = {"interval": 0.2, "timeout": 0.2}
DEGRADED = answer(b'{"status": "degraded"}')


async def until(condition: Callable[[], bool]) -> None:
    """Return when it holds; a busy machine has 20 s."""
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110 - a monitor has no event for what it will have found
            await asyncio.sleep(0.01)


@pytest.fixture
async def watching(tmp_path: Path) -> Any:
    """Return what starts a monitor of services by name; it is closed at the end."""
    monitors: list[HealthService] = []

    async def start(services: dict[str, str], **options: Any) -> HealthService:
        given = [{"name": name, "url": url} for name, url in services.items()]
        monitor = make(services=given, directory=tmp_path, name="m", **{**FAST, **options})
        monitors.append(monitor)
        await monitor.start()
        return monitor

    yield start
    for monitor in monitors:
        await monitor.close()


def states(monitor: HealthService) -> dict[str, State]:
    """Return what it shows."""
    return {one.name: one.state for one in monitor.snapshot().services}


async def test_it_finds_out(serve, watching, dead_url) -> None:
    """Each service for itself; a hung one keeps nobody waiting."""
    services = {
        "good": (await serve()).url,
        "less": (await serve(DEGRADED)).url,
        "hung": (await serve(None)).url,
        "dead": dead_url,
    }
    monitor = await watching(services)
    assert set(states(monitor).values()) == {State.UNKNOWN}
    found = {"good": "HEALTHY", "less": "DEGRADED", "hung": "CRITICAL", "dead": "CRITICAL"}
    await until(lambda: states(monitor) == found)
    reasons = {one.name: one.reason for one in monitor.snapshot().services}
    assert reasons == {"good": "", "less": "says_degraded", "hung": "timeout", "dead": "refused"}
    assert monitor.snapshot().overall is State.CRITICAL


async def test_it_tells_and_remembers(serve, watching, tmp_path) -> None:
    """Down and up again, once each; the file has both, and the next monitor tells nothing of it."""
    service = await serve()
    alerts: list[Alert] = []
    monitor = await watching({"risk": service.url}, on_alert=alerts.append)
    await until(lambda: states(monitor)["risk"] is State.HEALTHY)
    service.says = answer(b"", "500 Oops")
    await until(lambda: len(alerts) == 1)
    await monitor.close()
    saved = json.loads((tmp_path / "m.health.json").read_text())
    assert saved["told"] == {"risk": ["CRITICAL", 1]}
    assert [(one["service"], one["kind"], one["reason"]) for one in saved["alerts"]] == [("risk", "down", "http_500")]

    again = await watching({"risk": service.url}, on_alert=alerts.append)
    assert states(again)["risk"] is State.UNKNOWN
    await until(lambda: states(again)["risk"] is State.CRITICAL)
    service.says = answer(b'{"status": "ok"}')
    await until(lambda: states(again)["risk"] is State.HEALTHY)
    assert [(one.id, one.kind) for one in alerts] == [("risk-1", "down"), ("risk-2", "recovered")]


async def test_a_failing_listener_is_logged_and_stops_nothing(serve, watching, caplog) -> None:
    """The monitor goes on."""

    def fail(_: Alert) -> None:
        raise RuntimeError("pager is broken")

    service = await serve(None)
    monitor = await watching({"risk": service.url}, on_alert=fail)
    await until(lambda: "could not be handed on" in caplog.text)
    service.says = answer(b'{"status": "ok"}')
    await until(lambda: states(monitor)["risk"] is State.HEALTHY)


async def test_a_check_that_could_not_be_made_says_nothing_of_the_service(serve, watching, monkeypatch, caplog) -> None:
    """It is the monitor that is broken: the service becomes UNKNOWN, and nobody is told that it is down."""
    service = await serve()
    alerts: list[Alert] = []
    monitor = await watching({"risk": service.url}, on_alert=alerts.append)
    await until(lambda: states(monitor)["risk"] is State.HEALTHY)

    async def broken(*_: object) -> Reading:
        raise RuntimeError("a mistake of ours")

    monkeypatch.setattr(health_service, "probe", broken)
    await until(lambda: states(monitor)["risk"] is State.UNKNOWN)
    assert alerts == []
    assert "could not be made" in caplog.text
    assert b'health_checks_total{result="not_made",service="risk"}' in monitor._figures.render()
    monkeypatch.undo()
    await until(lambda: states(monitor)["risk"] is State.HEALTHY)


def test_a_monitor_without_time_blames_nobody(tmp_path) -> None:
    """A timeout that fired far too late is the monitor's own: it was frozen, or starved."""
    monitor = make(services=[{"name": "risk", "url": "http://x/"}], directory=tmp_path, name="m", interval=5, timeout=2)
    (service,) = monitor._services
    for _ in range(3):
        monitor._take(service, Reading(State.CRITICAL, "timeout"), 4.1)
    assert states(monitor)["risk"] is State.UNKNOWN
    for _ in range(2):
        monitor._take(service, Reading(State.CRITICAL, "timeout"), 3.9)
    assert states(monitor)["risk"] is State.CRITICAL


async def test_a_full_disk_is_reported_and_counted(serve, watching, tmp_path, caplog) -> None:
    """Monitoring goes on; what cannot be remembered is told all the same."""
    (tmp_path / "m.health.json.new").mkdir()
    alerts: list[Alert] = []
    monitor = await watching({"risk": (await serve(None)).url}, on_alert=alerts.append)
    await until(lambda: bool(alerts) and "could not be saved" in caplog.text)
    assert b"health_history_save_failures_total 0.0" not in monitor._figures.render()


async def test_closing_leaves_nothing(serve, watching) -> None:
    """No task, also of checks under way; and closing again is nothing."""
    before = asyncio.all_tasks()
    hung = await serve(None)
    monitor = await watching({"hung": hung.url}, timeout=0.2)
    await until(lambda: bool(hung.asked))
    await monitor.close()
    await monitor.close()
    assert {task for task in asyncio.all_tasks() - before if "health" in task.get_name()} == set()


async def test_closing_waits_for_the_write_that_is_on_its_way(serve, watching, tmp_path, monkeypatch) -> None:
    """Two at once would write into each other's file; and the last one has everything."""
    writing, most, real = 0, 0, health_service.save

    def slowly(path: Path, content: bytes) -> None:
        nonlocal writing, most
        writing += 1
        most = max(most, writing)
        time.sleep(0.1)
        real(path, content)
        writing -= 1

    monkeypatch.setattr(health_service, "save", slowly)
    monitor = await watching({"risk": (await serve()).url})
    await until(lambda: writing == 1)
    monitor._take(monitor._services[0], Reading(State.DEGRADED, "says_degraded"), 0.01)
    monitor._take(monitor._services[0], Reading(State.DEGRADED, "says_degraded"), 0.01)
    await monitor.close()
    assert (most, writing) == (1, 0)
    saved = json.loads((tmp_path / "m.health.json").read_text())
    assert [one["to"] for one in saved["changes"]] == ["HEALTHY", "DEGRADED"]


async def test_checks_begin_a_little_apart(serve, watching) -> None:
    """Each at once, and not all in the same instant."""
    services = [await serve() for _ in range(5)]
    await watching({f"s{number}": one.url for number, one in enumerate(services)}, interval=60.0, timeout=20.0)
    await until(lambda: all(one.asked for one in services))


def test_services_are_checked_when_they_are_named(tmp_path) -> None:
    """Not when the first check fails."""
    with pytest.raises(ValueError, match="not watched"):
        HealthService([Service(name="a", url="http://a/", depends_on=("b",))], tmp_path / "h.json")


@pytest.mark.parametrize(
    ("config", "problem"),
    [("", "No such file"), ("{", "Expecting"), ("{}", "services"), ('{"services": [{"name": "a"}]}', "url")],
)
def test_a_bad_configuration_is_a_usage_error(tmp_path, monkeypatch, capsys, config: str, problem: str) -> None:
    """One line that names the file and what is wrong with it."""
    path = tmp_path / "services.json"
    if config:
        path.write_text(config)
    monkeypatch.setattr(sys, "argv", ["health_service", "--config", str(path)])
    with pytest.raises(SystemExit) as exited:
        health_service.main()
    assert exited.value.code == 2
    assert problem in capsys.readouterr().err


def test_it_is_served_on_its_port(tmp_path, monkeypatch) -> None:
    """8005 of the loopback address, unless told otherwise."""
    path = tmp_path / "services.json"
    path.write_text('{"services": [{"name": "a", "url": "http://a/health"}], "options": {"interval": 9, "timeout": 3}}')
    served: list[tuple[str, int]] = []

    def serve(monitor: HealthService, host: str, port: int) -> Awaitable[None]:
        served.append((host, port))
        assert monitor._options.interval == 9

        async def nothing() -> None:
            await monitor.close()

        return nothing()

    monkeypatch.setattr(health_service, "serve", serve)
    monkeypatch.setattr(logging, "basicConfig", lambda **_: None)
    for arguments in ([], ["--port", "18005", "--host", "0.0.0.0"]):
        monkeypatch.setattr(sys, "argv", ["h", "--config", str(path), "--directory", str(tmp_path), *arguments])
        health_service.main()
    assert served == [("127.0.0.1", 8005), ("0.0.0.0", 18005)]
