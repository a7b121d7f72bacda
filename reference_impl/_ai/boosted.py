"""XGBoost and LightGBM as models of the engine: small trees, one thread each, the same result for the same data.

Imported only where the libraries are: `pip install xgboost-cpu lightgbm`, or the extra `ml`.
"""

from collections.abc import Sequence
from typing import Any, Final

import lightgbm
import numpy as np
import xgboost

from reference_impl._ai.features import Row, Table
from reference_impl._ai.model import UnavailableError

_RATE: Final = 0.08
_SEED: Final = 7


class XGBoost:
    """Gradient-boosted trees by XGBoost."""

    def __init__(self, trees: int) -> None:
        self._trees = trees
        self._booster: Any = None

    @property
    def version(self) -> str:
        """Its name, the library's version, the number of trees."""
        return f"xgboost-{xgboost.__version__}/{self._trees}"

    def fit(self, table: Table) -> None:
        """Fit trees of depth 3."""
        rows, labels = _arrays(table)
        settings = {
            "objective": "binary:logistic",
            "max_depth": 3,
            "eta": _RATE,
            "lambda": 5.0,
            "subsample": 0.8,
            "tree_method": "hist",
            "nthread": 1,
            "seed": _SEED,
            "verbosity": 0,
        }
        self._booster = xgboost.train(settings, xgboost.DMatrix(rows, labels), num_boost_round=self._trees)

    def predict(self, rows: Sequence[Row]) -> float:
        """Return the probability for the last row."""
        if self._booster is None:
            raise UnavailableError("not_trained")
        return float(self._booster.inplace_predict(np.asarray([rows[-1]], dtype=np.float64))[0])


class LightGBM:
    """Gradient-boosted trees by LightGBM."""

    def __init__(self, trees: int) -> None:
        self._trees = trees
        self._booster: Any = None

    @property
    def version(self) -> str:
        """Its name, the library's version, the number of trees."""
        return f"lightgbm-{lightgbm.__version__}/{self._trees}"

    def fit(self, table: Table) -> None:
        """Fit trees of at most 7 leaves."""
        rows, labels = _arrays(table)
        settings = {
            "objective": "binary",
            "num_leaves": 7,
            "min_data_in_leaf": 20,
            "learning_rate": _RATE,
            "lambda_l2": 5.0,
            "num_threads": 1,
            "seed": _SEED,
            "deterministic": True,
            "force_col_wise": True,
            "verbosity": -1,
        }
        self._booster = lightgbm.train(settings, lightgbm.Dataset(rows, labels), num_boost_round=self._trees)

    def predict(self, rows: Sequence[Row]) -> float:
        """Return the probability for the last row."""
        if self._booster is None:
            raise UnavailableError("not_trained")
        return float(self._booster.predict(np.asarray([rows[-1]], dtype=np.float64), num_threads=1)[0])


def _arrays(table: Table) -> tuple[Any, Any]:
    if len(set(table.labels)) < 2:  # noqa: PLR2004 - rises and falls
        raise UnavailableError("too_little_data")
    return np.asarray(table.rows, dtype=np.float64), np.asarray(table.labels, dtype=np.float64)
