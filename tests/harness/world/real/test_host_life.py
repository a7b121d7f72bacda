"""A host's life against a model: whatever is asked in whatever order, history and answers agree with it."""

import asyncio
import shutil
import tempfile
from pathlib import Path

import host_programs
import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from harness.errors import WorldError
from harness.history.events import Event, HostChanged
from harness.tape import Tape
from harness.units import ms, seconds
from harness.world.base import HostSpec
from harness.world.real import guard
from harness.world.real.world import RealWorld


class Sink(list[Event]):
    """Keeps events."""

    record = list.append


class HostLife(RuleBasedStateMachine):
    """One host; the model is its state and the changes that its history must show."""

    def __init__(self) -> None:
        super().__init__()
        self.state = "absent"
        self.incarnation = 0
        self.expected: list[tuple[int, str]] = []
        self.sink = Sink()
        self.directory = Path(tempfile.mkdtemp())
        self.runner = asyncio.Runner()
        self.world = RealWorld(Tape(1), self.sink, targets={}, directory=self.directory, dependency_kinds={})
        self.runner.run(self.world.__aenter__())

    def teardown(self) -> None:
        """End the world; afterwards nothing of it is alive."""
        pids = [host._child.pid for host in self.world._hosts.values()]
        self.runner.run(self.world.__aexit__(None, None, None))
        self.runner.close()
        shutil.rmtree(self.directory)
        assert [pid for pid in pids if guard.status_of(pid)] == []
        assert guard.status_of(self.world.run.guard_pid) is None

    def becomes(self, state: str, change: str) -> None:
        self.state = state
        self.expected.append((self.incarnation, change))

    def refused(self, coroutine) -> None:
        with pytest.raises(WorldError):
            self.runner.run(coroutine)

    @rule()
    def start(self) -> None:
        """Starts a new incarnation unless one is alive."""
        starting = self.world.start_host(HostSpec(name="a", program=host_programs.until_stopped))
        if self.state in ("running", "frozen"):
            self.refused(starting)
        else:
            self.runner.run(starting)
            self.incarnation += 1
            self.becomes("running", "started")

    @rule()
    def kill(self) -> None:
        """Kills what is alive, frozen or not."""
        if self.state in ("running", "frozen"):
            self.runner.run(self.world.kill_host("a"))
            self.becomes("dead", "killed")
        else:
            self.refused(self.world.kill_host("a"))

    @rule()
    def freeze(self) -> None:
        """Freezes once; again changes nothing."""
        if self.state in ("absent", "dead"):
            self.refused(self.world.freeze_host("a"))
            return
        self.runner.run(self.world.freeze_host("a"))
        if self.state == "running":
            self.becomes("frozen", "frozen")

    @rule()
    def thaw(self) -> None:
        """Thaws what is frozen; nothing else changes."""
        if self.state == "absent":
            self.refused(self.world.thaw_host("a"))
            return
        self.runner.run(self.world.thaw_host("a"))
        if self.state == "frozen":
            self.becomes("running", "thawed")

    @rule()
    def stop(self) -> None:
        """A running program finishes, a frozen one cannot and is killed, a dead one has finished."""
        if self.state == "absent":
            self.refused(self.world.stop_host("a", timeout_ns=0))
            return
        timeout_ns = ms(50) if self.state == "frozen" else seconds(20)
        assert self.runner.run(self.world.stop_host("a", timeout_ns=timeout_ns)) == (
            self.state == "running" or self.expected[-1][1] == "stopped"
        )
        if self.state != "dead":
            self.becomes("dead", "stopped" if self.state == "running" else "killed")

    @invariant()
    def history_and_process_agree_with_the_model(self) -> None:
        """The changes are the expected ones, and the kernel shows the process as the model has it."""
        changes = [(e.incarnation, e.change) for e in self.sink if isinstance(e, HostChanged)]
        assert changes == self.expected
        assert [event.time_ns for event in self.sink] == sorted(event.time_ns for event in self.sink)
        assert self.world.failures == []
        if self.state != "absent":
            status = guard.status_of(self.world._hosts["a"]._child.pid)
            assert (status is not None) == (self.state != "dead")
            assert (status is not None and status.still) == (self.state == "frozen")


HostLife.TestCase.settings = settings(
    max_examples=8,
    stateful_step_count=10,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow],
)
TestHostLife = pytest.mark.real(HostLife.TestCase)
