"""Drawing experiments, and drawing changes of one. Pure: all chance comes from the dice that are passed in.

Drawn swarm-style (Groce et al., "Swarm Testing", ISSTA 2012): each experiment first takes a random half of the kinds of
faults and knows no other. A mix of everything hides what only a few kinds show, as a host that is always down does
nothing wrong.

Chance leaves gaps: after as many draws as there are faults, one in three was never drawn. `due` closes them: it takes
the faults that were used least, next to those that they met least often, since most failures need one thing or two
(Kuhn et al., "Software Fault Interactions and Implications for Software Testing", IEEE TSE 2004).
"""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations
from typing import Final, Protocol, TypeVar

from harness.experiment import Experiment, Exploring, Held
from harness.explore.landmarks import Landmarks
from harness.explore.legal import LENGTH_MS_MIN, affordable, claims, legal
from harness.explore.menu import Menu

T = TypeVar("T")

SEEDS: Final = 1 << 20
_COUNTS: Final = (1, 2, 3, 4, 2, 3, 6)
_DUE_COUNTS: Final = (2, 3, 1, 3)
_LENGTHS_MS: Final = (300, 1_000, 3_000, 10_000, None)
"""At most so long; None: until everything heals."""
_ORDERS: Final = (None, 0, 1, None, 2, 3)
"""Of callbacks: mostly shuffled, by priority with a few changes, or as asyncio has them."""
_STEP_MS: Final = 10
_SOON_MS: Final = 1_000
_WAIT_MS_MIN: Final = 1_000
"""For so long at least a kill lies in wait for its operation."""
_INSIDE: Final = "process.kill_inside"


class Dice(Protocol):
    """Where chance comes from: Hypothesis, or a tape."""

    def below(self, limit: int, /) -> int:
        """Draw an integer in `[0, limit)`; 0 is the simplest."""


@dataclass(frozen=True, slots=True)
class Larder:
    """What can be drawn: the menu's entries by kind, those that a scenario makes use of; its span, workload, budget.

    `own` are the entries whose faults its own schedule has as well, on the same thing and at any size: what the
    scenario is about. `landmarks` are those of a run much like what is drawn: without faults, or the one to be mutated.
    """

    menu: Menu
    kinds: tuple[tuple[str, ...], ...]
    wishes: Exploring
    span_ms: int
    own: frozenset[str] = frozenset()
    landmarks: Landmarks = field(default_factory=Landmarks)


class Uses:
    """How often each fault was in an experiment, and each kind of fault together with each other kind."""

    def __init__(self) -> None:
        self._entries: Counter[str] = Counter()
        self._pairs: Counter[tuple[str, str]] = Counter()

    def note(self, faults: Iterable[Held]) -> None:
        """Take in the faults of an experiment."""
        entries = {fault.entry for fault in faults}
        self._entries.update(entries)
        self._pairs.update(combinations(sorted(set(map(_kind, entries))), 2))

    def of(self, entry: str) -> int:
        """Return in how many experiments that fault was."""
        return self._entries[entry]

    def together(self, entry: str, others: Iterable[Held]) -> int:
        """Return how often that fault's kind met the kinds of the others."""
        kind = _kind(entry)
        met = (sorted((kind, _kind(other.entry))) for other in others)
        return sum(self._pairs[one, two] for one, two in met)


def _kind(entry: str) -> str:
    return entry.partition("/")[0]


def fresh(dice: Dice, larder: Larder) -> Experiment:
    """Draw an experiment."""
    kinds = larder.kinds
    mask = dice.below(1 << len(kinds))
    enabled = [kind for number, kind in enumerate(kinds) if mask >> number & 1] or list(kinds)
    count = _pick(dice, _COUNTS) if kinds else 0
    faults: list[Held] = []
    for _ in range(count):
        faults.append(_near(dice, _fault(dice, _own(dice, enabled, larder), larder), faults))
    return _experiment(dice, larder, faults)


