"""The shapes that every toxic has: declaration, stage, and what a stage puts out."""

from collections import Counter
from dataclasses import dataclass, field
from enum import Enum
from typing import ClassVar, Final, Literal, Protocol, TypeAlias

Direction: TypeAlias = Literal["upstream", "downstream"]
"""`upstream`: from the client to the server. `downstream`: from the server to the client."""

OPPOSITE: Final[dict[Direction, Direction]] = {"upstream": "downstream", "downstream": "upstream"}


class Signal(Enum):
    """What a stage says besides bytes. `END` and `CLOSE` keep their place behind the bytes before them."""

    END = "end"
    """No more bytes will come: the sender has closed its side."""
    CLOSE = "close"
    """End the whole connection, both ways, once the bytes before this have been passed on."""
    RESET = "reset"
    """End the whole connection by a reset, now; bytes that stages still hold are lost."""


Item: TypeAlias = bytes | Signal


class Dice(Protocol):
    """Where chance comes from: a stream of the tape in the sim world, a seeded generator in the proxy."""

    def below(self, bound: int, /) -> int:
        """Return an integer in `[0, bound)`, `bound` from 1 to 2**52."""


ASAP: Final = 0
"""As a `due_ns`: before anything else. So a stage learns when it began."""

_MILLION: Final = 1_000_000


def chance(dice: Dice, probability: float) -> bool:
    """Roll: true with that probability, in steps of a millionth. Certain outcomes draw nothing."""
    if probability >= 1:
        return True
    return probability > 0 and dice.below(_MILLION) < probability * _MILLION


class Stage:
    """One toxic at work in one direction of one connection. This base class passes everything on.

    `held` is how many bytes it has taken and not yet passed on; the shell stops reading from the sender while a
    conduit holds too many. `due_ns` is when `wake` wants to be called, None for never. Methods append to `out`.
    Effects are counted by what really happened, when it happens: they are the evidence that the toxic bit.
    `stays` means that removing the toxic does not undo what was done to this connection: the stage goes on.
    """

    __slots__ = ("due_ns", "effects", "held", "stays")

    def __init__(self, effects: Counter[str]) -> None:
        self.effects = effects
        self.held = 0
        self.due_ns: int | None = None
        self.stays = False

    def feed(self, now_ns: int, data: bytes, out: list[Item]) -> None:
        """Bytes have arrived."""
        del now_ns
        out.append(data)

    def pass_by(self, now_ns: int, data: bytes, out: list[Item]) -> None:
        """Bytes have arrived that the dice spared: pass them on untouched, behind those that are held."""
        if self.held:
            self.feed(now_ns, data, out)
        else:
            out.append(data)

    def finish(self, now_ns: int, signal: Signal, out: list[Item]) -> None:
        """`END` or `CLOSE` has arrived; nothing follows it."""
        del now_ns
        out.append(signal)

    def wake(self, now_ns: int, out: list[Item]) -> None:
        """`due_ns` has come. Afterwards it is later than `now_ns`, or None."""

    def change(self, now_ns: int, toxic: "Toxic", out: list[Item]) -> None:
        """The toxic was given new attributes, of the same type, while this connection lives."""
        raise NotImplementedError

    def leave(self, now_ns: int, out: list[Item]) -> None:
        """The toxic was removed while this connection lives: let go of what is held. Called once, last."""


class Toxic(Protocol):
    """A declaration: a frozen dataclass of attributes in Toxiproxy's units."""

    __slots__ = ()

    type: ClassVar[str]
    """Its name in the API."""
    loses_connects: ClassVar[bool] = False
    """New connections get no answer while it is there (a partition)."""
    keeps_half_close: ClassVar[bool] = False
    """While it is there, the end of one direction does not end the other."""

    def stage(self, dice: Dice, effects: Counter[str]) -> Stage:
        """Return its stage for one new connection."""


@dataclass(slots=True, kw_only=True)
class Active:
    """A toxic on a proxy or on a simulated link. `toxicity` is the share of connections (or messages) that it takes."""

    name: str
    stream: Direction
    toxic: Toxic
    toxicity: float = 1.0
    per_message: bool = False
    """Roll the dice for every chunk of bytes instead of once for a connection."""
    effects: Counter[str] = field(default_factory=Counter)
    """Counts since it was created: `connections` it took, `bytes` it delayed, slowed or cut up, `dropped` bytes, `held`
    bytes (stopped, to be passed on later), connections it `closed` and `reset`, `ends` of a direction that it delayed,
    held, dropped or kept from ending the other. Matching toxics: requests `matched` and `answered`, `dropped_replies`,
    `dropped_requests`, `delayed_replies`, and connections they could not follow, `unfollowed`."""
