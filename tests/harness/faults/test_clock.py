"""The faults of clocks: what they do to the world, and what proves that they bit."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import UsageError
from harness.faults.base import Stage
from harness.faults.clock import MODES, SIDES, SPEEDS, clock_drift, clock_skew, clock_step
from harness.tape import Tape
from harness.units import ms, seconds
from harness.world.base import HostSpec


async def held(stage, mode, *, seed=1, error=None, fault=clock_step):
    """Hold the fault for some turns of the loop; return the steps made inside, and all steps."""
    calls = stage.world.calls
    inside = None
    try:
        async with fault("publisher").hold(stage, mode, Tape(seed).stream("fault/0")):
            for _ in range(100):
                await asyncio.sleep(0)
            inside = [by_ns for _, _, by_ns in calls]
            if error is not None:
                raise error
    finally:
        steps = [by_ns for _, _, by_ns in calls]
    return inside, steps


@pytest.mark.parametrize(("mode", "sign"), [("forward", 1), ("backward", -1)])
async def test_stepped_once_and_back(noting, mode, sign):
    """By a drawn amount, at least a second and at most two hours, in the direction of the mode."""
    inside, steps = await held(noting, mode)
    (by_ns,) = inside
    assert seconds(1) <= sign * by_ns <= seconds(7_200)
    assert steps == [by_ns, -by_ns]


async def test_jitter_goes_to_and_fro_near_the_truth(noting):
    """In both directions, never further off than two seconds, and the clock is right afterwards."""
    inside, steps = await held(noting, "jitter")
    offsets = [sum(inside[: n + 1]) for n in range(len(inside))]
    assert len(offsets) == 21
    assert min(offsets) < 0 < max(offsets)
    assert max(map(abs, offsets)) <= seconds(2)
    assert sum(steps) == 0


@pytest.mark.parametrize(("mode", "sign"), [("ahead", 1), ("behind", -1)])
@pytest.mark.parametrize("seed", range(5))
async def test_a_skew_is_one_offset_for_as_long_as_it_holds(noting, mode, sign, seed):
    """Drawn from 50 ms to 30 s, on the side of the mode."""
    inside, steps = await held(noting, mode, seed=seed, fault=clock_skew)
    (by_ns,) = inside
    assert ms(50) <= sign * by_ns <= seconds(30)
    assert steps == [by_ns, -by_ns]


@pytest.mark.parametrize(("mode", "sign"), [("fast", 1), ("slow", -1)])
async def test_a_drift_grows_by_its_rate(noting, mode, sign):
    """Every quarter of a second by the same, from 0.01 to 5 % of it."""
    inside, steps = await held(noting, mode, fault=clock_drift)
    assert len(inside) == 20
    assert max(inside) - min(inside) <= 1  # rounding
    assert ms(250) * 100 // 1_000_000 <= sign * inside[0] <= ms(250) * 50_000 // 1_000_000
    assert sum(steps) == 0


HELD = [(clock_step, mode) for mode in MODES]
HELD += [(clock_skew, side) for side in SIDES] + [(clock_drift, speed) for speed in SPEEDS]


@pytest.mark.parametrize(("fault", "mode"), HELD)
@pytest.mark.parametrize("error", [KeyboardInterrupt(), ValueError("boom")], ids=["interrupt", "error"])
async def test_the_clock_is_right_on_every_way_out(noting, fault, mode, error):
    """An error inside the scope steps the clock back, and is passed on as it is."""
    with pytest.raises(type(error)):
        await held(noting, mode, error=error, fault=fault)
    assert sum(by_ns for _, _, by_ns in noting.world.calls) == 0
    assert len(noting.world.calls) >= 2


async def test_a_world_that_cannot_step_says_so_from_the_jitter_too(noting):
    """The error of a step in the background is not lost."""

    async def refuse(_host, _by_ns):
        raise OSError("no clock")

    noting.world.step_clock = refuse
    with pytest.raises(OSError, match="no clock"):
        await held(noting, "jitter")


@given(seed=st.integers(0, 10_000))
def test_the_same_seed_steps_the_same(seed):
    """What is drawn comes from the tape alone."""
    fault = clock_step("publisher")

    class World:
        def __init__(self):
            self.steps = []

        async def step_clock(self, _host, by_ns):
            self.steps.append(by_ns)

    async def steps():
        stage = Stage(World(), {"publisher": HostSpec(name="publisher", program=steps)})
        async with fault.hold(stage, "forward", Tape(seed).stream("fault/0")):
            pass
        return stage.world.steps

    first, again = asyncio.run(steps()), asyncio.run(steps())
    assert first == again
    assert first[0] > 0
    assert sum(first) == 0


@pytest.mark.parametrize("fault", [clock_step, clock_skew, clock_drift])
async def test_an_unknown_host_is_named(noting, fault):
    """Before anything is done."""
    with pytest.raises(UsageError, match="unknown host 'consumer'"):
        async with fault("consumer").hold(noting, fault("consumer").modes[0], Tape(1).stream("fault/0")):
            pass
    assert noting.world.calls == []


@pytest.mark.parametrize("fault", [clock_step, clock_skew, clock_drift])
def test_an_unknown_mode_is_refused_when_the_scenario_is_written(fault):
    """Not when it runs."""
    with pytest.raises(ValueError, match="sideways"):
        fault("publisher", "sideways")


@pytest.mark.parametrize("fault", [clock_step, clock_skew, clock_drift])
def test_it_bit_if_the_host_read_its_clock_while_that_was_off(seen_under, fault):
    """Reads add up, those reported at the moment of healing included."""
    fault = fault("publisher")
    hour = seconds(3_600)
    seen = [
        (100, "publisher", "clock", {"offset_ns": -hour, "reads": 0}),
        (150, "publisher", "clock", {"offset_ns": -hour, "reads": 1}),
        (200, "publisher", "clock", {"offset_ns": 0, "reads": 7}),
    ]
    judged = fault.evidence(*seen_under(fault, *seen))
    assert judged.bit
    assert judged.counts == {"reads": 8, "observations": 3, "furthest_ms": 3_600_000}


@pytest.mark.parametrize(
    "seen",
    [
        [],
        [(100, "publisher", "clock", {"offset_ns": 9, "reads": 0})],
        [(99, "publisher", "clock", {"offset_ns": 9, "reads": 1})],
        [(201, "publisher", "clock", {"offset_ns": 9, "reads": 1})],
        [(150, "consumer", "clock", {"offset_ns": 9, "reads": 1})],
    ],
    ids=["nothing", "never read", "before", "after", "another host"],
)
def test_anything_less_is_no_proof(seen_under, seen):
    """A clock that nobody read, another host's, or another time."""
    fault = clock_step("publisher")
    assert not fault.evidence(*seen_under(fault, *seen)).bit