def due(dice: Dice, larder: Larder, uses: Uses) -> Experiment:
    """Draw an experiment of faults that were used least, and least together."""
    faults: list[Held] = []
    every = [entry for kind in larder.kinds for entry in kind]
    for _ in range(_pick(dice, _DUE_COUNTS)):
        beside = [entry for entry in every if _beside(entry, faults, larder)]
        if not beside:
            break
        entry = _least(dice, beside, lambda entry: (uses.together(entry, faults), uses.of(entry)))
        faults.append(_near(dice, _held(dice, entry, larder), faults))
    return _experiment(dice, larder, faults)


def _beside(entry: str, faults: Sequence[Held], larder: Larder) -> bool:
    """Can that fault hold at the same time as those? If not, the two would be due for ever."""
    claimed = claims(larder.menu.item(entry))
    free = all(not claimed & claims(larder.menu.item(other.entry)) for other in faults)
    held = [replace(fault, start_ms=0, length_ms=larder.span_ms) for fault in faults]
    return free and affordable([*held, Held(0, larder.span_ms, entry)], larder.wishes.bounds)


def _least(dice: Dice, entries: Sequence[str], used: Callable[[str], tuple[int, int]]) -> str:
    least = min(map(used, entries))
    return _pick(dice, [entry for entry in entries if used(entry) == least])


def _experiment(dice: Dice, larder: Larder, faults: Sequence[Held]) -> Experiment:
    return Experiment(
        profile=larder.wishes.profile,
        seed=dice.below(SEEDS),
        span_ms=larder.span_ms,
        faults=_legal(faults, larder),
        workload=_workload(dice, larder.wishes),
        changes=_pick(dice, _ORDERS),
    )


def _own(dice: Dice, kinds: Sequence[tuple[str, ...]], larder: Larder) -> Sequence[tuple[str, ...]]:
    """Have half of all faults be what the scenario is about: where prices do not fall, no stop trips."""
    if not dice.below(2):
        return kinds
    own = [tuple(entry for entry in kind if entry in larder.own) for kind in kinds]
    return [kind for kind in own if kind] or kinds


