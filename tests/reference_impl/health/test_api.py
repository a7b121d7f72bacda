"""What the monitor answers over HTTP, and what it does not."""

import re
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from reference_impl._health.model import Reading, State
from reference_impl.health_service import HealthService, Service

H, C, U = State.HEALTHY, State.CRITICAL, State.UNKNOWN
HOSTILE = "<script>alert(1)</script>"


@pytest.fixture
def monitor(tmp_path: Path) -> HealthService:
    """A monitor of three services that is not started: what it finds is given to it."""
    return HealthService(
        [
            Service(name="store", url="http://10.1.2.3:8001/secret-path/health"),
            Service(name="bot", url="http://10.1.2.4:8002/health", depends_on=("store",)),
            Service(name=HOSTILE, url="http://10.1.2.5:8003/health", critical=False),
        ],
        tmp_path / "health.json",
        interval=5.0,
        timeout=2.0,
    )


def found(monitor: HealthService, count: int = 2, **states: State) -> None:
    """Have it find these."""
    for _ in range(count):
        for service in monitor._services:
            state = states.get(service.name, H)
            monitor._take(service, Reading(state, "" if state is H else "timeout"), 0.01)


@pytest.fixture
async def client(monitor: HealthService) -> Iterator[httpx.AsyncClient]:
    """A client of its application."""
    transport = httpx.ASGITransport(monitor.app(), raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://m") as client:
        yield client


async def test_before_the_first_check_nothing_is_known(client) -> None:
    """It lives, is not ready, and calls nothing healthy."""
    assert (await client.get("/livez")).json() == {"status": "ok"}
    ready = await client.get("/readyz")
    assert (ready.status_code, ready.json()) == (503, {"status": "not_ready"})
    health = (await client.get("/api/health")).json()
    assert health["status"] == "UNKNOWN"
    store = health["services"]["store"]
    assert (store["state"], store["reason"], store["since"], store["age"]) == ("UNKNOWN", "not_checked", None, None)


async def test_health_names_cause_and_kind(monitor, client) -> None:
    """A dependent's illness says because of what; times are numbers."""
    found(monitor, store=C, bot=C)
    answer = await client.get("/api/health")
    assert answer.status_code == 200
    health = answer.json()
    assert health["status"] == "CRITICAL"
    bot = health["services"]["bot"]
    assert (bot["state"], bot["reason"], bot["because"], bot["depends_on"]) == (
        "CRITICAL",
        "timeout",
        ["store"],
        ["store"],
    )
    assert bot["age"] < 60
    assert abs(bot["since"] - health["at"]) < 60
    assert health["services"][HOSTILE]["critical"] is False


async def test_an_optional_service_alone_is_not_critical(monitor, client) -> None:
    """The whole is DEGRADED then."""
    found(monitor, **{HOSTILE: C})
    assert (await client.get("/api/health")).json()["status"] == "DEGRADED"


async def test_history_is_bounded_by_the_asker(monitor, client) -> None:
    """The latest, the oldest of them first."""
    found(monitor, store=C)
    found(monitor)
    changes = (await client.get("/api/health/history")).json()["changes"]
    assert [(one["service"], one["to"]) for one in changes if one["service"] == "store"] == [
        ("store", "CRITICAL"),
        ("store", "HEALTHY"),
    ]
    latest = (await client.get("/api/health/history?limit=1")).json()
    assert (latest["changes"], [one["kind"] for one in latest["alerts"]]) == (changes[-1:], ["recovered"])


@pytest.mark.parametrize(
    ("method", "path", "status", "error"),
    [
        ("GET", "/nothing", 404, "not_found"),
        ("GET", "/docs", 404, "not_found"),
        ("POST", "/api/health", 405, "method_not_allowed"),
        ("GET", "/api/health/history?limit=0", 422, "invalid"),
        ("GET", "/api/health/history?limit=1e9", 422, "invalid"),
        ("GET", "/api/health/history?limit=<script>", 422, "invalid"),
    ],
)
async def test_a_refusal_is_one_word(client, method: str, path: str, status: int, error: str) -> None:
    """And repeats nothing of what was asked."""
    answer = await client.request(method, path)
    assert (answer.status_code, answer.json()) == (status, {"error": error})


class Broken:
    """A record that cannot be read."""

    def __iter__(self) -> Iterator[object]:
        raise RuntimeError("/etc/passwd and hunter2")


async def test_an_error_inside_is_one_word(monitor, client, monkeypatch, caplog) -> None:
    """The exception's text stays inside, and out of this log as well."""
    monkeypatch.setattr(monitor._record, "alerts", Broken())
    answer = await client.get("/api/health/history")
    assert (answer.status_code, answer.json()) == (500, {"error": "internal"})
    assert "RuntimeError" in caplog.text
    assert "hunter2" not in caplog.text


@pytest.mark.parametrize("path", ["/", "/api/health", "/api/health/history", "/metrics", "/livez", "/readyz", "/none"])
async def test_every_answer_is_guarded_and_says_nothing_of_urls(monitor, client, path: str) -> None:
    """No cache, no sniffing, no framing; no address or path of a service."""
    found(monitor, store=C, bot=C)
    answer = await client.get(path)
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
    assert not re.search(r"10\.1\.2|secret-path|800[123]", answer.text)


async def test_metrics_are_prometheus(monitor, client) -> None:
    """Parsed by Prometheus's own parser: one state of each service is 1, and checks and alerts are counted."""
    found(monitor, store=C)
    answer = await client.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=")
    families = {family.name: family for family in text_string_to_metric_families(answer.text)}
    on = {(s.labels["service"], s.labels["state"]) for s in families["health_state"].samples if s.value == 1.0}
    assert on == {("store", "CRITICAL"), ("bot", "HEALTHY"), (HOSTILE, "HEALTHY")}
    assert {s.labels["state"]: s.value for s in families["health_overall"].samples}["CRITICAL"] == 1.0
    checks = {
        (s.labels["service"], s.labels["result"]): s.value
        for s in families["health_checks"].samples
        if s.name == "health_checks_total"
    }
    assert checks["store", "timeout"] == 2.0
    alerts = [s.labels for s in families["health_alerts"].samples if s.name == "health_alerts_total"]
    assert alerts == [{"service": "store", "kind": "down"}]


async def test_two_monitors_share_no_figures(monitor, tmp_path) -> None:
    """Each has a registry of its own, so that both can be in one process."""
    other = HealthService([Service(name="x", url="http://x/")], tmp_path / "other.json")
    found(monitor, store=C)
    assert b"store" not in other._figures.render()


async def test_the_page_is_self_contained_and_escaped(monitor, client) -> None:
    """No script, no address of anything, hostile names as text, a state as a word and a symbol."""
    found(monitor, store=C, bot=C, **{HOSTILE: C})
    answer = await client.get("/")
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    text = answer.text
    assert "<script" not in text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in text
    assert not re.search(r"(src|href|action)\s*=|url\(|@import", text)
    assert text.count("\N{HEAVY MULTIPLICATION X}</span> CRITICAL") == 4
    assert "no answer in time; because of store" in text
    assert '<meta http-equiv="refresh" content="10">' in text


async def test_the_page_shows_damaged_times_as_unknown(monitor, client) -> None:
    """A record that somebody edited must not take the page down."""
    monitor._record.alerts.append({"at": 1e300, "service": "x", "kind": "down", "reason": "http_502", "id": "x-1"})
    text = (await client.get("/")).text
    assert "HTTP status 502" in text
    assert "<td>?</td>" in text


async def test_an_unfinished_start_is_not_ready(monitor, client) -> None:
    """Something known of all, but nobody checking any more: not ready."""
    found(monitor)
    assert (await client.get("/readyz")).status_code == 503


async def test_nothing_recent_is_unknown_on_the_page(monitor, client, monkeypatch) -> None:
    """The page is as honest as the API, to the moment."""
    found(monitor)
    real = monitor._machines["store"].checked_at
    assert real is not None
    monkeypatch.setattr("reference_impl.health_service.time.monotonic", lambda: real + 3_600.0)
    assert (await client.get("/api/health")).json()["status"] == U
    text = (await client.get("/")).text
    assert (text.count("</span> UNKNOWN"), text.count("no recent check")) == (4, 3)
