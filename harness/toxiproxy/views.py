"""What the API shows of proxies and toxics, and what it reads of toxics: keys and their order are Toxiproxy's."""

from typing import Any, Literal

from harness.toxics import catalog
from harness.toxics.base import Active, Direction
from harness.toxiproxy import errors
from harness.toxiproxy.body import Fields
from harness.toxiproxy.proxy import Proxy


def show_proxy(proxy: Proxy) -> dict[str, Any]:
    """Return a proxy as JSON. The original shows its empty `Logger` too, and typed clients may count on the key."""
    return {
        "name": proxy.name,
        "listen": proxy.listen,
        "upstream": proxy.upstream,
        "enabled": proxy.enabled,
        "Logger": {},
        "toxics": show_toxics(proxy),
    }


def show_toxics(proxy: Proxy) -> list[dict[str, Any]]:
    """Return the toxics of a proxy, upstream first."""
    upstream = [show_toxic(active) for active in proxy.actives if active.stream == "upstream"]
    return upstream + [show_toxic(active) for active in proxy.actives if active.stream == "downstream"]


def show_toxic(active: Active) -> dict[str, Any]:
    """Return a toxic as JSON."""
    return {
        "attributes": catalog.attributes(active.toxic),
        "name": active.name,
        "type": active.toxic.type,
        "stream": active.stream,
        "toxicity": active.toxicity,
    }


def parse_toxic(value: Any) -> Active:
    """Return the toxic that a decoded body asks for. Raises `ApiError` (400)."""
    fields = Fields(value)
    stream = _stream(fields.text("stream", "downstream"))
    kind = fields.text("type", "")
    name = fields.text("name", "") or f"{kind}_{stream}"
    if kind not in catalog.TYPES:
        raise errors.invalid_type()
    try:
        toxic = catalog.parse(kind, fields.fields("attributes"))
    except catalog.BadToxic as problem:
        raise errors.bad_body(str(problem)) from None
    return Active(
        name=name,
        stream=stream,
        toxic=toxic,
        toxicity=fields.number("toxicity", 1),
        per_message=_is_per_message(fields, default="connection"),
    )


def change_toxic(active: Active, value: Any) -> None:
    """Give a toxic the attributes and the toxicity that a decoded body has; all else in it is ignored.

    Raises `ApiError` (400) and has changed nothing then.
    """
    fields = Fields(value)
    try:
        toxic = catalog.merge(active.toxic, fields.fields("attributes"))
    except catalog.BadToxic as problem:
        raise errors.bad_body(str(problem)) from None
    toxicity = fields.number("toxicity", active.toxicity)
    per_message = _is_per_message(fields, default="message" if active.per_message else "connection")
    active.toxic, active.toxicity, active.per_message = toxic, toxicity, per_message


def _stream(text: str) -> Direction:
    match text.lower():
        case "upstream":
            return "upstream"
        case "downstream":
            return "downstream"
        case _:
            raise errors.invalid_stream()


def _is_per_message(fields: Fields, *, default: Literal["connection", "message"]) -> bool:
    choice = fields.text("toxicity_per", default)
    if choice not in {"connection", "message"}:
        raise errors.bad_body("toxicity_per must be connection or message")
    return choice == "message"
