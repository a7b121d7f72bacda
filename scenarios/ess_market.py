"""The portfolio's figures as the harness feeds them: a seeded walk of equity, and what happens to it on the way.

A phase holds from `start_ns` to `end_ns`. `fall` takes equity down by `depth` at its beginning and up again at its end,
each within a fifth of it and 2 s at most; `loss` does that to open positions; `flap` goes to and fro over the limit of
5 %; `nan` and `inf` are figures that are none; `silence` is no figures at all. Otherwise equity walks at random.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias

from harness.tape import Stream
from harness.units import seconds

Kind: TypeAlias = Literal["fall", "loss", "flap", "nan", "inf", "silence"]

_EDGE: Final = 5  # parts of a phase, of which the first and the last are the way down and up
_EDGE_NS_MAX: Final = seconds(2)
_WALK_MILLIONTHS: Final = 2_000
_FLAPS: Final = (0.049, 0.051)


@dataclass(frozen=True, slots=True)
class Phase:
    """Something that happens to the market."""

    start_ns: int
    end_ns: int
    kind: Kind
    depth: float = 0.0

    def as_param(self) -> list[Any]:
        """Return it as a parameter of a host."""
        return [self.start_ns, self.end_ns, self.kind, self.depth]


class Market:
    """What the figures are at a time. Times are asked for in order."""

    def __init__(self, phases: Sequence[Sequence[Any]], stream: Stream) -> None:
        self._phases = [Phase(*phase) for phase in phases]
        self._stream = stream
        self._equity = 1.0
        self._high = 1.0
        self._flaps = 0

    def phase(self, now_ns: int) -> Phase | None:
        """Return what happens now; None: nothing."""
        return next((phase for phase in self._phases if phase.start_ns <= now_ns < phase.end_ns), None)

    def is_moving(self, now_ns: int) -> bool:
        """Whether figures change fast now."""
        phase = self.phase(now_ns)
        return phase is not None and (phase.kind == "flap" or _share(phase, now_ns) < 1)

    def figures(self, now_ns: int) -> tuple[float, float] | None:
        """Return drawdown and open loss as fractions, or None for silence."""
        step = self._stream.between(-_WALK_MILLIONTHS, _WALK_MILLIONTHS) / 1_000_000
        self._equity = min(1.01, max(0.99, self._equity + step))
        self._high = max(self._high, self._equity)
        drawdown, loss = 1 - self._equity / self._high, 0.02
        phase = self.phase(now_ns)
        if phase is None:
            return drawdown, loss
        if phase.kind == "silence":
            return None
        if phase.kind in {"nan", "inf"}:
            return float(phase.kind), loss
        if phase.kind == "flap":
            self._flaps += 1
            return _FLAPS[self._flaps % 2], loss
        share = _share(phase, now_ns)
        return (drawdown + phase.depth * share, loss) if phase.kind == "fall" else (drawdown, phase.depth * share)


def _share(phase: Phase, now_ns: int) -> float:
    """Return how much of the depth is reached: 0 at the ends, 1 in between."""
    edge_ns = max(1, min(_EDGE_NS_MAX, (phase.end_ns - phase.start_ns) // _EDGE))
    return min(1.0, (now_ns - phase.start_ns) / edge_ns, (phase.end_ns - now_ns) / edge_ns)
