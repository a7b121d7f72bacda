"""The clocks of the sim world: every way to read one, on the run's thread and on others."""

# ruff: noqa: DTZ002, DTZ003, DTZ005, DTZ011, ICN001, N812, PLW0108 - naive and late-bound readings are what is tested

import datetime
import functools
import gc
import importlib
import os
import random
import secrets
import socket
import sys
import tempfile
import threading
import time
import timeit
import uuid
import weakref
from datetime import date
from datetime import datetime as DateTime
from time import monotonic as bound_monotonic
from time import time as bound_time

import pytest

from harness.errors import WorldError
from harness.world.cfunction import Redirection
from harness.world.sim import entropy
from harness.world.sim.sources import virtual

bound_now = DateTime.now
bound_utcnow = DateTime.utcnow
bound_today = DateTime.today
bound_date_today = date.today


def with_default(clock=time.monotonic):
    return clock()


class Holder:
    clock = time.perf_counter
    bare = staticmethod(time.time_ns)


READINGS = {
    "time.time": lambda: time.time(),
    "time.time_ns": lambda: time.time_ns(),
    "time.monotonic": lambda: time.monotonic(),
    "time.monotonic_ns": lambda: time.monotonic_ns(),
    "time.perf_counter": lambda: time.perf_counter(),
    "time.perf_counter_ns": lambda: time.perf_counter_ns(),
    "time.process_time": lambda: time.process_time(),
    "time.process_time_ns": lambda: time.process_time_ns(),
    "time.thread_time": lambda: time.thread_time(),
    "time.clock_gettime": lambda: time.clock_gettime(time.CLOCK_REALTIME),
    "time.clock_gettime_ns": lambda: time.clock_gettime_ns(time.CLOCK_MONOTONIC),
    "time.gmtime": lambda: tuple(time.gmtime()),
    "time.localtime": lambda: tuple(time.localtime()),
    "time.localtime(None)": lambda: tuple(time.localtime(None)),
    "time.ctime": lambda: time.ctime(),
    "time.asctime": lambda: time.asctime(),
    "time.strftime": lambda: time.strftime("%Y-%m-%d %H:%M:%S"),
    "datetime.now": lambda: datetime.datetime.now(),
    "datetime.now(utc)": lambda: datetime.datetime.now(datetime.UTC),
    "datetime.now(tz=)": lambda: DateTime.now(tz=datetime.timezone(datetime.timedelta(hours=9))),
    "datetime.utcnow": lambda: datetime.datetime.utcnow(),
    "datetime.today": lambda: datetime.datetime.today(),
    "date.today": lambda: date.today(),
    "pre-bound time": lambda: bound_time(),
    "pre-bound monotonic": lambda: bound_monotonic(),
    "pre-bound now": lambda: bound_now(),
    "pre-bound now(tz)": lambda: bound_now(datetime.UTC),
    "pre-bound utcnow": lambda: bound_utcnow(),
    "pre-bound today": lambda: bound_today(),
    "pre-bound date.today": lambda: bound_date_today(),
    "default argument": lambda: with_default(),
    "class attribute": lambda: Holder().clock(),
    "static method": lambda: Holder.bare(),
    "partial": functools.partial(time.time),
}

WALL = 1_700_000_005.123456790


@pytest.mark.parametrize("reading", READINGS)
@pytest.mark.filterwarnings("ignore:datetime.datetime.utcnow:DeprecationWarning")
def test_every_reading_is_virtual_and_repeatable(reading, machine):
    """Each way to read a clock gives the same value in two runs, another one when time moves, a real one after."""
    read = READINGS[reading]
    with virtual(machine):
        first = read()
        assert first == read()
    with virtual(machine):
        assert first == read()
        machine.time_ns += 86_400_000_000_000
        assert first != read()
    after = read()
    assert first != after


def test_values_are_those_of_the_machine(machine):
    """Wall clocks show the host's wall clock, others the time since the run began; microseconds are cut."""
    with virtual(machine):
        assert time.time() == WALL
        assert time.time_ns() == 1_700_000_005_123_456_790
        assert time.monotonic_ns() == 5_000_000_001
        assert time.clock_gettime_ns(time.CLOCK_REALTIME) == 1_700_000_005_123_456_790
        now = datetime.datetime.now(datetime.UTC)
        assert now == datetime.datetime(2023, 11, 14, 22, 13, 25, 123456, tzinfo=datetime.UTC)
        assert DateTime.now() == now.replace(tzinfo=None)
        assert bound_now() == now.replace(tzinfo=None)
        assert date.today() == now.date()
        assert time.strftime("%H:%M:%S") == "22:13:25"
        assert time.ctime() == "Tue Nov 14 22:13:25 2023"
        machine.skew_ns = 3_000_000_000
        assert time.time() == WALL + 3
        assert time.monotonic() == 5.000000001


