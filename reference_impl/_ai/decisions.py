"""What is made of the models' predictions: the ensemble, the strategy to follow, the size to put on it. Pure.

All three choose by the records alone, so what they decide after a restart is what they would have decided without.

- *Ensemble*: the mean of the members' log-odds, each weighted by how much better than chance its record is.
- *Meta-strategy*: of following the move, fading it, and the ensemble, the one with the best record. Each keeps a record
  of what it would have said, followed or not.
- *Sizing*: a bandit over sizes, one arm each in four classes of confidence. An arm's value is the mean of its rewards
  less a charge for their squares; a rarely tried arm is tried now and then.
"""

import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from reference_impl._ai.features import Row
from reference_impl._ai.model import squash
from reference_impl._ai.rolling import Prediction, Record, Resolved, Rolling

ENSEMBLE: Final = ("ensemble", "weighted-log-odds/1")
META: Final = ("meta-strategy", "best-record/1")
SIZING: Final = ("rl-sizing", "confidence-bandit/1")
TREND: Final = ("strategy-trend", "sign-of-last-move/1")
REVERT: Final = ("strategy-revert", "against-last-move/1")
STRATEGIES: Final = {"ensemble": ENSEMBLE, "trend": TREND, "revert": REVERT}

SIZES: Final = (25, 50, 100)
"""Percent of the full size."""
_CLASSES: Final = 4
_EXPLORE: Final = 0.1
_AVERSION: Final = 1 / 40_000
"""Charge for risk, per millionth of the price: what a reward of 2 % is worth is nothing."""
_LEAST_WEIGHT: Final = 0.02
_CHANCE_LIMIT: Final = 1e-6
_EVEN: Final = 0.5


@dataclass(frozen=True, slots=True)
class Member:
    """A model's answer: its slot, its version, its probability of a rise."""

    slot: str
    version: str
    chance: float


def decide(made: int, members: Sequence[Member], row: Row, rolling: Rolling) -> tuple[Prediction, ...]:
    """Return everything that is predicted on one candle, given what the available models say."""
    said = [_prediction(made, (one.slot, one.version), one.chance) for one in members]
    if members:
        said.append(_prediction(made, ENSEMBLE, _ensemble(members, rolling)))
    following = squash(0.5 * row[0])
    said += [_prediction(made, TREND, following), _prediction(made, REVERT, 1 - following)]
    chosen = _chosen(said, rolling)
    said.append(_like(chosen, META, size=100))
    said.append(_like(chosen, SIZING, size=_size(chosen, rolling.record(SIZING))))
    return tuple(said)


def strategy_of(direction_from: Mapping[str, Record]) -> str:
    """Return the name of the strategy with the best record; of equals the first."""
    return max(direction_from, key=lambda name: direction_from[name].odds)


def confidence_class(confidence: float) -> int:
    """Return which of the classes of confidence that is, from 0."""
    return min(_CLASSES - 1, int((confidence - _EVEN) * 2 * _CLASSES))


def arm_values(record: Record) -> dict[tuple[int, int], tuple[float, int]]:
    """Return the value of each arm that was tried, by class and size, and how often it was."""
    rewards: dict[tuple[int, int], list[float]] = {}
    for one in record.resolved:
        arm = confidence_class(one.prediction.confidence), one.prediction.size
        rewards.setdefault(arm, []).append(_utility(one))
    return {arm: (sum(values) / len(values), len(values)) for arm, values in rewards.items()}


def _utility(one: Resolved) -> float:
    reward = one.reward / 100
    return reward - _AVERSION * reward * reward


def _ensemble(members: Sequence[Member], rolling: Rolling) -> float:
    weighted, whole = 0.0, 0.0
    for one in members:
        weight = max(_LEAST_WEIGHT, rolling.record((one.slot, one.version)).odds - _EVEN)
        chance = min(1 - _CHANCE_LIMIT, max(_CHANCE_LIMIT, one.chance))
        weighted += weight * math.log(chance / (1 - chance))
        whole += weight
    return squash(weighted / whole)


def _chosen(said: Sequence[Prediction], rolling: Rolling) -> Prediction:
    offered = {name: one for name, key in STRATEGIES.items() for one in said if one.key == key}
    return offered[strategy_of({name: rolling.record(one.key) for name, one in offered.items()})]


def _size(chosen: Prediction, record: Record) -> int:
    arms = arm_values(record)
    here = confidence_class(chosen.confidence)
    dice = random.Random(chosen.made)  # noqa: S311 - which arm to try, the same after a restart
    if dice.random() < _EXPLORE:
        return min(SIZES, key=lambda size: arms.get((here, size), (0.0, 0))[1])
    return max(SIZES, key=lambda size: arms.get((here, size), (0.0, 0))[0])


def _prediction(made: int, key: tuple[str, str], chance: float) -> Prediction:
    rises = chance > _EVEN
    return Prediction(
        id=f"{made}-{key[0]}",
        source=key[0],
        version=key[1],
        made=made,
        direction=1 if rises else -1,
        confidence=chance if rises else 1 - chance,
    )


def _like(one: Prediction, key: tuple[str, str], *, size: int) -> Prediction:
    return Prediction(
        id=f"{one.made}-{key[0]}",
        source=key[0],
        version=key[1],
        made=one.made,
        direction=one.direction,
        confidence=one.confidence,
        size=size,
    )
