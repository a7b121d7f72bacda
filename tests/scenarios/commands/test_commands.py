"""Targets that are programs of their own, put under real scenarios: driven, broken, killed, and gone afterwards."""

import asyncio
import os
import shlex
import shutil
import sys
from decimal import Decimal
from itertools import groupby
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import psutil
import pytest
from starlette.applications import Starlette
from starlette.routing import Route

from harness.dependencies.redis import faults as redis
from harness.faults import process
from harness.history.query import operations
from harness.history.store import load
from harness.invariants.delivery import delivered_once, no_acked_loss, no_phantoms, order_per_key
from harness.invariants.needs import at_least, observed_at_least
from harness.runner import Order, run
from harness.scenario import DependencySpec, Profile, Scenario, during
from harness.units import ms, seconds
from harness.verdict import Verdict
from scenarios.commands.binance import make as make_binance
from scenarios.commands.health import CommandMonitor
from scenarios.commands.program import CommandError, Program
from scenarios.commands.relay import Relay
from scenarios.event_bus_hosts import consumer, publisher
from scenarios.health_hosts import monitor, onlooker, service

PROGRAMS = Path(__file__).parent / "programs"
BUS = shlex.join([sys.executable, str(PROGRAMS / "bus.py")])

pytestmark = [pytest.mark.real, pytest.mark.xdist_group("commands")]

BOTH = Scenario(
    name="commands",
    title="Redis refuses, a publisher is frozen and killed, a service is gone for a while",
    patch=1,
    priority="P0",
    ports={"event_bus": "none:none", "health": "none:none"},
    dependencies=(DependencySpec(name="redis", kind="redis"),),
    profiles={
        "short": Profile(
            hosts=(
                publisher(rate=20, drain_ns=ms(600)),
                consumer(groups=("risk",)),
                service("feed"),
                monitor(
                    [{"name": "feed", "critical": True, "depends_on": []}], interval_ns=ms(300), timeout_ns=seconds(2)
                ),
                onlooker(every_ns=ms(100), patience_ns=seconds(2)),
            ),
            schedule=(
                # Programs take a second or two to come up on a machine with other work, and are to be there by then.
                during(ms(2_500), ms(1_500), redis.outage("refuse")),
                during(ms(3_000), ms(300), process.freeze("publisher")),
                during(ms(3_500), ms(100), process.kill("publisher")),
                during(ms(2_500), ms(1_500), process.kill("feed")),
            ),
            settle_ns=ms(2_400),
            needs=(at_least(25, "publish", outcome="ok"), observed_at_least(1, "alert")),
        )
    },
    invariants=(
        no_acked_loss(id="EB1"),
        order_per_key(id="EB2"),
        no_phantoms(id="EB3"),
        delivered_once(id="EB4"),
    ),
)


def put(scenario: Scenario, folder: Path, **commands: str):
    targets = {port: f"scenarios.commands.{port}:make cmd:{command}" for port, command in commands.items()}
    return run(Order(scenario=scenario, profile="short", world="real", seed=1, targets=targets, folder=folder))


def left_running(text: str) -> list[str]:
    """Return the command lines of processes that hold the text."""
    lines = [" ".join(one.info["cmdline"] or []) for one in psutil.process_iter(["cmdline"])]
    return [line for line in lines if text in line]


@pytest.mark.skipif(shutil.which("curl") is None, reason="the shell script asks with curl")
def test_programs_survive_what_their_hosts_do_and_leave_nothing(tmp_path):
    """An outbox in a file and a monitor in a shell script pass; each is driven, broken, killed and ended for good.

    The outbox is refused by Redis through the relay, frozen and killed with its host, and started again.
    """
    marked = f"--marked-{os.getpid()}"
    result = put(BOTH, tmp_path, event_bus=f"{BUS} {marked}", health=f"{PROGRAMS / 'monitor.sh'} {marked}")

    findings = [one.finding.sentence for one in result.invariants if one.finding is not None]
    assert (result.verdict, findings, result.errors, result.doubts) == (Verdict.PASS, [], (), ())
    assert result.faults[0].evidence["refused"] > 0
    seen = [one.result["states"]["feed"] for one in operations(load(Path(result.history)), "look") if one.result]
    changes = [state for state, _ in groupby(seen) if state != "UNKNOWN"]
    assert changes[:3] == ["HEALTHY", "CRITICAL", "HEALTHY"]  # at the end, the service may leave before the monitor
    assert left_running(marked) == []
    (log,) = tmp_path.glob("hosts/*/logs/publisher.log")
    assert log.read_text().count("the bus begins") == 2  # one for each life, and what a program prints is kept


