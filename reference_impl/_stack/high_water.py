"""The day's highest equity, on disk: without it a restart would forget how far the day has fallen already."""

import json
import os
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Final

DAY_S: Final = 86_400


class HighWater:
    """The highest equity of the present UTC day. What cannot be read counts as none: the next reading is the highest.

    Losing it makes a drawdown look smaller, so the file is replaced as a whole, and only when the highest has grown.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._day = -1
        self._highest = Decimal(0)
        try:
            told = json.loads(path.read_bytes())
            self._day, self._highest = int(told["day"]), Decimal(told["highest"])
        except (OSError, ValueError, KeyError, TypeError, InvalidOperation):
            pass

    def highest(self, now_s: float) -> Decimal:
        """Return it; 0 on a new day."""
        return self._highest if self._day == int(now_s) // DAY_S else Decimal(0)

    def raise_to(self, highest: Decimal, now_s: float) -> None:
        """Keep it if it is higher. Raises `OSError` when it could not be kept; it counts all the same."""
        if highest <= self.highest(now_s):
            return
        self._day, self._highest = int(now_s) // DAY_S, highest
        beside = self._path.with_suffix(".tmp")
        with beside.open("wb") as file:
            file.write(json.dumps({"day": self._day, "highest": str(highest)}).encode())
            file.flush()
            os.fsync(file.fileno())
        beside.replace(self._path)
