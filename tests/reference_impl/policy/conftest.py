"""A Redis for the store's tests: the simulated engine or a real server, and stores that are closed again."""

import asyncio
import importlib.util
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from reference_impl.policy_store import PolicyStore, make

_SPEC = importlib.util.spec_from_file_location(
    "event_bus_conftest", Path(__file__).parent.parent / "event_bus" / "conftest.py"
)
assert _SPEC is not None
assert _SPEC.loader is not None
_EVENT_BUS = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(_EVENT_BUS)
Server = _EVENT_BUS.Server


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Any]:
    """A running server without persistence, which a test freezes, kills and starts again."""
    directory = tmp_path / "redis"
    directory.mkdir()
    running = Server(directory)
    running.start()
    yield running
    running.kill()
    running.client.close()


@pytest.fixture
async def make_store(tmp_path: Path) -> AsyncIterator[Callable[..., PolicyStore]]:
    """A factory of stores with their files in the test's directory; all are closed at the end, and nothing is left."""
    made: list[PolicyStore] = []

    def factory(url: str, name: str = "store", factory: Callable[..., Any] = make, **options: Any) -> PolicyStore:
        store: PolicyStore = factory(redis_url=url, directory=tmp_path, name=name, **{"poll": 0.1} | options)
        made.append(store)
        return store

    yield factory
    for store in made:
        await store.close()
    left = [task for task in asyncio.all_tasks() if task.get_name().startswith("policy-store")]
    assert left == []


async def _eventually(condition: Callable[[], bool], within: float = 10.0) -> None:
    async with asyncio.timeout(within):
        while not condition():  # noqa: ASYNC110 - another process is watched, it sets no event of ours
            await asyncio.sleep(0.005)  # paces the polling, synchronises nothing


@pytest.fixture
def eventually() -> Callable[..., Awaitable[None]]:
    """A function that polls for a state that nothing announces, for at most `within` seconds."""
    return _eventually