@pytest.mark.parametrize(
    ("command", "text"),
    [
        ("sh -c 'exit 3'", "`sh -c exit 3` ended by itself, exit code 3"),
        ("/nosuch/program", "cannot start `/nosuch/program`: No such file or directory"),
    ],
)
async def test_a_program_that_does_not_start_is_named(tmp_path, command, text):
    """Whoever mistypes a command reads which, and what became of it."""
    program = Program(shlex.split(command), name="x", directory=tmp_path, addresses={})
    with pytest.raises(CommandError) as caught:
        await program.start()
    await program.close()

    assert text in str(caught.value)


async def test_the_relay_passes_on_how_a_connection_ends(tmp_path):
    """Bytes both ways, a half-close, and a refusal, which the program sees as a reset."""

    async def echo(reader, writer):
        writer.write((await reader.read()).upper())
        writer.close()

    server = await asyncio.start_server(echo, "127.0.0.1", 0)
    relay = Relay(f"redis://:secret@127.0.0.1:{server.sockets[0].getsockname()[1]}/3")
    await relay.start()
    place = urlsplit(relay.url)
    reader, writer = await asyncio.open_connection(place.hostname, place.port)
    writer.write(b"abc")
    writer.write_eof()
    said = await reader.read()
    writer.close()
    server.close()
    await server.wait_closed()
    reader, writer = await asyncio.open_connection(place.hostname, place.port)
    with pytest.raises(ConnectionResetError):
        await reader.read()
    writer.close()
    await relay.close()

    assert said == b"ABC"
    assert (place.username or "", place.password, place.path) == ("", "secret", "/3")


async def test_an_order_executor_is_driven_over_http(tmp_path, binance_emulator, monkeypatch):
    """Each thing that the port has, against the emulated exchange: figures stay exact, errors bear their reasons."""
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[3]))
    adapter = make_binance(
        base_url=binance_emulator.url,
        api_key=binance_emulator.api_key,
        api_secret=binance_emulator.api_secret,
        directory=tmp_path,
        name="trader",
        command=[sys.executable, str(PROGRAMS / "trader.py")],
    )
    await adapter.start()
    try:
        book = await adapter.get("/fapi/v1/depth", {"symbol": "BTCUSDT", "limit": 5})
        report = await adapter.execute_order("BTCUSDT", "BUY", Decimal("0.010"), intent="i-1")
        low = (Decimal(book["bids"][0][0]) * Decimal("0.9")).quantize(Decimal(1))
        order = await adapter.place_limit("BTCUSDT", "BUY", Decimal("0.01"), low)
        cancelled = await adapter.cancel_order("BTCUSDT", order)
        reports = await adapter.reconcile(deadline_s=5)
        with pytest.raises(CommandError) as refused:
            await adapter.get("/fapi/v1/depth", {"symbol": "NOSUCH"}, deadline_s=5)
    finally:
        await adapter.close()

    assert (report.intent, report.status, report.filled, cancelled) == ("i-1", "filled", Decimal("0.010"), 0)
    assert isinstance(report.average_price, Decimal)
    assert refused.value.reason == "rejected"
    assert reports == {}
    assert {one["path"] for one in binance_emulator.requests} >= {"/fapi/v1/depth", "/fapi/v1/order"}


@pytest.mark.parametrize(
    ("body", "status", "text"),
    [
        (b'{"id": "1", "service": "feed", "kind": "down"}', 204, ""),
        (b'{"id": "1", "kind": "down"}', 400, "without service"),
        (b"[]", 400, "without id, service, kind"),
        (b"{", 400, "the body is not JSON"),
    ],
)
async def test_a_program_that_tells_nonsense_is_told_so(body, status, text):
    """Its author reads what is missing in the answer, and nothing of it becomes an alert."""
    alerts = []
    monitor = CommandMonitor(None, alerts.append)
    app = Starlette(routes=[Route("/alert", monitor._alerted, methods=["POST"])])
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://x") as client:
        answer = await client.post("/alert", content=body)

    assert (answer.status_code, answer.text) == (status, text)
    assert len(alerts) == (status == 204)
