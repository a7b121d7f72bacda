"""The stages of one direction of one connection, in order."""

from collections.abc import Callable
from dataclasses import dataclass

from harness.toxics.base import Active, Dice, Item, Signal, Stage, chance


@dataclass(slots=True)
class _Place:
    """One active toxic on this connection. `stage` is None if the dice spared the connection."""

    active: Active
    dice: Dice
    stage: Stage | None


class Pipe:
    """A chain of stages. What one puts out is what the next takes in; methods return what leaves the last one.

    After a `CLOSE` or `RESET` has left, nothing does: the connection is over.
    """

    __slots__ = ("_dice", "_over", "_places", "due_ns", "held")

    def __init__(self, dice: Callable[[str], Dice]) -> None:
        """`dice` gives a toxic, by name, its own dice for this connection."""
        self._dice = dice
        self._places: list[_Place] = []
        self._over = False
        self.due_ns: int | None = None
        self.held = 0

    @property
    def is_bare(self) -> bool:
        """True if bytes go straight through: no toxic has taken this connection."""
        return all(place.stage is None for place in self._places)

    def add(self, active: Active) -> None:
        """Append a toxic; whether it takes this connection is rolled here, once."""
        dice = self._dice(active.name)
        stage = None
        if active.per_message or chance(dice, active.toxicity):
            active.effects["connections"] += 1
            stage = active.toxic.stage(dice, active.effects)
        self._places.append(_Place(active, dice, stage))

    def change(self, active: Active, now_ns: int) -> list[Item]:
        """Tell the stage of a toxic that its attributes are others now."""
        return self._at(active, now_ns, lambda stage, out: stage.change(now_ns, active.toxic, out))

    def remove(self, active: Active, now_ns: int) -> list[Item]:
        """Take a toxic out; what it held goes on its way."""
        items = self._at(active, now_ns, lambda stage, out: stage.leave(now_ns, out))
        self._places = [place for place in self._places if place.active is not active]
        self._settle()
        return items

    def feed(self, now_ns: int, data: bytes) -> list[Item]:
        """Bytes have arrived from the sender."""
        return self._run(0, now_ns, [data])

    def finish(self, now_ns: int) -> list[Item]:
        """The sender has closed its side."""
        return self._run(0, now_ns, [Signal.END])

    def wake(self, now_ns: int) -> list[Item]:
        """Give every stage whose time has come its turn, the last one first, so that order is kept."""
        left: list[Item] = []
        for index in range(len(self._places) - 1, -1, -1):
            stage = self._places[index].stage
            while stage is not None and stage.due_ns is not None and stage.due_ns <= now_ns and not self._over:
                out: list[Item] = []
                stage.wake(now_ns, out)
                left += self._run(index + 1, now_ns, out)
        self._settle()
        return left

    def _at(self, active: Active, now_ns: int, act: Callable[[Stage, list[Item]], None]) -> list[Item]:
        """Have one stage do something, and pass what it puts out through those behind it."""
        for index, place in enumerate(self._places):
            if place.active is active and place.stage is not None and not self._over:
                out: list[Item] = []
                act(place.stage, out)
                return self._run(index + 1, now_ns, out)
        return []

    def _run(self, first: int, now_ns: int, items: list[Item]) -> list[Item]:
        if self._over:
            return []
        for place in self._places[first:]:
            if place.stage is None or not items:
                continue
            out: list[Item] = []
            for item in items:
                _give(place, place.stage, now_ns, item, out)
            items = out
        for position, item in enumerate(items):
            if item is Signal.RESET or item is Signal.CLOSE:
                self._over = True
                del items[position + 1 :]
                break
        self._settle()
        return items

    def _settle(self) -> None:
        """Work out again when to wake and how much is held."""
        stages = [] if self._over else [place.stage for place in self._places if place.stage is not None]
        self.held = sum(stage.held for stage in stages)
        self.due_ns = min((stage.due_ns for stage in stages if stage.due_ns is not None), default=None)


def _give(place: _Place, stage: Stage, now_ns: int, item: Item, out: list[Item]) -> None:
    if isinstance(item, bytes):
        if place.active.per_message and not chance(place.dice, place.active.toxicity):
            stage.pass_by(now_ns, item, out)
        else:
            stage.feed(now_ns, item, out)
    elif item is Signal.RESET:
        out.append(item)
    else:
        stage.finish(now_ns, item, out)