def test_arguments_still_count(machine):
    """A time given explicitly is converted as it is, and wrong arguments raise what they always raise."""
    with virtual(machine):
        assert time.gmtime(0).tm_year == 1970
        assert time.strftime("%Y", time.gmtime(0)) == "1970"
        assert time.ctime(0) == "Thu Jan  1 00:00:00 1970"
        with pytest.raises(TypeError):
            time.time(1)
        with pytest.raises(TypeError):
            datetime.datetime.now(5)
        with pytest.raises(TypeError):
            bound_now(5)
        with pytest.raises(TypeError):
            time.sleep("x")
        with pytest.raises(ValueError, match="negative"):
            os.urandom(-1)


def test_subclasses_of_datetime_get_their_own_class(machine):
    """`cls.now()` makes a `cls`."""

    class Stamp(datetime.datetime):
        pass

    with virtual(machine):
        assert type(Stamp.now()) is Stamp
        assert type(Stamp.now(datetime.UTC)) is Stamp


def test_other_threads_see_the_real_world(machine):
    """A thread beside the run (a progress display, a test's timeout) reads real clocks, dice and may sleep."""
    seen = []
    go, done = threading.Event(), threading.Event()

    def other():
        go.wait()
        time.sleep(0.001)
        seen.extend([bound_time(), DateTime.now().year, bound_now().year, os.urandom(8), time.localtime().tm_year])
        done.set()

    thread = threading.Thread(target=other)
    thread.start()
    before = time.time()
    with virtual(machine):
        go.set()
        done.wait()
        assert time.time() == WALL
    thread.join()
    assert seen[0] >= before > WALL
    assert seen[1] > 2023
    assert seen[2] > 2023
    assert seen[4] > 2023


def test_the_process_is_restored_exactly(machine):
    """After a run, also after one that failed, nothing of it is left."""
    functions = (time.time, time.sleep, os.urandom, os.getpid, socket.gethostname)
    before = [(function, function.__self__, repr(function)) for function in functions]
    zone, path, bytecode = os.environ.get("TZ"), list(sys.meta_path), sys.dont_write_bytecode
    state = random.getstate()
    with pytest.raises(ZeroDivisionError), virtual(machine):  # noqa: PT012 - the dice, then the failure
        random.random()
        divmod(1, 0)
    assert before == [(function, function.__self__, repr(function)) for function in functions]
    assert (zone, path, bytecode) == (os.environ.get("TZ"), sys.meta_path, sys.dont_write_bytecode)
    assert state == random.getstate()
    assert "listen" not in vars(socket.socket)
    assert time.time() > WALL + 86_400


def test_one_run_at_a_time(machine):
    """A run inside a run is refused, and the outer one goes on."""
    with virtual(machine):
        with pytest.raises(WorldError, match="one simulated run at a time"), virtual(machine):
            pass
        assert time.time() == WALL


def test_an_interpreter_that_cannot_be_virtualised_is_refused(machine, monkeypatch):
    """When a clock stays real after redirection, the run does not start."""
    monkeypatch.setattr("harness.world.sim.sources._redirections", [])
    with pytest.raises(WorldError, match="does not let the sim world redirect its clocks"), virtual(machine):
        pass
    assert time.time() > WALL + 86_400


def test_names_of_the_machine(machine):
    """Host name and process id do not depend on the machine a seed is replayed on; each incarnation has its own pid."""
    real = os.getpid()
    with virtual(machine):
        assert socket.gethostname() == "publisher"
        first = os.getpid()
        machine.label = "publisher#3"
        assert os.getpid() == first + 1
        machine.label = "publisher#2"
        assert os.getpid() == first != real
    assert os.getpid() == real


def draws():
    return [
        os.urandom(8),
        os.getrandom(8) if hasattr(os, "getrandom") else b"",
        secrets.token_hex(),
        uuid.uuid4(),
        uuid.uuid1(),
        random.SystemRandom().random(),
        random.random(),
        random.gauss(0, 1),
        random.Random().random(),
        random.Random(7).random(),
    ]


def test_entropy_is_the_machines(machine, fakes):
    """The same dice give the same bytes everywhere, other dice others; explicit seeds keep their meaning."""
    results = []
    for seed in (1, 1, 2):
        with virtual(fakes.FakeMachine(seed)):
            results.append(draws())
    assert results[0] == results[1]
    assert all(a != b for a, b in zip(results[0][:-1], results[2][:-1], strict=True))
    assert results[0][-1] == random.Random(7).random()
    assert results[0] != draws()
    assert results[0][3].version == 4
    assert results[0][4].version == 1


