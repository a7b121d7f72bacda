"""Which models fill the engine's three places, by the name of a line-up.

`installed` is the one for production: XGBoost, LightGBM and a temporal fusion transformer, each where its library is
installed; a place whose library is not is `unavailable`, `not_installed`. `small` fills the places with models in plain
Python that name themselves. Each place has an alternative, which `swap` puts in.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Final, Literal, TypeAlias

from reference_impl._ai.model import Factory, Model, UnavailableError
from reference_impl._ai.small import BoostedStumps, Logistic, NearestPaths

Name: TypeAlias = Literal["installed", "small"]
SLOTS: Final = ("xgb", "lgbm", "tft")


@dataclass(frozen=True, slots=True)
class Choice:
    """What makes the model of a place, and what makes its alternative."""

    usual: Factory
    other: Factory


def lineup(name: Name) -> Mapping[str, Choice]:
    """Return what fills each place. Raises ValueError for an unknown name."""
    if name == "installed":
        return {
            "xgb": Choice(_xgboost(48), _xgboost(96)),
            "lgbm": Choice(_lightgbm(48), _lightgbm(96)),
            "tft": Choice(_tft(8), _tft(12)),
        }
    if name == "small":
        return {
            "xgb": Choice(BoostedStumps, lambda: BoostedStumps(rounds=32)),
            "lgbm": Choice(Logistic, lambda: Logistic(rounds=8)),
            "tft": Choice(NearestPaths, lambda: NearestPaths(neighbours=15)),
        }
    raise ValueError(f"there is no line-up {name!r}; there are 'installed' and 'small'")


def installed() -> dict[str, bool]:
    """Tell of each place whether its library is there."""
    return {slot: find_spec(library) is not None for slot, library in _LIBRARIES.items()}


_LIBRARIES: Final = {"xgb": "xgboost", "lgbm": "lightgbm", "tft": "torch"}


def _xgboost(trees: int) -> Factory:
    def make() -> Model:
        _require("xgb")
        from reference_impl._ai.boosted import XGBoost  # noqa: PLC0415 - an optional library, slow to import

        return XGBoost(trees)

    return make


def _lightgbm(trees: int) -> Factory:
    def make() -> Model:
        _require("lgbm")
        from reference_impl._ai.boosted import LightGBM  # noqa: PLC0415 - as above

        return LightGBM(trees)

    return make


def _tft(width: int) -> Factory:
    def make() -> Model:
        _require("tft")
        from reference_impl._ai.tft import TemporalFusion  # noqa: PLC0415 - as above

        return TemporalFusion(width)

    return make


def _require(slot: str) -> None:
    if not installed()[slot]:
        raise UnavailableError("not_installed")
