"""Load by Locust: a host like any other, whose statistics and users' records are in the history.

Locust takes a second to come up, with workers two more: few tests, and each looks at several things.
"""

import asyncio
import signal
import sys
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import echo_service
import psutil
import pytest

from harness.errors import WorldError
from harness.history.events import Invoke, Observation, Ok
from harness.load.session import OPERATIONS
from harness.load.spec import Crew, LocustLoad
from harness.units import ms, seconds
from harness.world.base import HostSpec
from harness.world.real import guard
from harness.world.real.service import Service
from harness.world.real.world import RealWorld

pytestmark = pytest.mark.real

ECHO = HostSpec(name="echo", program=echo_service.serve, serves="http")
STOP_NS = seconds(10)


def load(locustfile: str = "talkers", *, users: int = 3, rate: float = 100, host: str | None = None) -> HostSpec:
    """Return a load host."""
    made = LocustLoad(locustfile=locustfile, users=users, spawn_rate=rate, host=host)
    return HostSpec(name="load", program=echo_service.in_the_sim_world, load=made)


@pytest.fixture
def loaded(make_world) -> Callable[..., AbstractAsyncContextManager[RealWorld]]:
    """Return a block with a world in it, in which the echo service is under load."""

    @asynccontextmanager
    async def around(spec: HostSpec, **crew: int | str) -> AsyncIterator[RealWorld]:
        async with make_world() as world:
            world._crew = Crew(**crew)
            await world.offer(ECHO)
            await world.start_host(ECHO)
            await world.start_host(spec)
            yield world

    return around


def answers(sink) -> int:
    """Count the operations that came back."""
    return sum(type(event) is Ok and event.actor == "load" for event in sink)


def figures(sink, name: str) -> list[dict]:
    """Return the fields of the load's observations of that name."""
    return [event.value for event in sink.named(name, "load") if type(event) is Observation]


def processes(world: RealWorld) -> list[psutil.Process]:
    """Return the Locust processes of the load host."""
    return psutil.Process(world._hosts["load"]._child.pid).children(recursive=True)


def talkers() -> str:
    """Return the path of their locustfile."""
    return str(Path(echo_service.__file__).with_name("talkers.py"))


@asynccontextmanager
async def started(*words: str | int, cwd: Path) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run a Locust that is not the harness's inside the block."""
    env = {"PYTHONPATH": f"{Path(echo_service.__file__).parent}:{Path.cwd()}", "PATH": "", "HOME": str(cwd)}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "locust", *map(str, words)), env=env, cwd=cwd, stderr=asyncio.subprocess.DEVNULL
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def gone(what: list[int]) -> bool:
    """Wait until they are dead, which they are a moment after their group got SIGKILL."""
    async with asyncio.timeout(5):
        while any(status is not None and not status.zombie for status in map(guard.status_of, what)):  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    return True


async def failure(world: RealWorld, sink) -> str:
    """Return what the load host says of its failure, once it has failed."""
    await sink.until(lambda: "failed" in sink.changes("load"))
    return world._hosts["load"].detail


async def test_a_load_is_broken_like_a_host(loaded, sink):
    """Its link is refused, it freezes, dies with all it has recorded and comes again; failed requests are no error.

    One process makes it. Users' operations, their links and Locust's statistics are in the history.
    """
    spec = load(users=2)
    async with loaded(spec) as world:
        await sink.until(lambda: answers(sink) >= 4)
        await world.link("load", "echo").refuse()
        await sink.until(lambda: {"to": "echo", "outcome": "refused"} in figures(sink, "link"))
        await world.link("load", "echo").accept()
        before = answers(sink)
        await sink.until(lambda: answers(sink) >= before + 4)

        await world.freeze_host("load")
        still = len(sink)
        await asyncio.sleep(0.2)
        assert len(sink) == still
        await world.thaw_host("load")
        await sink.until(lambda: answers(sink) >= before + 8)

        (locust,) = processes(world)
        await world.kill_host("load")
        assert await gone([locust.pid])
        await world.start_host(spec)
        with pytest.raises(WorldError, match="Locust, whose processes have the machine's clock"):
            await world.step_clock("load", ms(1))
        await sink.until(lambda: any(type(event) is Ok and event.incarnation == 2 for event in sink))
        assert await world.stop_host("load", timeout_ns=STOP_NS)

    changes = ["started", "frozen", "thawed", "killed", "started", "stopped"]
    assert sink.changes("load") == changes
    said = [event for event in sink if type(event) is Invoke and event.actor == "load"]
    assert {event.value["user"] for event in said} == {"0.0", "0.1"}
    assert len({event.value["words"] for event in said}) > 3
    assert {"users": 2, "wanted": 2, "workers": 1} in figures(sink, "load_users")
    assert Counter(one["outcome"] for one in figures(sink, "link"))["connected"] >= 6
    total = figures(sink, "load_requests")[-1]
    again = sum(type(event) is Ok and event.incarnation == 2 for event in sink)
    assert (total["name"], total["failures"], total["requests"]) == ("Aggregated", 0, again)


async def test_any_locustfile_will_do(loaded, sink):
    """One of plain HTTP users finds the host as its `--host`. Locust would end with 1 for requests that failed."""
    async with loaded(load("visitors", host="echo")) as world:
        await sink.until(lambda: bool(figures(sink, "load_requests")))
        assert await world.stop_host("load", timeout_ns=STOP_NS)

    assert sink.changes("load") == ["started", "stopped"]
    by_name = {one["name"]: one for one in figures(sink, "load_requests")}
    assert by_name["/"]["failures"] == 0
    assert by_name["/ill"]["failures"] == by_name["/ill"]["requests"] > 0
    (why,) = figures(sink, "load_failures")
    assert (why["name"], why["count"]) == ("/ill", by_name["/ill"]["failures"])
    assert "500" in why["error"]


