"""Conformance: the references fit their ports, and what a target lacks is told in words, port by port."""

import asyncio
import threading

import pytest

from harness.conform import conform
from harness.errors import UsageError
from harness.ports import discover_ports
from harness.registry import discover
from harness.targets import resolve
from reference_impl import event_bus

REFERENCES = {port: path for scenario in discover().values() for port, path in scenario.ports.items()}
REFERENCES |= {"dashboard": "reference_impl.dashboard_ws:make"}


def test_every_port_of_a_scenario_is_declared():
    """No target is left without a conformance test, and a port that no scenario has is a slip."""
    ports = discover_ports()

    assert ports.keys() == REFERENCES.keys()
    assert all(port.shape.__doc__ for port in ports.values())


@pytest.mark.parametrize("port", sorted(REFERENCES))
def test_the_reference_fits(port):
    """What the reference does is what the conversation asks for, so it asks for nothing else."""
    found = conform(port, resolve(REFERENCES[port]))

    assert found.problems == ()
    assert "close() left nothing running" in found.worked


class Bus:
    """A bus that only keeps what it is given: what is the matter with it differs in each subclass."""

    def __init__(self):
        self.handlers = []

    async def start(self):
        pass

    async def publish_event(self, event_type, payload):
        return "id"

    async def subscribe(self, group, event_types, handler):
        self.handlers.append(handler)

    async def resync_from_fallback(self):
        return 0

    def on_overflow(self, callback):
        pass

    def stats(self):
        return None

    async def close(self):
        pass


class Deaf(Bus):
    pass


class Hanging(Bus):
    async def publish_event(self, event_type, payload):
        await asyncio.Event().wait()


class Sync(Bus):
    def start(self):
        pass


class Raising(Bus):
    async def subscribe(self, group, event_types, handler):
        raise RuntimeError("no such group")


class Threaded(Bus):
    async def start(self):
        threading.Thread(target=print).start()


class Short(Bus):
    publish_event = None


@pytest.mark.parametrize(
    ("bus", "text"),
    [
        (
            Deaf,
            "publish_event() returned, but it did not happen within 5 s that a handler was called for each",
        ),
        (Hanging, "publish_event() did not return within 5 s"),
        (Sync, "start() returned None, which cannot be awaited: make it async"),
        (Raising, "subscribe() raised RuntimeError: no such group (at test_trials.py:"),
        (Threaded, "started the thread"),
        (Short, "`publish_event` is a NoneType; it is called, so make it a method"),
    ],
)
def test_what_does_not_work_is_told(bus, text):
    """One problem, in words an author can act on; nothing of it escapes as an error of ours."""

    def make(*, redis_url, directory, name):
        return bus()

    found = conform("event_bus", make)

    assert [text in one for one in found.problems] == [True], found.problems


def test_what_is_left_running_is_named():
    """A close that forgets a task: how many, and which."""

    class Leaky(event_bus.EventBusV2):
        async def start(self):
            await super().start()
            self.kept = asyncio.create_task(asyncio.sleep(3_600))

    def make(*, redis_url, directory, name):
        return Leaky(redis_url, directory / "buffer.db", name=name)

    assert conform("event_bus", make).problems == ("close() left a task running: sleep (tasks.py)",)


def test_a_port_that_there_is_not_is_the_persons_error():
    """With the nearest one."""
    with pytest.raises(UsageError, match=r"unknown port 'evnt_bus'; did you mean 'event_bus'\?"):
        conform("evnt_bus", print)
