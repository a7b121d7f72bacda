"""Each flawed executor works while all is calm, and decides otherwise than the reference where it should."""

import asyncio
import math
from dataclasses import replace

import pytest

from reference_impl._executor.machine import SignalMachine
from reference_impl._executor.signals import MalformedSignalError
from reference_impl.flawed import executor as flawed


@pytest.mark.parametrize("variant", flawed.VARIANTS)
def test_a_flawed_variant_executes_while_all_is_calm(simulate, told, tmp_path, new_signal, variant):
    """A defect that shows without a flood would prove nothing about floods."""
    executed = []

    async def execute(signal):
        executed.append(signal.id)

    async def program():
        executor = flawed.VARIANTS[variant](
            execute=execute, may_trade=lambda: True, symbols=["S0", "S1"], directory=tmp_path, name="x"
        )
        executor.on_disposed(told.append)
        work = asyncio.create_task(executor.process_queue())
        for number in range(3):
            await executor.handle_signal(new_signal(f"s{number}", symbol=f"S{number % 2}"))
            await asyncio.sleep(2)
        await executor.close()
        await work
        return executor.stats(), executor.dropped_signals

    stats, dropped = simulate(program)
    assert executed == ["s0", "s1", "s2"]
    assert (stats.offered, stats.executed, stats.queued, dropped) == (3, 3, 0, 0)
    assert [(one.id, one.reason) for one in told] == [(name, "executed") for name in executed]


def test_every_variant_is_a_name_of_its_module():
    """Scenarios name variants as `module:attribute`."""
    assert {name: getattr(flawed, name) for name in flawed.VARIANTS} == flawed.VARIANTS
    assert len(flawed.VARIANTS) == 18


def filled(new_bench, machine, **fields):
    """A machine with a full queue of three: a at 0.4, b at 0.2, c at 0.6."""
    bench = new_bench(machine)
    for name, confidence in (("a", 0.4), ("b", 0.2), ("c", 0.6)):
        bench.offer(name, confidence, **fields)
    return bench


def ends_of_one_more(new_bench, machine, **fields):
    """What a full queue does with d at 0.9."""
    bench = filled(new_bench, machine)
    bench.offer("d", 0.9, **fields)
    return sorted(bench.queued), bench.ended()


def test_who_is_given_up(new_bench):
    """The reference gives up the least confident; the flawed the newest, nobody, or the oldest without a word."""
    assert ends_of_one_more(new_bench, SignalMachine) == (["a", "c", "d"], [("b", "dropped", "")])
    assert ends_of_one_more(new_bench, flawed._DropsNewest) == (["a", "b", "c"], [("d", "dropped", "")])
    assert ends_of_one_more(new_bench, flawed._Unbounded) == (["a", "b", "c", "d"], [])
    assert ends_of_one_more(new_bench, flawed._DropsOldestSilently) == (["b", "c", "d"], [])


def test_nan_wins(new_bench):
    """It is taken in, and goes before all."""
    bench = filled(new_bench, flawed._NanWins)
    assert bench.offer("nan", math.nan)
    assert bench.take() == "nan"
    with pytest.raises(MalformedSignalError):
        bench.offer("inf", math.inf)


def test_the_rate_that_errors_do_not_count_against(new_bench):
    """Two that fail make room for two more at once."""
    for machine, expected in ((SignalMachine, None), (flawed._SkipsRateOnError, "b")):
        bench = filled(new_bench, machine)
        for one in (bench.machine.take(0), bench.machine.take(0)):
            bench.machine.ended(one, "failed")
        assert bench.take() == expected


def test_the_rate_that_is_forgotten_or_read_off_the_clock(new_bench):
    """One executes in the moment of its start, the other at each full second."""
    for machine, at_start, at_second in (
        (SignalMachine, None, None),
        (flawed._ForgetsRate, "c", None),
        (flawed._FixedSeconds, None, "b"),
    ):
        bench = filled(new_bench, machine)
        bench.machine.window = machine.window_type(2, 0)
        assert bench.take() == at_start
        bench = filled(new_bench, machine)
        bench.now = 1.9
        bench.take()
        bench.take()
        bench.now = 2.0
        assert bench.take() == at_second


def test_replacements_that_nobody_hears_of(new_bench):
    """The same are queued, and nothing is counted."""
    bench = filled(new_bench, flawed._CountsReplacements)
    assert bench.offer("d", symbol="S0")
    assert (bench.queued, bench.ended(), bench.machine.counts["superseded"]) == (["d", "b", "c"], [], 0)


def test_exits_that_are_not_let_through(new_bench):
    """They wait behind entries, are dropped, or give way to an entry."""
    bench = filled(new_bench, flawed._ExitsWait)
    bench.offer("exit", 0.5, exit=True)
    assert [bench.take(), bench.take()] == ["c", "exit"]
    bench = filled(new_bench, flawed._DropsExits)
    bench.offer("exit", 0.1, exit=True)
    assert bench.ended() == [("exit", "dropped", "")]
    bench = new_bench(flawed._ExitsYield)
    bench.offer("exit", exit=True, symbol="S1")
    bench.offer("entry", symbol="S1")
    assert (bench.queued, bench.ended()) == (["entry"], [("exit", "superseded", "entry")])


def test_stale_and_superseded_signals_that_execute(new_bench):
    """Long after the ttl, or with a newer one in the queue."""
    bench = filled(new_bench, flawed._ExecutesStale, ttl=1.0)
    bench.now = 5.0
    assert bench.take() == "c"
    bench = new_bench(flawed._KeepsOld)
    bench.offer("old", 0.9, symbol="S1")
    bench.offer("new", 0.1, symbol="S1")
    assert [bench.take(), bench.take()] == ["old", "new"]
    bench.offer("exit", symbol="S2", exit=True)
    bench.offer("again", symbol="S2", exit=True)
    bench.machine.close()
    assert len(bench.machine.queue) == 0


def test_first_come_first_served(new_bench):
    """Confidence means nothing to it."""
    assert filled(new_bench, flawed._FirstCome).take() == "a"
    assert filled(new_bench, SignalMachine).take() == "c"


def test_places_that_are_never_free_again(new_bench):
    """Two executions at once, of which none is left for a third, although all have ended."""
    for machine, expected in ((SignalMachine, "b"), (flawed._KeepsPlaces, None)):
        bench = filled(new_bench, machine)
        bench.machine.policy = replace(bench.machine.policy, max_running=2, reserved=0)
        for _ in range(2):
            bench.machine.ended(bench.machine.take(bench.ns), "ok")
            bench.now += 1
        assert bench.take() == expected


def test_half_the_rate(new_bench):
    """The second execution has to wait for a second."""
    for machine, expected in ((SignalMachine, "a"), (flawed._HalfTheRate, None)):
        bench = filled(new_bench, machine)
        assert (bench.take(), bench.take()) == ("c", expected)


def test_a_halt_that_is_ignored(simulate, tmp_path, new_signal):
    """Nobody is asked."""
    executed = []

    async def execute(signal):
        executed.append(signal.id)

    async def program():
        executor = flawed.ignores_halt(
            execute=execute, may_trade=lambda: False, symbols=["S0"], directory=tmp_path, name="x"
        )
        work = asyncio.create_task(executor.process_queue())
        await executor.handle_signal(new_signal("a"))
        await asyncio.sleep(2)
        await executor.close()
        await work

    simulate(program)
    assert executed == ["a"]
