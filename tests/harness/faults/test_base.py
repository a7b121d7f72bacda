"""Stages and no-op faults."""

import pytest

from harness.errors import UsageError
from harness.faults import process
from harness.faults.base import Stage, WithoutEffect
from harness.history.events import FaultBegan, FaultHealed, HostChanged, Invoke
from harness.history.history import History
from harness.history.query import fault_windows
from harness.scenario import plan
from harness.tape import Tape
from harness.world.base import HostSpec


class Untouchable:
    """A world that says what was done to it by failing."""

    def __getattr__(self, name):
        raise AssertionError(f"the world was asked for {name}")


async def idle(host):
    """A host program."""


def test_a_stage_knows_its_hosts_by_name():
    """A fault on a host that the scenario does not have is the person's error, with the nearest name."""
    spec = HostSpec(name="publisher", program=idle)
    stage = Stage(Untouchable(), {"publisher": spec})

    assert stage.host("publisher") is spec
    with pytest.raises(UsageError, match="unknown host 'publsher'; did you mean 'publisher'"):
        stage.host("publsher")


async def test_a_fault_without_effect_touches_nothing():
    """Neither entering nor leaving reaches the world."""
    stage = Stage(Untouchable(), {"publisher": HostSpec(name="publisher", program=idle)})
    fault = WithoutEffect(process.kill("publisher"))

    async with fault.hold(stage, "sigkill", Tape(1).stream("fault/0")):
        pass
    with pytest.raises(AssertionError, match="kill_host"):
        async with process.kill("publisher").hold(stage, "sigkill", Tape(1).stream("fault/0")):
            pass


async def test_a_fault_without_effect_swallows_no_error():
    """An error inside its scope is not lost."""
    with pytest.raises(KeyError):
        async with WithoutEffect(process.kill("a")).hold(Stage(Untouchable(), {}), "sigkill", Tape(1).stream("x")):
            raise KeyError


def test_a_fault_without_effect_is_judged_by_the_real_faults_standard(make_scenario, make_history):
    """It stands for the real one in name, place and modes; its evidence is the real one's, both ways."""
    real = process.kill("publisher")
    fault = WithoutEffect(real)
    began = FaultBegan(5, "harness", 1, 0, real.name, "sigkill", real.on)
    work = [Invoke(1, "publisher", 1, 0, "publish", {})]
    header = make_history(make_scenario()).header
    quiet = History.of([header, *work, began, FaultHealed(9, "harness", 1, 0)])
    killed = History.of([*quiet.events, HostChanged(6, "publisher", 1, "killed", "")])

    assert (fault.name, fault.on, fault.modes) == (real.name, real.on, real.modes)
    assert not fault.evidence(quiet, fault_windows(quiet)[0]).bit
    assert fault.evidence(killed, fault_windows(killed)[0]).bit


def test_a_no_op_keeps_the_plan(make_scenario):
    """A scenario whose fault is made a no-op still plans the same faults."""
    (planned,) = plan(make_scenario().profile("full"), Tape(1))

    assert WithoutEffect(planned.fault).modes == planned.fault.modes