def _near(dice: Dice, fault: Held, others: Sequence[Held]) -> Held:
    """Have half of the faults begin while another holds, or just after it: what recovers is hurt most easily."""
    if not others or dice.below(2):
        return fault
    other = _pick(dice, others)
    after_ms = _STEP_MS * dice.below(1 + other.length_ms // _STEP_MS)
    if dice.below(3) == 0:
        after_ms = other.length_ms + _STEP_MS * dice.below(_SOON_MS // _STEP_MS)
    return replace(fault, start_ms=other.start_ms + after_ms)


def mutated(dice: Dice, larder: Larder, parent: Experiment, other: Experiment | None = None) -> Experiment:
    """Draw an experiment much like this one: one thing is different, or two; or with a fault of another one besides."""
    child = parent
    if other is not None and other.faults and dice.below(4) == 0:
        return replace(parent, faults=_legal([*parent.faults, _pick(dice, other.faults)], larder))
    for _ in range(1 + dice.below(2)):
        child = _pick(dice, _MUTATIONS)(dice, larder, child)
    return child


def _add(dice: Dice, larder: Larder, parent: Experiment) -> Experiment:
    if not larder.kinds:
        return _reseed(dice, larder, parent)
    more = _fault(dice, _own(dice, larder.kinds, larder), larder)
    return replace(parent, faults=_legal([*parent.faults, more], larder))


def _shift(dice: Dice, larder: Larder, parent: Experiment) -> Experiment:
    """Have one fault begin at another time: near another's beginning or end, or anywhere."""
    if not parent.faults:
        return _add(dice, larder, parent)
    at = dice.below(len(parent.faults))
    moments = [moment for fault in parent.faults for moment in (fault.start_ms, fault.end_ms)]
    near_ms = _pick(dice, moments) + _STEP_MS * (dice.below(101) - 50)
    start_ms = near_ms if dice.below(2) else _start_ms(dice, parent.faults[at].entry, larder)
    return _with(parent, at, replace(parent.faults[at], start_ms=max(0, start_ms)), larder)


def _stretch(dice: Dice, larder: Larder, parent: Experiment) -> Experiment:
    if not parent.faults:
        return _add(dice, larder, parent)
    at = dice.below(len(parent.faults))
    return _with(parent, at, replace(parent.faults[at], length_ms=_length(dice, larder.span_ms)), larder)


def _swap(dice: Dice, larder: Larder, parent: Experiment) -> Experiment:
    """Have another fault take the place of one."""
    if not parent.faults:
        return _add(dice, larder, parent)
    at = dice.below(len(parent.faults))
    other = _fault(dice, _own(dice, larder.kinds, larder), larder)
    return _with(parent, at, replace(parent.faults[at], entry=other.entry), larder)


def _reseed(dice: Dice, larder: Larder, parent: Experiment) -> Experiment:
    del larder
    return replace(parent, seed=dice.below(SEEDS))


def _reshape(dice: Dice, larder: Larder, parent: Experiment) -> Experiment:
    return replace(parent, workload=_workload(dice, larder.wishes), changes=_pick(dice, _ORDERS))


_MUTATIONS: Final[tuple[Callable[[Dice, Larder, Experiment], Experiment], ...]] = (
    _add,
    _add,
    _shift,
    _stretch,
    _swap,
    _reseed,
    _reshape,
)


def _fault(dice: Dice, kinds: Sequence[Sequence[str]], larder: Larder) -> Held:
    return _held(dice, _pick(dice, _pick(dice, kinds)), larder)


def _held(dice: Dice, entry: str, larder: Larder) -> Held:
    start_ms, length_ms = _start_ms(dice, entry, larder), _length(dice, larder.span_ms)
    return Held(start_ms, max(length_ms, _WAIT_MS_MIN) if entry.startswith(_INSIDE) else length_ms, entry)


def _start_ms(dice: Dice, entry: str, larder: Larder) -> int:
    """Draw when a fault begins: before what it waits for, around a change of state, in an operation, or anywhere."""
    marks = larder.landmarks
    begins = marks.begins.get(entry, ())
    if begins and dice.below(4):
        return max(0, _pick(dice, begins) - _STEP_MS * (1 + dice.below(_WAIT_MS_MIN // _STEP_MS)))
    way = dice.below(4)
    if way == 1 and marks.under_way:
        from_ms, to_ms = _pick(dice, _pick(dice, marks.under_way))
        return from_ms + dice.below(1 + to_ms - from_ms + _STEP_MS)
    if way > 1 and marks.changes:
        return max(0, _pick(dice, _pick(dice, marks.changes)) + _STEP_MS * (dice.below(60) - 10))
    return _STEP_MS * dice.below(max(1, larder.span_ms // _STEP_MS))


def _length(dice: Dice, span_ms: int) -> int:
    """Draw a length: an order of magnitude first, so that short ones are as likely as long ones."""
    most = _pick(dice, _LENGTHS_MS)
    if most is None:
        return span_ms
    return max(LENGTH_MS_MIN, _STEP_MS * (1 + dice.below(max(1, min(most, span_ms) // _STEP_MS))))


def _workload(dice: Dice, wishes: Exploring) -> tuple[tuple[str, str, object], ...]:
    chosen: list[tuple[str, str, object]] = []
    for host, parameters in sorted(wishes.workload.items()):
        for parameter, values in sorted(parameters.items()):
            value = _pick(dice, values) if dice.below(2) else values[0]
            if value != values[0]:
                chosen.append((host, parameter, value))
    return tuple(chosen)


def _with(parent: Experiment, at: int, fault: Held, larder: Larder) -> Experiment:
    faults = [*parent.faults[:at], fault, *parent.faults[at + 1 :]]
    return replace(parent, faults=_legal(faults, larder))


def _legal(faults: Sequence[Held], larder: Larder) -> tuple[Held, ...]:
    return legal(faults, larder.menu, larder.wishes.bounds, larder.span_ms)


def _pick(dice: Dice, options: Sequence[T]) -> T:
    return options[dice.below(len(options))]
