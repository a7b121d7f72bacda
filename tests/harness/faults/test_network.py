"""Faults of a link: what they do to it, that they always heal, and what proves that they bit."""

import asyncio

import pytest

from harness.errors import UsageError
from harness.faults import network
from harness.faults.base import Stage
from harness.history.events import SCHEMA, FaultBegan, FaultHealed, Observation, RunStarted
from harness.history.history import History
from harness.history.query import fault_windows
from harness.tape import Tape
from harness.units import ms, seconds
from harness.world.base import HostSpec

FAULTS = [
    network.partition("p", "redis"),
    network.refuse("p", "redis"),
    network.latency("p", "redis", latency_ms=5),
    network.bandwidth("p", "redis", rate_kb_s=1),
    network.slices("p", "redis", average_bytes=10, variation_bytes=5, delay_us=10),
    network.reset("p", "redis"),
    network.reset_mid_reply("p", "redis"),
    network.drop_reply("p", "redis", commands=("XADD",), share=0.5),
    network.delay_reply("p", "redis", commands=("GET",), delay_ms=300),
    network.half_open("p", "redis"),
    network.drop_http_reply("p", "redis"),
    network.reset_http("p", "redis"),
]
WAYS = [pytest.param(fault, mode, id=f"{fault.name}-{mode}") for fault in FAULTS for mode in fault.modes]


class Link:
    """Writes down what is done to it, and can fail at one of the calls."""

    def __init__(self, fails_at=None):
        self.calls = []
        self.toxics = {}
        self.fails_at = fails_at

    def _note(self, *call):
        self.calls.append(call)
        if len(self.calls) == self.fails_at:
            raise OSError("no")

    async def add(self, name, toxic, *, stream, toxicity=1.0, per_message=False):
        """Keep it."""
        self._note("add", toxic.type, stream, toxicity, per_message)
        assert name not in self.toxics
        self.toxics[name] = toxic

    async def remove(self, name):
        """Forget it."""
        self._note("remove", self.toxics.pop(name).type)

    async def cut(self, stream):
        """Note it."""
        self._note("cut", stream)

    async def heal(self):
        """Note it."""
        self._note("heal")

    async def refuse(self):
        """Note it."""
        self._note("refuse")

    async def accept(self):
        """Note it."""
        self._note("accept")

    async def reset(self):
        """Note it."""
        self._note("reset")


class World:
    """One link, and a clock that goes on by itself."""

    def __init__(self, link):
        self._link = link
        self._now_ns = 0

    def link(self, host, dependency):
        """The only one."""
        assert (host, dependency) == ("p", "redis")
        return self._link

    def now_ns(self):
        """The time."""
        return self._now_ns

    async def sleep_until(self, time_ns):
        """Be there after one turn of the loop."""
        self._now_ns = time_ns
        await asyncio.sleep(0)


async def turns(count):
    """Let the loop go round so many times."""
    for _ in range(count):
        await asyncio.sleep(0)


async def idle(host):
    """A host program."""


def stage_of(link):
    """A stage with the host `p`."""
    return Stage(World(link), {"p": HostSpec(name="p", program=idle)})


def history_of(fault, mode, *seen):
    """A fault from 10 to 20 s, and what was observed."""
    header = RunStarted(0, "harness", 1, SCHEMA, "0", "s", "full", "sim", 7, {}, [])
    began = FaultBegan(seconds(10), "harness", 1, 0, fault.name, mode, fault.on)
    return History.of([header, began, *seen, FaultHealed(seconds(20), "harness", 1, 0)])


@pytest.mark.parametrize(("fault", "mode"), WAYS)
async def test_whatever_is_done_is_undone(fault, mode):
    """While it holds, the link is impaired; afterwards nothing is left, and the last call heals."""
    link = Link()
    async with fault.hold(stage_of(link), mode, Tape(1).stream("fault/0")):
        impaired = list(link.calls)
    assert impaired
    assert link.toxics == {}
    undo = {"cut": "heal", "refuse": "accept", "add": "remove"}
    done = [call[0] for call in impaired]
    assert [call[0] for call in link.calls[len(impaired) :]] == [undo[name] for name in done if name in undo]


@pytest.mark.parametrize(("fault", "mode"), WAYS)
async def test_an_error_inside_heals_as_well(fault, mode):
    """Leaving by an exception undoes the same, and the exception comes out."""
    link = Link()
    with pytest.raises(KeyError):
        async with fault.hold(stage_of(link), mode, Tape(1).stream("fault/0")):
            raise KeyError
    assert link.toxics == {}
    assert link.calls[-1][0] in {"heal", "accept", "remove", "reset"}


async def test_a_toxic_that_cannot_be_added_takes_the_first_with_it():
    """Of two toxics the second fails: the first is removed before the error comes out."""
    link = Link(fails_at=2)
    with pytest.raises(OSError, match="no"):
        async with network.half_open("p", "redis").hold(stage_of(link), "half-open", Tape(1).stream("fault/0")):
            raise AssertionError("it cannot have begun")
    assert (link.toxics, link.calls[-1][0]) == ({}, "remove")


