"""What services tell each other over the event bus: the types of events, who publishes them and what is in them.

`showing.py` says what a dashboard makes of them.
"""

from typing import Final

SIGNAL: Final = "signal.created"
"""By `strategy`: {id, symbol, side, confidence, ttl_s, exit}."""
PRICES: Final = "market.prices"
"""By `execution`: {prices: {symbol: price}}, as the exchange had them."""
REPORTED: Final = "order.reported"
"""By `execution`: {intent, symbol, side, status, quantity, filled, missing, price, reason}."""
POLICY: Final = "policy.updated"
"""By `execution`: {profile, version}."""
EQUITY: Final = "portfolio.equity"
"""By `portfolio`: equity and its parts, as texts."""
POSITION: Final = "portfolio.position"
"""By `portfolio`: {symbol, quantity, entry_price, mark_price, unrealised, realised}."""
ESS: Final = ("ess.armed", "ess.tripped", "ess.cooling_down", "ess.disabled")
"""By the emergency stop in `execution`; see `_ess.model.Transition`."""

SHOWN: Final = (SIGNAL, PRICES, REPORTED, POLICY, EQUITY, POSITION, *ESS)
"""What the dashboard shows."""
