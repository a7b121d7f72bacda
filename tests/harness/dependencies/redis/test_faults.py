"""Faults of Redis that answers errors: what they ask of the server, in which order, and what proves that they bit."""

import pytest

from harness.dependencies.redis import faults
from harness.faults.base import Evidence, Stage
from harness.history.events import FaultBegan, FaultHealed, Observation
from harness.history.history import History
from harness.history.query import fault_windows
from harness.tape import Tape


class Server:
    """A world with one Redis, which writes down what is asked of it."""

    def __init__(self):
        self.asked = []

    def dependency(self, name):
        """Return itself."""
        assert name == "redis"
        return self

    async def refuse_commands(self, refusal):
        """Note it."""
        self.asked.append(refusal)

    async def serve_commands(self):
        """Note it."""
        self.asked.append("serve")


@pytest.mark.parametrize(("mode", "refusal"), faults.REFUSALS.items())
async def test_refused_on_entering_served_on_leaving(mode, refusal):
    """Also when the run is cut short inside the fault."""
    server = Server()

    async def cut_short():
        async with faults.replies().hold(Stage(server, {}), mode, Tape(1).stream("x")):
            assert server.asked == [refusal]
            raise InterruptedError

    with pytest.raises(InterruptedError):
        await cut_short()
    assert server.asked == [refusal, "serve"]


def seen(time_ns, refusal, count, actor="redis"):
    return Observation(time_ns, actor, 1, "refused_commands", {"refusal": refusal, "count": count})


@pytest.mark.parametrize(
    ("observed", "expected"),
    [
        ([seen(20, "OOM", 7)], Evidence(bit=True, counts={"refused_commands": 7})),
        ([seen(20, "OOM", 0)], Evidence(bit=False, counts={})),
        ([seen(20, "READONLY", 7)], Evidence(bit=False, counts={})),
        ([seen(20, "OOM", 7, actor="other")], Evidence(bit=False, counts={})),
        ([seen(9, "OOM", 7), seen(21, "OOM", 7)], Evidence(bit=False, counts={})),
        ([], Evidence(bit=False, counts={})),
    ],
    ids=["given", "none given", "of another kind", "by another server", "before and after", "nothing observed"],
)
def test_the_proof_is_the_count_of_errors_given(observed, expected):
    """Of this kind, by this server, within this fault; instants at its healing included."""
    began = FaultBegan(10, "harness", 1, 1, "redis.replies", "oom", "redis")
    events = sorted([began, *observed, FaultHealed(20, "harness", 1, 1)], key=lambda event: event.time_ns)
    history = History(header=None, events=tuple(events), truncated=False)
    (window,) = fault_windows(history)
    assert faults.replies().evidence(history, window) == expected


def test_unknown_modes_are_named():
    """A misspelt mode does not pass for none, and no mode means all."""
    with pytest.raises(ValueError, match="lodaing"):
        faults.replies("lodaing")
    with pytest.raises(ValueError, match="oom"):
        faults.outage("oom")
    assert tuple(faults.replies().modes) == ("loading", "readonly", "oom", "noauth")
    assert tuple(faults.replies("oom").modes) == ("oom",)
