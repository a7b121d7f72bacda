"""An event is acknowledged once the dashboard has it for good."""

import asyncio
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from reference_impl._stack.settings import Settings
from reference_impl.flawed import stack as flawed
from reference_impl.stack import make

TRANSITION = {"to": "TRIPPED", "reason": "drawdown", "actor": "system", "at_ms": 1}


@dataclass(frozen=True)
class Event:
    """An event of the bus."""

    event_type: str
    payload: Any


@dataclass
class Bus:
    """Hands over what is delivered."""

    handler: Any = None

    async def start(self) -> None:
        """Begin."""

    async def subscribe(self, _group: str, _types: Any, handler: Any) -> None:
        """Take the handler."""
        self.handler = handler

    async def close(self) -> None:
        """End."""


@dataclass
class Board:
    """A dashboard whose store takes its time."""

    durable: asyncio.Event = field(default_factory=asyncio.Event)
    published: list[str] = field(default_factory=list)

    async def start(self) -> None:
        """Begin."""

    def app(self) -> None:
        """Return nothing to serve."""

    async def publish(self, topic: str, _key: str, _value: Any) -> int:
        """Return once it is durable."""
        await self.durable.wait()
        self.published.append(topic)
        return len(self.published)

    async def close(self) -> None:
        """End."""


async def acknowledged(factory: Any, directory: Path) -> tuple[bool, bool]:
    """Return whether a transition is acknowledged before it is durable, and after."""
    bus, board = Bus(), Board()
    parts = {"event_bus": lambda **_: bus, "dashboard": lambda **_: board}
    service = factory(service="dashboard", directory=directory, settings=Settings(), name="dashboard", parts=parts)
    await service.start()
    handling = asyncio.create_task(bus.handler(Event("ess.tripped", TRANSITION)))
    for _ in range(5):
        await asyncio.sleep(0)
    before = handling.done()
    board.durable.set()
    await handling
    after = board.published == ["ess.state"]
    await service.close()
    return before, after


async def test_a_critical_event_is_acknowledged_once_it_is_durable(tmp_path: Path):
    """Until then the bus would deliver it again, to the next life of the dashboard."""
    assert await acknowledged(make, tmp_path) == (False, True)


async def test_the_flawed_one_acknowledges_before(tmp_path: Path):
    """So the test above would notice."""
    before, _ = await acknowledged(flawed.acks_before_durable, tmp_path)
    assert before


def test_a_service_that_there_is_not_is_named(tmp_path: Path):
    """With those that there are."""
    with pytest.raises(ValueError, match="no service 'risk'; there are execution"):
        make(service="risk", directory=tmp_path, settings={})
