"""Faults of a host: what they do to the world, in which order, and what proves that they bit."""

import pytest

from harness.errors import UsageError
from harness.faults import process
from harness.faults.base import Stage
from harness.history.events import FaultBegan, FaultHealed, HostChanged, Invoke, Ok
from harness.history.history import History
from harness.history.query import fault_windows
from harness.tape import Tape
from harness.world.base import HostSpec


class World:
    """Writes down what is done to its hosts."""

    def __init__(self):
        self.calls = []

    async def kill_host(self, name, *, silent=False):
        """Note it."""
        self.calls.append(("kill", name, silent))

    async def start_host(self, spec):
        """Note it."""
        self.calls.append(("start", spec.name))

    async def freeze_host(self, name):
        """Note it."""
        self.calls.append(("freeze", name))

    async def thaw_host(self, name):
        """Note it."""
        self.calls.append(("thaw", name))


async def idle(host):
    """A host program."""


@pytest.fixture
def stage():
    """A stage with one host."""
    return Stage(World(), {"publisher": HostSpec(name="publisher", program=idle)})


FAULTS = [
    (process.kill("publisher"), [("kill", "publisher", False)], [("start", "publisher")], "killed"),
    (process.power_off("publisher"), [("kill", "publisher", True)], [("start", "publisher")], "powered_off"),
    (process.freeze("publisher"), [("freeze", "publisher")], [("thaw", "publisher")], "frozen"),
]
EACH = pytest.mark.parametrize(
    ("fault", "injected", "healed", "change"), FAULTS, ids=lambda one: getattr(one, "name", "")
)


@EACH
async def test_injected_on_entering_healed_on_leaving(stage, fault, injected, healed, change):
    """The host dies or stands still when the scope is entered, and is back when it is left, not before."""
    async with fault.hold(stage, fault.modes[0], Tape(1).stream("fault/0")):
        assert stage.world.calls == injected
    assert stage.world.calls == [*injected, *healed]


@EACH
async def test_healed_on_every_way_out(stage, fault, injected, healed, change):
    """An error, or Ctrl-C, inside the scope heals as well, and is passed on."""
    with pytest.raises(KeyboardInterrupt):
        async with fault.hold(stage, fault.modes[0], Tape(1).stream("fault/0")):
            raise KeyboardInterrupt
    assert stage.world.calls == [*injected, *healed]


async def test_a_fault_on_an_unknown_host_hurts_nobody(stage):
    """The name is looked up before anything is done."""
    with pytest.raises(UsageError, match="unknown host 'consumer'"):
        async with process.kill("consumer").hold(stage, "sigkill", Tape(1).stream("fault/0")):
            pass
    assert stage.world.calls == []


@pytest.fixture
def history(make_scenario, make_history):
    """A history with one fault from 100 to 200 and these events; the window of the fault with it."""
    header = make_history(make_scenario()).header

    def make(fault, *events):
        began = FaultBegan(100, "harness", 1, 0, fault.name, fault.modes[0], fault.on)
        made = History.of([header, began, FaultHealed(200, "harness", 1, 0), *events])
        return made, fault_windows(made)[0]

    return make


def work(actor="publisher", at=10):
    return Invoke(at, actor, 1, 0, "publish", {})


@EACH
def test_it_bit_if_a_busy_host_died_inside_the_window(history, fault, injected, healed, change):
    """Both are needed: the change on record within the window, and work of that host before it."""
    judged = fault.evidence(*history(fault, work(), HostChanged(101, "publisher", 1, change, "")))

    assert judged.bit
    assert judged.counts == {change: 1, "operations_before": 1, "operations_cut_short": 1}


@EACH
@pytest.mark.parametrize(
    "events",
    [
        lambda change: [work()],
        lambda change: [HostChanged(101, "publisher", 1, change, "")],
        lambda change: [work(at=150), HostChanged(101, "publisher", 1, change, "")],
        lambda change: [work(), HostChanged(99, "publisher", 1, change, "")],
        lambda change: [work(), HostChanged(200, "publisher", 1, change, "")],
        lambda change: [work(), HostChanged(101, "consumer", 1, change, "")],
        lambda change: [work("consumer"), HostChanged(101, "publisher", 1, change, "")],
        lambda change: [work(), HostChanged(101, "publisher", 1, "finished", "")],
        lambda change: [work(), HostChanged(101, "publisher", 1, "failed", "boom")],
    ],
    ids=[
        "no death",
        "idle host",
        "worked only later",
        "died before",
        "died after",
        "another host died",
        "another host worked",
        "it finished",
        "it failed by itself",
    ],
)
def test_anything_less_is_no_proof(history, fault, injected, healed, change, events):
    """A fault that hit an idle host, another host, or at another time, did not bite."""
    assert not fault.evidence(*history(fault, *events(change))).bit


def test_operations_that_were_over_were_not_cut_short(history):
    """Only what was under way when the host died counts as cut short; what was answered later is among it."""
    fault = process.freeze("publisher")
    events = [
        Invoke(10, "publisher", 1, 0, "publish", {}),
        Ok(20, "publisher", 1, 0, {}),
        Invoke(30, "publisher", 1, 1, "publish", {}),
        Ok(230, "publisher", 1, 1, {}),
        Invoke(40, "publisher", 1, 2, "publish", {}),
        Invoke(45, "consumer", 1, 2, "publish", {}),
        HostChanged(100, "publisher", 1, "frozen", ""),
    ]

    assert fault.evidence(*history(fault, *events)).counts == {
        "frozen": 1,
        "operations_before": 3,
        "operations_cut_short": 2,
    }
