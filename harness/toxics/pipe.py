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

    __slots__ = ("_closing", "_dice", "_over", "_places", "due_ns", "held")

    def __init__(self, dice: Callable[[str], Dice]) -> None:
        """`dice` gives a toxic, by name, its own dice for this connection."""
        self._dice = dice
        self._places: list[_Place] = []
        self._closing = False
        self._over = False
        self.due_ns: int | None = None
        self.held = 0

    @property
    def is_bare(self) -> bool:
        """True if bytes go straight through: no toxic has taken this connection."""
        return not self._closing and all(place.stage is None for place in self._places)

    def add(self, active: Active) -> None:
        """Append a toxic; whether it takes this connection is rolled here, once."""
        dice = self._dice(active.name)
        stage = None
        if active.per_message or chance(dice, active.toxicity):
            active.effects["connections"] += 1
            stage = active.toxic.stage(dice, active.effects)
        self._places.append(_Place(active, dice, stage))
        self._settle()

    def change(self, active: Active, now_ns: int) -> list[Item]:
        """Tell the stage of a toxic that its attributes are others now."""
        return self._at(active, now_ns, lambda stage, out: stage.change(now_ns, active.toxic, out))

    def remove(self, active: Active, now_ns: int) -> list[Item]:
        """Take a toxic out; what it held goes on its way."""
        items = self._at(active, now_ns, lambda stage, out: stage.leave(now_ns, out))
        self._places = [place for place in self._places if place.active is not active or _stays(place)]
        self._settle()
        return items

    def feed(self, now_ns: int, data: bytes) -> list[Item]:
        """Bytes have arrived from the sender."""
        return self._run_on(-1, now_ns, [data])

    def finish(self, now_ns: int) -> list[Item]:
        """The sender has closed its side."""
        return self._run_on(-1, now_ns, [Signal.END])

    def take(self, now_ns: int, items: list[Item]) -> list[Item]:
        """Bytes and signals have come from what stands before this pipe."""
        return self._run_on(-1, now_ns, items)

    def wake(self, now_ns: int) -> list[Item]:
        """Give every stage whose time has come its turn, the last one first, so that order is kept."""
        left: list[Item] = []
        while self.due_ns is not None and self.due_ns <= now_ns:
            for index in range(len(self._places) - 1, -1, -1):
                stage = self._places[index].stage
                if stage is not None and stage.due_ns is not None and stage.due_ns <= now_ns:
                    out: list[Item] = []
                    stage.wake(now_ns, out)
                    left += self._run_on(index, now_ns, out)
                    break
        return left

    def _at(self, active: Active, now_ns: int, act: Callable[[Stage, list[Item]], None]) -> list[Item]:
        """Have one stage do something, and pass what it puts out through those behind it."""
        for index, place in enumerate(self._places):
            if place.active is active and place.stage is not None and not self._over:
                out: list[Item] = []
                act(place.stage, out)
                return self._run_on(index, now_ns, out)
        return []

    def _run_on(self, index: int, now_ns: int, items: list[Item]) -> list[Item]:
        """Pass what the stage there has put out (-1: the sender) through those behind it; return what leaves."""
        if index < 0 and self._closing:
            return []
        for place in self._places[index + 1 :]:
            self._cut_off(index, items)
            index += 1
            if place.stage is not None and items:
                out: list[Item] = []
                for item in items:
                    _give(place, place.stage, now_ns, item, out)
                items = out
        self._cut_off(index, items)
        if items and (items[-1] is Signal.RESET or items[-1] is Signal.CLOSE):
            self._over = True
        self._settle()
        return items

    def _cut_off(self, index: int, items: list[Item]) -> None:
        """Once a stage has ended the connection, neither its later output nor the sender or an earlier stage counts."""
        for position, item in enumerate(items):
            if item is Signal.RESET or item is Signal.CLOSE:
                del items[position + 1 :]
                self._closing = True
                for place in self._places[: index + 1]:
                    place.stage = None
                return

    def _settle(self) -> None:
        """Work out again when to wake and how much is held."""
        stages = [] if self._over else [place.stage for place in self._places if place.stage is not None]
        self.held = sum(stage.held for stage in stages)
        self.due_ns = min((stage.due_ns for stage in stages if stage.due_ns is not None), default=None)


def _stays(place: _Place) -> bool:
    return place.stage is not None and place.stage.stays


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