async def test_workers_here_and_elsewhere_make_the_load(loaded, sink, tmp_path):
    """One that somebody else starts, by the command of the README, takes all it needs from the master.

    Each worker's users record in the host's name, with numbers of their own, and the sums of statistics agree.
    """
    kept = Service()
    join = ("-f", "-", "--worker", "--master-host", "127.0.0.1", "--master-port", kept.port)
    async with (
        started(*join, cwd=tmp_path) as theirs,
        loaded(load(users=4), workers=1, elsewhere=1, bind_port=kept.port) as world,
    ):
        await sink.until(lambda: answers(sink) >= 40)
        with pytest.raises(WorldError, match="its master or workers are not ours alone"):
            await world.freeze_host("load")
        assert await world.stop_host("load", timeout_ns=STOP_NS)
        assert await asyncio.wait_for(theirs.wait(), 5) == 0
    kept.close()

    said = [event for event in sink if type(event) is Invoke and event.actor == "load"]
    total = [one for one in figures(sink, "load_requests") if one["name"] == "Aggregated"][-1]
    workers = figures(sink, "load_worker")
    assert sink.changes("load") == ["started", "stopped"]
    assert {event.op // OPERATIONS for event in said} == {0, 1}
    assert len({event.op for event in said}) == len(said)
    assert [(one["worker"], one["users"], one["here"], one["clock_error_ns"]) for one in workers] == [
        (0, 2, True, 0),
        (1, 2, True, 0),
    ]
    assert sum(one["requests"] for one in workers) == total["requests"] == answers(sink)
    assert {"users": 4, "wanted": 4, "workers": 2} in figures(sink, "load_users")


async def test_a_worker_that_is_lost_fails_the_load(loaded, sink):
    """The others are ended as well: what a smaller load would show is not what was asked for."""
    async with loaded(load(users=4), workers=2) as world:
        await sink.until(lambda: {event.op // OPERATIONS for event in sink.named("say", "load")} == {0, 1})
        everything = processes(world)
        assert len(everything) == 3
        worker = max(everything, key=lambda one: "--worker" in one.cmdline())
        worker.send_signal(signal.SIGKILL)
        why = await failure(world, sink)
        assert await gone([one.pid for one in everything])

    assert why.startswith("Locust's worker process")
    assert "was killed by SIGKILL" in why


@pytest.mark.parametrize(
    ("spec", "why"),
    [
        (load("breaks_down"), "the code of a user raised KeyError: 'no such thing'"),
        (load("cannot_be_read"), "RuntimeError: redis://***@127.0.0.1 is not there"),
    ],
    ids=lambda value: value.load.locustfile if isinstance(value, HostSpec) else "",
)
async def test_what_is_wrong_with_a_load_is_told_in_one_line(loaded, sink, spec, why):
    """It is the failure of the host, and so of the run; credentials are masked."""
    async with loaded(spec) as world:
        assert why in await failure(world, sink)


async def test_fewer_users_than_asked_for_fail_the_load(loaded, sink):
    """A load that was stopped before it was one says so."""
    async with loaded(load(users=50, rate=2)) as world:
        await sink.until(lambda: answers(sink) >= 1)
        await world.stop_host("load", timeout_ns=STOP_NS)
        assert "of 50 users at the most" in await failure(world, sink)


async def test_a_master_that_is_not_ours_serves_one_run_after_the_other(loaded, sink, tmp_path):
    """Our worker joins it and brings the assignment; another, of somebody else's, stays there over both runs."""
    master, web = Service(), Service()
    spec = load(users=4)
    join = ("--worker", "--master-host", "127.0.0.1", "--master-port", master.port)
    async with (
        started("-f", talkers(), "--master", "--master-bind-port", master.port, "--web-port", web.port, cwd=tmp_path),
        started("-f", talkers(), *join, cwd=tmp_path),
        loaded(spec, workers=1, elsewhere=1, master=("127.0.0.1", master.port)) as world,
    ):
        await sink.until(lambda: answers(sink) >= 20)
        assert await world.stop_host("load", timeout_ns=STOP_NS)
        await world.start_host(spec)
        await sink.until(lambda: sum(type(event) is Ok and event.incarnation == 2 for event in sink) >= 20)
        assert await world.stop_host("load", timeout_ns=STOP_NS)
    for kept in (master, web):
        kept.close()

    assert sink.changes("load") == ["started", "stopped"] * 2, world._hosts["load"].detail
    for life in (1, 2):
        seen = [event for event in sink if event.actor == "load" and event.incarnation == life]
        workers = [event.value for event in seen if getattr(event, "name", "") == "load_worker"]
        total = [event.value for event in seen if getattr(event, "name", "") == "load_requests"][-1]
        assert [one["users"] for one in workers] == [2, 2]
        assert sum(one["requests"] for one in workers) == total["requests"]
        assert total["requests"] == sum(type(event) is Ok for event in seen) >= 20


async def test_a_master_that_knows_nothing_of_us_is_told_of(loaded, sink, tmp_path):
    """Any Locust listens there; one without our users' module cannot serve a run."""
    master, web = Service(), Service()
    other = str(Path(echo_service.__file__).with_name("visitors.py"))
    async with (
        started("-f", other, "--master", "--master-bind-port", master.port, "--web-port", web.port, cwd=tmp_path),
        loaded(load(), workers=1, master=("127.0.0.1", master.port)) as world,
    ):
        why = await failure(world, sink)
    for kept in (master, web):
        kept.close()

    assert f"the Locust master at 127.0.0.1:{master.port} knows nothing of us: start it with this locustfile" in why
