"""The store and its writer: what survives an end in good order, a crash, and a disk that takes nothing."""

import asyncio
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from reference_impl._dashboard.errors import FeedClosedError, KeysFullError, PublishError, StorageError
from reference_impl._dashboard.feed import make_event
from reference_impl._dashboard.store import RESERVED, Store
from reference_impl.dashboard_ws import DashboardServer


def event(seq: int, topic: str = "x.y", key: str = "k", value: str = "1") -> Any:
    """An event of that number."""
    return make_event(seq, topic, key, 7, value)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the store is."""
    return tmp_path / "deep" / "feed.sqlite3"


def test_a_good_end_leaves_everything_as_it_was(path: Path) -> None:
    """Numbers go on behind the last one, and whoever had it can resume."""
    store = Store(path, 100)
    first = store.open()
    store.commit([event(1, "ess.state")], [event(1, "ess.state"), event(3)], 3, clean=True)
    store.close()
    again = Store(path, 100)
    found = again.open()
    again.close()
    assert (first.seq, first.epoch) == (0, found.epoch)
    assert (found.seq, found.resume_floor, found.critical_floor) == (3, 0, 0)
    assert [one.seq for one in found.critical] == [1]
    assert list(found.latest) == [event(1, "ess.state"), event(3)]


def test_after_a_crash_no_number_comes_again(path: Path) -> None:
    """Nor can anybody resume from before it, also after another end in good order."""
    store = Store(path, 100)
    store.open()
    reserved = store.commit([], [event(3)], 3)
    store.close()
    again = Store(path, 100)
    crashed = again.open()
    again.commit([], [], crashed.seq + 5, clean=True)
    again.close()
    after = Store(path, 100)
    found = after.open()
    after.close()
    assert reserved == crashed.seq == crashed.resume_floor == 3 + RESERVED
    assert (found.seq, found.resume_floor) == (crashed.seq + 5, crashed.seq)


def test_the_oldest_critical_events_go_and_that_is_remembered(path: Path) -> None:
    """In portions, as deleting one for each that comes would cost as much as inserting."""
    store = Store(path, 8)
    store.open()
    for seq in range(1, 12):
        store.commit([event(seq, "ess.state", str(seq))], [], seq)
    store.close()
    again = Store(path, 8)
    found = again.open()
    again.close()
    assert found.critical_floor == 3
    assert [one.seq for one in found.critical] == list(range(4, 12))


def test_a_second_server_takes_the_store_over(path: Path) -> None:
    """The first one must not write what would contradict it."""
    first, second = Store(path, 8), Store(path, 8)
    first.open()
    second.open()
    with pytest.raises(StorageError, match="another server"):
        first.commit([], [event(1)], 1)
    second.commit([], [event(1)], 1)
    first.close()
    second.close()


def test_what_cannot_be_carried_is_refused(simulate: Any, lab: Any) -> None:
    """Each with a typed error, and no number is used up."""

    async def program() -> Any:
        async with lab.serving(keys_max=2, value_bytes_max=100) as server:
            for topic, key, value in (
                ("", "k", 1),
                ("Topic", "k", 1),
                ('x."y', "k", 1),
                (7, "k", 1),
                ("x.y", None, 1),
                ("x.y", "k" * 201, 1),
                ("x.y", "k", float("nan")),
                ("x.y", "k", {1, 2}),
                ("x.y", "k", "x" * 101),
            ):
                with pytest.raises(PublishError):
                    await server.publish(topic, key, value)
            for key in "ab":
                await server.publish("x.y", key, 1)
            with pytest.raises(KeysFullError):
                await server.publish("x.y", "c", 1)
            await server.publish("order.update", "c", 1)
            return await server.publish("x.y", "a", "\ud800")

    assert simulate(program) == 4


def test_a_server_is_started_once(simulate: Any, lab: Any) -> None:
    """And publishes only then."""

    async def program() -> None:
        server = DashboardServer(lab.directory / "f.sqlite3", token=lab.token)
        with pytest.raises(FeedClosedError):
            await server.publish("x.y", "k", 1)
        await server.start()
        with pytest.raises(FeedClosedError):
            await server.start()
        await server.close()
        await server.close()
        with pytest.raises(FeedClosedError):
            await server.publish("x.y", "k", 1)

    simulate(program)


def test_a_disk_that_fails_hides_nothing(simulate: Any, lab: Any) -> None:
    """A critical event is shown, its publisher is told, and it is stored once the disk takes it."""

    class Failing(Store):
        broken = True

        def commit(self, *given: Any, **how: Any) -> int:
            """Fail until mended."""
            if self.broken:
                raise sqlite3.OperationalError("disk full")
            return super().commit(*given, **how)

    class Server(DashboardServer):
        store_type = Failing

    def factory(*, directory: Path, name: str, token: str, **options: Any) -> DashboardServer:
        return Server(directory / name, token=token, **options)

    async def program() -> Any:
        async with lab.serving(factory) as server, lab.client() as client:
            await lab.hear(client, "snapshot")
            with pytest.raises(StorageError):
                await server.publish("ess.state", "", "TRIPPED")
            state = await server.publish("x.y", "k", 1)
            seen = await lab.hear(client, "batch")
            server._store.broken = False
            await asyncio.sleep(2)
            await server.publish("ess.state", "", "ARMED")
        store = Store(lab.directory / "feed", 10)
        found = store.open()
        store.close()
        return state, seen, found

    state, seen, found = simulate(program)
    assert state == 2
    assert seen["events"][0]["value"] == "TRIPPED"
    assert [one.seq for one in found.critical] == [1, 3]
    assert found.seq == 3


def test_a_disk_that_hangs_hides_nothing(simulate: Any, lab: Any) -> None:
    """After `store_patience` a critical event is shown without it."""

    async def program() -> Any:
        loop = asyncio.get_running_loop()
        async with lab.serving(store_patience=0.5) as server, lab.client() as client:
            await lab.hear(client, "snapshot")
            going = asyncio.Event()
            write, server._storing._write = server._storing._write, going.wait
            publishing = asyncio.create_task(server.publish("ess.state", "", "TRIPPED"))
            began = loop.time()
            seen, took = await lab.hear(client, "batch"), loop.time() - began
            assert not publishing.done()
            server._storing._write = write
            going.set()
            server._storing._wanted.set()
            return seen, took, await publishing

    seen, took, seq = simulate(program)
    assert seen["events"][0]["seq"] == seq == 1
    assert 0.5 <= took < 0.7


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("max_clients", 0),
        ("heartbeat", float("nan")),
        ("heartbeat", True),
        ("batch_ms", 1.5),
        ("stall_timeout", 1e9),
        ("batch_events", 51),
        ("ping_every", 11.0),
    ],
)
def test_options_have_bounds(name: str, value: Any) -> None:
    """And fit each other."""
    with pytest.raises(ValueError, match=name):
        DashboardServer("x", token="a-token-that-is-long-enough", **{name: value})


def test_a_token_has_to_be_one() -> None:
    """Not something that can be guessed."""
    with pytest.raises(ValueError, match="token"):
        DashboardServer("x", token="short")
