"""A matching toxic on one connection: which of its requests it takes."""

from harness.toxics.base import Active, Dice, chance
from harness.toxics.exchange.match import Match
from harness.toxics.exchange.shapes import Request


class Rule:
    """One matching toxic on one connection. Counts go to its `effects`, which all its connections share."""

    __slots__ = ("_dice", "_fits", "_takes_connection", "active", "effects", "match")

    def __init__(self, active: Active, match: Match, dice: Dice) -> None:
        """Roll, here and once, whether the toxic takes this connection; per message, each match is rolled for."""
        self.active = active
        self.effects = active.effects
        self._dice = dice
        self._takes_connection = active.per_message or chance(dice, active.toxicity)
        if self._takes_connection:
            self.effects["connections"] += 1
        self.change(match)

    def change(self, match: Match) -> None:
        """Go by new attributes from now on. Matches so far keep their numbers."""
        self.match = match
        self._fits = match.matcher()

    def takes(self, request: Request) -> bool:
        """Say whether this request is one to act upon, and count it if it matches."""
        if not self._takes_connection or not self._fits(request):
            return False
        if self.active.per_message and not chance(self._dice, self.active.toxicity):
            return False
        self.effects["matched"] += 1
        number = self.effects["matched"]
        nth, times = self.match.nth, self.match.times
        if nth:
            return nth <= number < nth + max(times, 1)
        return not times or number <= times
