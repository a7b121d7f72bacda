"""The topics of the dashboard, and the shapes of their values.

Amounts are texts of decimal numbers, as floats would round them; shares and scores are numbers from 0 to 1; `None` is
"not known", never 0. Clients show what they get as text and take none of it for granted.
"""

from typing import Final, Literal, TypedDict

EQUITY: Final = "portfolio.equity"
"""Key: empty. `Equity`."""
POSITION: Final = "portfolio.position"
"""Key: the symbol. `Position`; a position that was closed stays, with quantity "0"."""
ESS_STATE: Final = "ess.state"
"""Critical. Key: empty. `EssState`."""
AI_METRICS: Final = "ai.metrics"
"""Key: the model. `ModelMetrics`."""
SERVICE_HEALTH: Final = "health.service"
"""Key: the service. `ServiceHealth`."""
ORDER_UPDATE: Final = "order.update"
"""Critical. Key: the symbol, as keys are to be few; the order is named in the value. `OrderUpdate`."""


class Equity(TypedDict):
    """The whole account, in the quote currency."""

    equity: str
    realised: str
    unrealised: str
    fees: str
    drawdown: float | None
    """From the day's highest equity, as a share of it."""


class Position(TypedDict):
    """One symbol's. `quantity` is negative for a short position."""

    quantity: str
    entry_price: str | None
    mark_price: str | None
    unrealised: str | None


class EssState(TypedDict):
    """The emergency stop's. Orders go out in ARMED only."""

    state: Literal["DISABLED", "ARMED", "TRIPPED", "COOLING_DOWN"]
    reason: str
    actor: str
    since: float
    """Unix seconds."""


class ModelMetrics(TypedDict):
    """One model's hit rate over its last `samples` predictions."""

    status: Literal["ok", "stale", "unavailable"]
    accuracy: float | None
    samples: int
    reason: str | None
    as_of: float | None
    """Unix seconds."""


class ServiceHealth(TypedDict):
    """One service's, as the monitor of patch 10 has it."""

    state: Literal["HEALTHY", "DEGRADED", "CRITICAL", "UNKNOWN"]
    reason: str
    since: float | None
    """Unix seconds."""


class OrderUpdate(TypedDict):
    """What became of an order. `status` is the exchange's word: NEW, FILLED, CANCELED, REJECTED and so on."""

    client_order_id: str
    side: Literal["BUY", "SELL"]
    status: str
    quantity: str
    filled: str
    average_price: str | None
    reason: str | None
