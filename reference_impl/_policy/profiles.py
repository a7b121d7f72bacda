"""Profiles and policies: how much may be risked. Pure.

A profile sets three limits (the plan's figures): what one trade may lose, what a day may lose, the leverage. A policy
is a profile, perhaps tightened, and caps on positions. What is tightened can never be laxer than the profile, so when
two writers change different fields at once, any mixture of their changes is as strict as each of them asked for.

All figures are whole numbers (basis points, multiples, USDT), so that relative changes are exact.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Final, Literal, TypeAlias, get_args

Profile: TypeAlias = Literal["NORMAL", "DEFENSIVE", "AGGRESSIVE"]
PROFILE_NAMES: Final[tuple[Profile, ...]] = get_args(Profile)


@dataclass(frozen=True, slots=True)
class Limits:
    """Risk of one trade and loss of one day in basis points of equity, and leverage."""

    risk_bps: int
    drawdown_bps: int
    leverage: int


PROFILES: Final[Mapping[str, Limits]] = MappingProxyType(
    {
        "NORMAL": Limits(200, 500, 30),
        "DEFENSIVE": Limits(100, 300, 10),
        "AGGRESSIVE": Limits(300, 800, 50),
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """What is in force. `tightened` holds limits by name that are stricter than the profile's; `caps` USDT by name."""

    profile: str = "DEFENSIVE"
    tightened: Mapping[str, int] = field(default_factory=dict)
    caps: Mapping[str, int] = field(default_factory=dict)

    @property
    def limits(self) -> Limits:
        """The profile's limits, or what was set if that is stricter."""
        given, tightened = PROFILES[self.profile], self.tightened
        return Limits(
            min(given.risk_bps, tightened.get("risk_bps", given.risk_bps)),
            min(given.drawdown_bps, tightened.get("drawdown_bps", given.drawdown_bps)),
            min(given.leverage, tightened.get("leverage", given.leverage)),
        )

    def defensive(self) -> "Policy":
        """Return this policy under the DEFENSIVE profile: nothing laxer than that, nor than it was."""
        return replace(self, profile="DEFENSIVE")


SAFE: Final = Policy()
"""What holds when nobody knows what should."""
