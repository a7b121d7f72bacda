"""User data streams: listen keys, and which session hears what; pure, the shell owns the sockets.

A session is one WebSocket; the shell names it (any unique text) and passes on what its client says. Everything for the
client goes out through `StreamOut`, by that name. A session hears the events of the listen keys that it named, in the
path (`/ws/KEY`), the query (`?listenKey=KEY`, with `&events=A/B` to hear those only; `?streams=KEY/KEY`) or a SUBSCRIBE
message. On a path that ends in `/stream` events come wrapped, `{"stream": KEY, "data": event}`. As on the real exchange
a session with an unknown key is let in, and hears nothing.

An account has one listen key per market, valid for an hour after it was last asked for; when it runs out, its sessions
hear `listenKeyExpired` and are closed. A session is closed after 24 hours (documented). Sessions of spot's WebSocket
API (ws_api.py) hear without a listen key.
"""

import hashlib
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Final, Protocol
from urllib.parse import parse_qs

from harness.dependencies.binance.gate.errors import Reject
from harness.dependencies.binance.settings import Market
from harness.dependencies.binance.ws_api import WsApi

VALID_MS: Final = 3_600_000
SESSION_MS_MAX: Final = 86_400_000
_ROOTS: Final = ("", "/private", "/public", "/market")
_EXPIRED: Final = "listenKeyExpired"
_SAID_BAD: Final = {"code": 2, "msg": "Invalid request: request must be a JSON object with a method"}


class StreamOut(Protocol):
    """Where messages go: the shell, which knows the sockets."""

    def send(self, key: str, text: str) -> None:
        """Send one text message to the session `key`."""

    def close(self, key: str, code: int) -> None:
        """Close the session `key` with that WebSocket code."""


@dataclass(slots=True)
class _Session:
    """`keys`: the listen keys it named. `events`: the only events it wants, all if empty."""

    wrapped: bool
    until_ms: int
    keys: list[str] = field(default_factory=list)
    events: frozenset[str] = frozenset()
    told: set[Market] = field(default_factory=set)


