"""Entropy of the sim world: every random byte comes from the dice of the current host.

`os.urandom` and `os.getrandom` are redirected (cfunction.py); `secrets`, `uuid.uuid4` and `random.SystemRandom` hold
the same function object, so they follow. Node and time of `uuid1` come from a C function of their own.

Pseudo-random generators have state that outlives a run. So each run begins with: the global one seeded by the run; each
unseeded `random.Random()` seeded by the run, in the order in which they were created, also those that a module made at
import; each generator that its owner seeded left as it is. After the run all of them are put back as they were, which
is why the second run of a seed in one process equals the first. To know them, `random.Random.seed` is wrapped for the
life of the process, and generators older than that are looked for once; whether their owner seeded them nobody can say
any more, so they count as unseeded, which is repeatable either way.

Not covered: OpenSSL's own dice (TLS bytes differ from run to run).
"""

import _random
import contextlib
import gc
import os
import random
import sys
import uuid
import weakref
from _thread import get_ident
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from harness.tape import Stream
from harness.world.sim.active import RUN
from harness.world.sim.cfunction import Redirection

_UUID_EPOCH: Final = 0x01B21DD213814000
_UUID_CLOCK_STATES: Final = ("_last_timestamp", "_last_timestamp_v7", "_last_counter_v7")


def _random_bytes(original: Callable[..., bytes]) -> Callable[..., bytes]:
    def random_bytes(size: int, flags: int = 0) -> bytes:
        if get_ident() != RUN.thread:
            return original(size, flags) if flags else original(size)
        if size < 0:
            return original(size)  # the real one knows what to say
        return RUN.machine.dice().randbytes(size)

    return random_bytes


def _uuid1_fields(original: Callable[[], Any]) -> Callable[[], Any]:
    def generate_time_safe() -> Any:
        if get_ident() != RUN.thread:
            return original()
        dice = RUN.machine.dice()
        time_100ns = RUN.machine.wall_ns() // 100 + _UUID_EPOCH
        value = uuid.UUID(
            fields=(
                time_100ns & 0xFFFFFFFF,
                time_100ns >> 32 & 0xFFFF,
                time_100ns >> 48 & 0x0FFF,
                dice.getrandbits(6),
                dice.getrandbits(8),
                dice.getrandbits(48) | 1 << 40,  # the multicast bit: not a real machine's address
            ),
            version=1,
        )
        return value.bytes, None

    return generate_time_safe


def redirections() -> list[Redirection]:
    """Return one redirection a source of random bytes that this platform has."""
    found = [Redirection(os.urandom, _random_bytes)]
    if hasattr(os, "getrandom"):
        found.append(Redirection(os.getrandom, _random_bytes))
    uuid1 = getattr(uuid, "_generate_time_safe", None)
    if uuid1 is not None:
        found.append(Redirection(uuid1, _uuid1_fields))
    return found


@dataclass(slots=True)
class _Generator:
    """One living `random.Random`."""

    held: "weakref.ref[random.Random]"
    unseeded: bool


_generators: Final[dict[int, _Generator]] = {}  # by id, in the order of creation
_real_seed: Final = random.Random.seed


def _remember(generator: random.Random, *, unseeded: bool) -> None:
    number = id(generator)
    known = _generators.get(number)
    if known is not None and known.held() is generator:
        known.unseeded = unseeded
        return

    def forget(held: "weakref.ref[random.Random]") -> None:
        # The address may have a new owner by the time the old one's death is told.
        entry = _generators.get(number)
        if entry is not None and entry.held is held:
            del _generators[number]

    _generators.pop(number, None)  # so that the new one goes to the end: creation order
    _generators[number] = _Generator(weakref.ref(generator, forget), unseeded)


def _seed(self: random.Random, a: Any = None, version: int = 2) -> None:
    """Initialize internal state from a seed; without one, from the entropy of the machine.

    The tape's own generators are not registered: its draws go on after a run.
    """
    if a is None and get_ident() == RUN.thread:
        _real_seed(self, RUN.machine.dice().getrandbits(64))
    else:
        _real_seed(self, a, version)
    if a is None or sys._getframe(2).f_globals.get("__name__") != "harness.tape":
        _remember(self, unseeded=a is None)


def _is_pseudo(item: object) -> bool:
    return isinstance(item, random.Random) and not isinstance(item, random.SystemRandom)


def _arm() -> None:
    """Wrap `seed`, and register the generators that exist already, save the global one and those of a tape."""
    living = gc.get_objects()
    taped = {id(getattr(item._random, "__self__", None)) for item in living if type(item) is Stream}
    for item in living:
        if _is_pseudo(item) and item is not _GLOBAL and id(item) not in taped:
            _remember(item, unseeded=True)
    random.Random.seed = _seed  # type: ignore[method-assign] # wrapped on the class: subclasses call it through super()


_GLOBAL: Final[random.Random] = random._inst  # the hidden generator behind the module's functions
_arm()


def _state(generator: random.Random) -> tuple[Any, Any]:
    # Past any subclass: Hypothesis's generator, for one, gives no state.
    return _random.Random.getstate(generator), getattr(generator, "gauss_next", None)


def _set_state(generator: random.Random, state: tuple[Any, Any]) -> None:
    _random.Random.setstate(generator, state[0])
    generator.gauss_next = state[1]  # type: ignore[attr-defined] # half of what gauss() keeps


@contextlib.contextmanager
def seeded(dice: random.Random) -> Iterator[None]:
    """Seed the process's pseudo-random generators from `dice` for the length of one run, and put them back after."""
    before = [(_GLOBAL, _state(_GLOBAL))]
    clocks = {name: getattr(uuid, name) for name in _UUID_CLOCK_STATES if hasattr(uuid, name)}
    # Two draws and no more: how many generators a process happens to hold must not shift the dice of the run.
    _real_seed(_GLOBAL, dice.getrandbits(64))
    seeds = _random.Random(dice.getrandbits(64))
    _GLOBAL.gauss_next = None  # type: ignore[attr-defined]
    for entry in list(_generators.values()):
        generator = entry.held()
        if generator is None or generator is _GLOBAL or generator is dice:
            continue
        before.append((generator, _state(generator)))
        if entry.unseeded:
            _real_seed(generator, seeds.getrandbits(64))
    for name in clocks:
        setattr(uuid, name, None)
    try:
        yield
    finally:
        for generator, state in before:
            _set_state(generator, state)
        for name, value in clocks.items():
            setattr(uuid, name, value)


def generators_known() -> int:
    """Return how many living generators would be put back after a run."""
    return sum(entry.held() is not None for entry in list(_generators.values()))