def test_what_the_standard_library_remembers(fakes):
    """The cached node of uuid1 and the names of temporary files begin anew in each run, and nothing of a run stays."""
    before = uuid._node, tempfile._name_sequence
    seen = []
    for _ in range(2):
        with virtual(fakes.FakeMachine()):
            seen.append((uuid.getnode(), next(tempfile._get_candidate_names()), os.urandom(4)))
    assert seen[0] == seen[1]
    assert before == (uuid._node, tempfile._name_sequence)


def test_a_module_imported_by_the_first_run(fakes, tmp_path, monkeypatch):
    """Its generator draws alike in the second run, which finds it loaded; so does all that is drawn afterwards."""
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "lazily_imported_dice.py").write_text(
        "import os, random, uuid\nDICE = random.Random()\nKEY = os.urandom(9), uuid.uuid4(), random.random()\n"
    )
    seen = []
    for _ in range(3):
        with virtual(fakes.FakeMachine()):
            dice = importlib.import_module("lazily_imported_dice").DICE
            seen.append((dice.random(), os.urandom(8), random.random(), random.Random().random(), dice.random()))
    del sys.modules["lazily_imported_dice"]
    assert seen[0] == seen[1] == seen[2]
    assert len(set(seen[0])) == 5


made_at_import = random.Random()
seeded_at_import = random.Random(42)
gaussian = random.Random(43)


def test_generators_made_at_import(fakes):
    """Unseeded ones are seeded by the run, seeded ones go on from their state; two runs see the same, and so do we."""
    gaussian.gauss(0, 1)  # leaves half a pair behind
    states = [generator.getstate() for generator in (made_at_import, seeded_at_import, gaussian)]
    seen = []
    for seed in (1, 1, 2):
        with virtual(fakes.FakeMachine(seed)):
            seen.append([made_at_import.random(), seeded_at_import.random(), gaussian.gauss(0, 1), gaussian.random()])
    assert seen[0] == seen[1]
    assert seen[0][0] != seen[2][0]
    assert seen[0][1:] == seen[2][1:]
    assert states == [generator.getstate() for generator in (made_at_import, seeded_at_import, gaussian)]
    assert seeded_at_import.random() == seen[0][1]


def test_dead_generators_are_forgotten():
    """The register of generators holds none alive and does not grow."""
    gc.collect()
    before = entropy.generators_known()
    generators = [random.Random() for _ in range(100)]
    assert entropy.generators_known() == before + 100
    held = weakref.ref(generators[0])
    del generators
    gc.collect()
    assert held() is None
    assert entropy.generators_known() == before


def test_how_many_generators_exist_does_not_shift_the_dice(fakes):
    """The same run draws the same in a process that holds more generators."""

    def draw():
        with virtual(fakes.FakeMachine()):
            return os.urandom(8), random.random()

    first = draw()
    others = [random.Random() for _ in range(5)]
    assert first == draw()
    assert len(others) == 5


def test_a_redirection_passes_everything_through():
    """Arguments, results, errors and the garbage collector work as in any call; 100,000 swaps leave no trace."""
    calls = []

    def make(original):
        def replaced(*args, **kwargs):
            calls.append((args, kwargs))
            if args and args[0] == "boom":
                raise KeyError(args[0])
            return original(*args, **kwargs)

        return replaced

    redirection = Redirection(time.gmtime, make)
    references = sys.getrefcount(time)
    for _ in range(100_000):
        redirection.install()
        redirection.restore()
    assert sys.getrefcount(time) == references
    redirection.install()
    try:
        assert time.gmtime(0).tm_year == 1970
        with pytest.raises(KeyError, match="boom"):
            time.gmtime("boom")
        gc.collect()
    finally:
        redirection.restore()
    assert calls == [((0,), {}), (("boom",), {})]
    assert time.gmtime(0).tm_year == 1970
    assert len(calls) == 2


def test_only_builtins_can_be_redirected():
    """Anything that is not a C function is refused before memory is touched."""
    with pytest.raises(WorldError, match="not one"):
        Redirection(with_default, lambda original: original)


def test_a_clock_costs_at_most_a_microsecond_and_a_half(machine):
    """Reading a virtual clock is cheap enough for code that stamps every event."""
    timer = Redirection(time.perf_counter, lambda original: original).original
    with virtual(machine):
        best = min(timeit.repeat("time()", globals={"time": time.time}, number=20_000, repeat=7, timer=timer))
    assert best / 20_000 < 1.5e-6
