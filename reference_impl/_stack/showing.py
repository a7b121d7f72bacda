"""What the dashboard shows of an event on the bus: its topic, its key, and the value that the page knows. Pure."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, Final, NamedTuple

from reference_impl._dashboard import topics as shown
from reference_impl._stack import topics

SIGNAL: Final = "signal.created"
PRICES: Final = "market.prices"
POLICY: Final = "policy.updated"
_STATUS: Final[Mapping[str, str]] = {
    "filled": "FILLED",
    "partial": "PARTIALLY_FILLED",
    "rejected": "REJECTED",
    "abandoned": "CANCELED",
    "unknown": "UNKNOWN",
}


class Shown(NamedTuple):
    """One event of the dashboard's feed."""

    topic: str
    key: str
    value: Any


def events_of(event_type: str, payload: Mapping[str, Any]) -> Iterator[Shown]:
    """Yield what is to be shown of an event; those whose topic is critical once each."""
    if event_type in topics.ESS:
        value = {"state": payload["to"], "reason": payload["reason"], "actor": payload["actor"]}
        yield Shown(shown.ESS_STATE, "", {**value, "since": payload["at_ms"] / 1_000})
    elif event_type == topics.REPORTED:
        yield Shown(shown.ORDER_UPDATE, payload["symbol"], _order(payload))
    elif event_type == topics.EQUITY:
        parts = ("equity", "realised", "unrealised", "fees")
        yield Shown(shown.EQUITY, "", {**{part: payload[part] for part in parts}, "drawdown": None})
    elif event_type == topics.POSITION:
        fields = ("quantity", "entry_price", "mark_price", "unrealised")
        yield Shown(shown.POSITION, payload["symbol"], {field: payload[field] for field in fields})
    elif event_type == topics.SIGNAL:
        yield Shown(SIGNAL, payload["symbol"], {field: payload.get(field) for field in ("id", "side", "confidence")})
    elif event_type == topics.PRICES:
        yield Shown(PRICES, "", dict(payload["prices"]))  # one key: fifty events a second are soon used up
    elif event_type == topics.POLICY:
        yield Shown(POLICY, "", dict(payload))


def models_of(body: Any) -> Iterator[Shown]:
    """Yield each model of an answer of `ml_metrics`; nothing of what is no such answer."""
    models = body.get("models") if isinstance(body, dict) else None
    for name, figure in models.items() if isinstance(models, dict) else ():
        if isinstance(figure, dict):
            told = {field: figure.get(field) for field in ("status", "accuracy", "samples", "reason")}
            yield Shown(shown.AI_METRICS, str(name), {**told, "as_of": _unix(figure.get("as_of"))})


def services_of(body: Any) -> Iterator[Shown]:
    """Yield each service of an answer of the monitor; nothing of what is no such answer."""
    services = body.get("services") if isinstance(body, dict) else None
    for name, one in services.items() if isinstance(services, dict) else ():
        if isinstance(one, dict):
            fields = ("state", "reason", "since")
            yield Shown(shown.SERVICE_HEALTH, str(name), {field: one.get(field) for field in fields})


def _unix(stamp: Any) -> float | None:
    """Return a time that is told as ISO 8601 in Unix seconds."""
    try:
        return datetime.fromisoformat(stamp).timestamp()
    except (TypeError, ValueError):
        return None


def _order(payload: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "client_order_id": payload["intent"],
        "side": payload["side"],
        "status": _STATUS.get(payload["status"], payload["status"]),
        "quantity": payload["quantity"],
        "filled": payload["filled"],
        "average_price": payload["price"],
        "reason": payload["reason"] or None,
    }
