"""Which protocols can be followed, and by what."""

from collections.abc import Callable
from typing import Final

from harness.toxics.base import Toxic
from harness.toxics.exchange.exchange import Exchange
from harness.toxics.exchange.http_replies import HttpReplies
from harness.toxics.exchange.http_requests import HttpRequests
from harness.toxics.exchange.match import Follow, HttpMatch, Match, RedisMatch
from harness.toxics.exchange.redis_replies import RedisReplies
from harness.toxics.exchange.redis_requests import RedisRequests

_EXCHANGES: Final[dict[Follow, Callable[[], Exchange]]] = {
    "redis": lambda: Exchange(RedisRequests(), RedisReplies()),
    "http": lambda: Exchange(HttpRequests(), HttpReplies()),
}


def exchange_for(protocol: Follow) -> Exchange:
    """Return the exchange of a connection of that protocol whose first byte has not come yet."""
    return _EXCHANGES[protocol]()


def match_of(toxic: Toxic) -> Match | None:
    """Return a matching toxic as what it is, None for a toxic that acts on bytes."""
    return toxic if isinstance(toxic, RedisMatch | HttpMatch) else None