class UserStreams:
    """Listen keys and sessions of both markets.

    `valid_ms` is how long a listen key lives from now on; the fault `listen_key_expiry` shortens it.
    """

    def __init__(self, out: StreamOut, *, record: Callable[[str, dict[str, Any]], None]) -> None:
        self.valid_ms = VALID_MS
        self._out = out
        self._record = record
        self._made = 0
        self._keys: dict[Market, str] = {}
        self._until_ms: dict[str, int] = {}
        self._markets: dict[str, Market] = {}
        self._sessions: dict[str, _Session] = {}
        self._heard: set[Market] = set()
        self._api = WsApi(out.send, record)

    # Listen keys, over REST.

    def create(self, market: Market, wall_ms: int) -> str:
        """Return the account's listen key, made if there is none; it is valid anew."""
        self.advance(wall_ms)
        key = self._keys.get(market)
        if key is None:
            self._made += 1
            key = hashlib.sha256(f"{market}/{self._made}".encode()).hexdigest()
            self._keys[market] = key
            self._markets[key] = market
        self._until_ms[key] = wall_ms + self.valid_ms
        return key

    def keep(self, market: Market, key: str | None, wall_ms: int) -> str:
        """Make a listen key valid anew; None means the account's. Raises `Reject` -1125 if it does not exist."""
        self.advance(wall_ms)
        found = self._existing(market, key)
        self._until_ms[found] = wall_ms + self.valid_ms
        return found

    def drop(self, market: Market, key: str | None, wall_ms: int) -> None:
        """Close a listen key and the sessions that hear no other. Raises `Reject` -1125 if it does not exist."""
        self.advance(wall_ms)
        self._forget(self._existing(market, key), 1000, "closed")

    def _existing(self, market: Market, key: str | None) -> str:
        found = self._keys.get(market)
        if found is None or key not in (None, "", found):
            raise Reject(-1125)
        return found

    # Sessions, over WebSocket.

    def opened(self, session: str, path: str, query: str, wall_ms: int) -> bool:
        """A WebSocket is asked for; return whether there are streams at that path."""
        self.advance(wall_ms)
        if self._api.opened(session, path):
            return True
        root, _, rest = path.rstrip("/").partition("/ws")
        wrapped = path.rstrip("/").endswith("/stream")
        if wrapped:
            root, rest = path.rstrip("/").removesuffix("/stream"), ""
        elif "/ws" not in path:
            return False
        if root not in _ROOTS or (rest and not rest.startswith("/")):
            return False
        asked = parse_qs(query)
        opened = _Session(wrapped, wall_ms + SESSION_MS_MAX)
        opened.events = frozenset(_split(asked.get("events", ())))
        self._sessions[session] = opened
        self._hear(opened, _split([rest, *asked.get("listenKey", ()), *asked.get("streams", ())]))
        return True

    def said(self, session: str, text: str, wall_ms: int) -> None:
        """The session's client sent a text message: SUBSCRIBE, UNSUBSCRIBE or LIST_SUBSCRIPTIONS."""
        self.advance(wall_ms)
        if session in self._api:
            self._api.said(session, text, wall_ms)
        if session not in self._sessions:
            return
        self._out.send(session, json.dumps(self._reply(self._sessions[session], text), separators=(",", ":")))

    def closed(self, session: str) -> None:
        """The session is gone, whoever closed it."""
        if session in self._api:
            self._api.closed(session)
        gone = self._sessions.pop(session, None)
        if gone is not None:
            self._tell(gone, "closed")
            self._listen()

    def _reply(self, session: _Session, text: str) -> dict[str, Any]:
        try:
            asked = json.loads(text)
        except (ValueError, RecursionError):
            return {"error": _SAID_BAD}
        if not isinstance(asked, dict):
            return {"error": _SAID_BAD}
        number, params = asked.get("id"), asked.get("params", [])
        wanted = [str(each) for each in params] if isinstance(params, list) else []
        match asked.get("method"):
            case "SUBSCRIBE":
                self._hear(session, wanted)
            case "UNSUBSCRIBE":
                session.keys = [key for key in session.keys if key not in {_key(each) for each in wanted}]
                self._listen()
            case "LIST_SUBSCRIPTIONS":
                return {"result": list(session.keys), "id": number}
            case _:
                return {"error": _SAID_BAD, "id": number}
        return {"result": None, "id": number}

    def _hear(self, session: _Session, wanted: Iterable[str]) -> None:
        for name in wanted:
            key = _key(name)
            if key not in session.keys:
                session.keys.append(key)
            market = self._markets.get(key)
            if market is not None and market not in session.told:
                session.told.add(market)
                self._record("stream", {"change": "opened", "market": market})
        self._listen()

    # Events.

    def hears(self, market: Market) -> bool:
        """Whether any session would hear an event of that market: if not, none need be made."""
        return market in self._heard or self._api.hears(market)

    def publish(self, market: Market, event: dict[str, Any]) -> None:
        """Send an event (`e` is its type) to all that hear it."""
        plain = json.dumps(event, separators=(",", ":"))
        self._api.publish(market, plain)
        key = self._keys.get(market)
        if key is None or market not in self._heard:
            return
        for name, session in list(self._sessions.items()):
            if key in session.keys and (not session.events or event["e"] in session.events or event["e"] == _EXPIRED):
                self._out.send(name, f'{{"stream":"{key}","data":{plain}}}' if session.wrapped else plain)

    # Time and faults.

    def due_ms(self) -> int | None:
        """Return when `advance` has something to do next."""
        times = [*self._until_ms.values(), *(session.until_ms for session in self._sessions.values())]
        return min(times, default=None)

    def advance(self, wall_ms: int) -> None:
        """Let keys and sessions run out."""
        for key, until_ms in list(self._until_ms.items()):
            if until_ms <= wall_ms:
                self._run_out(key, wall_ms)
        for name, session in list(self._sessions.items()):
            if session.until_ms <= wall_ms:
                self._end(name, 1008)

    def disconnect(self) -> int:
        """Close every session (fault `stream_disconnect`); return how many."""
        names = list(self._sessions)
        for name in names:
            self._end(name, 1006)
        for name in self._api.names:
            self._api.closed(name)
            self._out.close(name, 1006)
            names.append(name)
        return len(names)

    def expire(self, wall_ms: int) -> int:
        """Let every listen key run out now (fault `listen_key_expiry`); return how many sessions that closed."""
        before = len(self._sessions)
        for key in list(self._until_ms):
            self._run_out(key, wall_ms)
        return before - len(self._sessions)

    def _run_out(self, key: str, wall_ms: int) -> None:
        self.publish(self._markets[key], {"e": _EXPIRED, "E": wall_ms, "listenKey": key})
        self._forget(key, 1000, "expired")

    def _forget(self, key: str, code: int, change: str) -> None:
        market = self._markets.pop(key)
        del self._until_ms[key], self._keys[market]
        for name, session in list(self._sessions.items()):
            if key not in session.keys:
                continue
            session.keys.remove(key)
            session.told.discard(market)
            self._record("stream", {"change": change, "market": market})
            if not session.keys:
                self._end(name, code)
        self._listen()

    def _end(self, name: str, code: int) -> None:
        self._tell(self._sessions.pop(name), "closed")
        self._listen()
        self._out.close(name, code)

    def _tell(self, session: _Session, change: str) -> None:
        for market in sorted(session.told):
            self._record("stream", {"change": change, "market": market})

    def _listen(self) -> None:
        named = {key for session in self._sessions.values() for key in session.keys}
        self._heard = {market for market, key in self._keys.items() if key in named}


def _split(texts: Iterable[str]) -> list[str]:
    return [part for text in texts for part in text.split("/") if part]


def _key(name: str) -> str:
    """Return the listen key of a stream's name; what follows an @ picks events, which are all sent here."""
    return name.partition("@")[0]