async def test_resets_go_on_for_as_long_as_it_holds():
    """At once, and again after each pause; none after it has healed."""
    link = Link()
    stage = stage_of(link)
    fault = network.reset("p", "redis", pause_ns=(ms(10), ms(20)))
    async with fault.hold(stage, "now", Tape(1).stream("fault/0")):
        assert link.calls == [("reset",)]
        await turns(10)
        count = len(link.calls)
        assert count >= 5
        assert ms(10) * (count - 1) <= stage.world.now_ns() <= ms(20) * count
    await turns(10)
    assert len(link.calls) == count


async def test_a_reset_that_fails_is_not_swallowed():
    """The second reset fails while the fault holds: the run hears of it."""
    link = Link(fails_at=2)
    held = network.reset("p", "redis").hold(stage_of(link), "now", Tape(1).stream("fault/0"))
    await held.__aenter__()
    await turns(10)
    with pytest.raises(OSError, match="no"):
        await held.__aexit__(None, None, None)


async def test_an_unknown_host_is_the_persons_error():
    """With the nearest name, before anything is touched."""
    fault = network.refuse("q", "redis")
    with pytest.raises(UsageError, match="unknown host 'q'"):
        async with fault.hold(stage_of(Link()), "refuse", Tape(1).stream("fault/0")):
            raise AssertionError("it cannot have begun")


PROOF = {
    "network.partition": ("partition", {"held": 5}),
    "network.latency": ("latency", {"bytes": 5}),
    "network.bandwidth": ("bandwidth", {"bytes": 5}),
    "network.slice": ("slicer", {"bytes": 5}),
    "network.reset": ("reset", {"reset": 1}),
    "network.reset_mid_reply": ("redis_match", {"reset": 1}),
    "network.drop_reply": ("redis_match", {"dropped_replies": 1}),
    "network.delay_reply": ("redis_match", {"matched": 1}),
    "network.half_open": ("half_open", {"dropped": 5}),
    "network.drop_http_reply-drop-reply": ("http_match", {"dropped_replies": 1}),
    "network.drop_http_reply-drop-request": ("http_match", {"dropped_requests": 1}),
    "network.reset_http-before": ("http_match", {"reset": 1}),
    "network.reset_http-after": ("http_match", {"reset": 1}),
    "network.reset_http-mid-reply": ("http_match", {"reset": 1}),
}


@pytest.mark.parametrize(("fault", "mode"), [way for way in WAYS if {way.values[0].name, way.id} & set(PROOF)])
def test_the_link_itself_proves_it(fault, mode):
    """A count above zero on this link, in time, by the right toxic; anything else proves nothing."""
    kind, counts = PROOF.get(f"{fault.name}-{mode}") or PROOF[fault.name]

    def bit(actor="p", to="redis", time_s=20, type_=kind, counts=counts):
        value = {"to": to, "toxic": "x", "type": type_, "stream": "upstream", "connections": 3, **counts}
        history = history_of(fault, mode, Observation(seconds(time_s), actor, 1, "toxic", value))
        return fault.evidence(history, fault_windows(history)[0]).bit

    assert bit()
    assert not bit(actor="q")
    assert not bit(to="other")
    assert not bit(time_s=21)
    assert not bit(type_="nothing")
    assert not bit(counts=dict.fromkeys(counts, 0))


@pytest.mark.parametrize(
    ("fault", "mode", "outcome"),
    [(network.refuse("p", "redis"), "refuse", "refused"), (network.partition("p", "redis"), "upstream", "unreachable")],
)
def test_connections_that_failed_prove_it(fault, mode, outcome):
    """Those of this host only."""

    def evidence(actor):
        history = history_of(
            fault, mode, Observation(seconds(11), actor, 1, "link", {"to": "redis", "outcome": outcome, "count": 2})
        )
        return fault.evidence(history, fault_windows(history)[0])

    assert evidence("p").bit
    assert evidence("p").counts == {outcome: 2}
    assert not evidence("q").bit


def test_what_cannot_be_is_refused_when_it_is_declared():
    """A way that there is not, a value that a toxic refuses."""
    with pytest.raises(ValueError, match=r"unknown ways to partition \['sideways'\]; known: both-ways"):
        network.partition("p", "redis", "sideways")
    with pytest.raises(ValueError, match="rate"):
        network.bandwidth("p", "redis", rate_kb_s=-1)
    with pytest.raises(ValueError, match=r"unknown modes \['mid'\]; known: before, after, mid-reply"):
        network.reset_http("p", "redis", "mid")


@pytest.mark.parametrize(
    ("fault", "action"),
    [
        (
            network.drop_http_reply("p", "redis", "drop-reply", methods=("POST",), path="/fapi/*", share=0.5),
            "drop_reply",
        ),
        (network.reset_http("p", "redis", "after", methods=("POST",), path="/fapi/*", share=0.5), "reset_after"),
    ],
)
async def test_http_faults_take_what_they_were_told_to(fault, action):
    """Only the mode that was named, only these methods and paths, and that share of their requests, each by itself."""
    link = Link()
    (mode,) = fault.modes
    async with fault.hold(stage_of(link), mode, Tape(1).stream("fault/0")):
        (toxic,) = link.toxics.values()
        assert link.calls == [("add", "http_match", "downstream", 0.5, True)]
    assert (toxic.action, toxic.methods, toxic.path) == (action, ("POST",), "/fapi/*")
