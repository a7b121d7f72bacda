"""Entropy of the sim world: every random byte comes from the dice of the current host.

`os.urandom` and `os.getrandom` are redirected (cfunction.py); `secrets`, `uuid.uuid4` and `random.SystemRandom` hold
the same function object, so they follow. Node and time of `uuid1` come from a C function of their own.

Pseudo-random generators have state that outlives a run. So each run begins with: the global one seeded by the run; each
unseeded `random.Random()` that exists, one that a module made at import for instance, seeded by the run; each generator
that its owner seeded left as it is. After the run all of them are put back as they were, which is why the second run of
a seed in one process equals the first. What an unseeded one is seeded with depends on the line that made it, and how
many that line made before: so a module that the first run imported draws alike in the second, which found it loaded.

To know them, `random.Random.seed` is wrapped for the life of the process, and generators older than that are looked for
once; whether their owner seeded them nobody can say any more, so they count as unseeded: repeatable either way.

Not covered: OpenSSL's own dice (TLS bytes differ from run to run).
"""

import _random
import contextlib
import gc
import os
import random
import sys
import tempfile
import uuid
import weakref
from _thread import get_ident
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from harness.tape import Stream
from harness.world.cfunction import Redirection
from harness.world.sim.active import RUN

if TYPE_CHECKING:
    from types import FrameType

_UUID_EPOCH: Final = 0x01B21DD213814000
_MEMORIES: Final = (
    (uuid, "_node"),
    (uuid, "_last_timestamp"),
    (uuid, "_last_timestamp_v7"),
    (uuid, "_last_counter_v7"),
    (tempfile, "_name_sequence"),
)
"""What the standard library remembers from draw to draw: None at the beginning of a run, put back after it."""


def _dice() -> random.Random:
    """Return the dice to throw now: the host's, or those for modules that are imported.

    See imports.py.
    """
    return _seeds.imports if RUN.importing else RUN.machine.dice()


def _random_bytes(original: Callable[..., bytes]) -> Callable[..., bytes]:
    def random_bytes(size: int, flags: int = 0) -> bytes:
        if get_ident() != RUN.thread:
            return original(size, flags) if flags else original(size)
        if size < 0:
            return original(size)  # the real one knows what to say
        return _dice().randbytes(size)

    return random_bytes


def _uuid1_fields(original: Callable[[], Any]) -> Callable[[], Any]:
    def generate_time_safe() -> Any:
        if get_ident() != RUN.thread:
            return original()
        dice = _dice()
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
    site: str  # module:line that made it, or seeded it last


_generators: Final[dict[int, _Generator]] = {}  # by id, in the order of creation
_real_seed: Final = random.Random.seed


class _Seeds:
    """Seeds for unseeded generators of one run, by the line that made them."""

    __slots__ = ("_base", "_counts", "imports")

    def __init__(self, base: int) -> None:
        self.imports = random.Random(f"{base}/imports")  # noqa: S311 - dice, not secrets
        self._base = base
        self._counts: dict[str, int] = {}

    def next_for(self, site: str) -> str:
        """Return the seed of the next generator of that line."""
        count = self._counts[site] = self._counts.get(site, 0) + 1
        return f"{self._base}/{site}/{count}"


_seeds = _Seeds(0)


def _remember(generator: random.Random, *, unseeded: bool, site: str) -> None:
    number = id(generator)
    known = _generators.get(number)
    if known is not None and known.held() is generator:
        known.unseeded = unseeded
        known.site = site
        return

    def forget(held: "weakref.ref[random.Random]") -> None:
        # The address may have a new owner by the time the old one's death is told.
        entry = _generators.get(number)
        if entry is not None and entry.held is held:
            del _generators[number]

    _generators.pop(number, None)  # so that the new one goes to the end: creation order
    _generators[number] = _Generator(weakref.ref(generator, forget), unseeded, site)


def _seed(self: random.Random, a: Any = None, version: int = 2) -> None:
    """Initialize internal state from a seed; without one, from the entropy of the machine.

    The tape's own generators are not registered: its draws go on after a run.
    """
    maker: FrameType | None = sys._getframe(1)
    while maker is not None and maker.f_globals is _RANDOM:
        maker = maker.f_back
    module = "?" if maker is None else str(maker.f_globals.get("__name__"))
    site = "?" if maker is None else f"{module}:{maker.f_lineno}"
    if a is None and get_ident() == RUN.thread:
        _real_seed(self, _seeds.next_for(site))
    else:
        _real_seed(self, a, version)
    if a is None or module != "harness.tape":
        _remember(self, unseeded=a is None, site=site)


def _is_pseudo(item: object) -> bool:
    return isinstance(item, random.Random) and not isinstance(item, random.SystemRandom)


def _arm() -> None:
    """Wrap `seed`, and register the generators that exist already, save the global one and those of a tape."""
    living = gc.get_objects()
    taped = {id(getattr(item._random, "__self__", None)) for item in living if type(item) is Stream}
    for item in living:
        if _is_pseudo(item) and item is not _GLOBAL and id(item) not in taped:
            _remember(item, unseeded=True, site="?")
    random.Random.seed = _seed  # type: ignore[method-assign] # wrapped on the class: subclasses call it through super()


_RANDOM: Final = vars(random)
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
    global _seeds  # noqa: PLW0603 - one run a process
    before = [(_GLOBAL, _state(_GLOBAL))]
    memories = [(module, name, getattr(module, name)) for module, name in _MEMORIES if hasattr(module, name)]
    # Two draws and no more: how many generators a process happens to hold must not shift the dice of the run.
    _real_seed(_GLOBAL, dice.getrandbits(64))
    base = dice.getrandbits(64)
    old = _Seeds(base)
    _seeds = _Seeds(base)
    _GLOBAL.gauss_next = None  # type: ignore[attr-defined]
    for entry in list(_generators.values()):
        generator = entry.held()
        if generator is None or generator is _GLOBAL or generator is dice:
            continue
        before.append((generator, _state(generator)))
        if entry.unseeded:
            _real_seed(generator, old.next_for(entry.site))
    for module, name, _ in memories:
        setattr(module, name, None)
    try:
        yield
    finally:
        for generator, state in before:
            _set_state(generator, state)
        for module, name, value in memories:
            setattr(module, name, value)


def generators_known() -> int:
    """Return how many living generators would be put back after a run."""
    return sum(entry.held() is not None for entry in list(_generators.values()))
