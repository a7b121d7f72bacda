"""Spot's WebSocket API, as far as user data streams need it: subscribing by a signature, without a listen key.

It took the place of spot's listen keys, and ccxt and python-binance use nothing else. A request is
`{"id", "method", "params"}`; signed ones bear apiKey, timestamp and a signature over all other parameters, sorted by
name. Events come as `{"subscriptionId", "event"}`. Orders over this API are not emulated, and its requests are not
counted against the limits. Pure: the shell owns the sockets.
"""

import hmac
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from harness.dependencies.binance.gate.errors import Reject
from harness.dependencies.binance.gate.params import check_time
from harness.dependencies.binance.settings import API_KEY, API_SECRET, Market

PATH: Final = "/ws-api/v3"
_MARKET: Final[Market] = "spot"
_OK: Final = 200

Send = Callable[[str, str], None]
Record = Callable[[str, dict[str, Any]], None]


@dataclass(slots=True)
class _Session:
    """`subscription` is the number of its subscription; None without one. `made` counts those that it ever had."""

    subscription: int | None = None
    made: int = 0


class WsApi:
    """The sessions of the WebSocket API, by the names that the shell gave them."""

    def __init__(self, send: Send, record: Record) -> None:
        self._send = send
        self._record = record
        self._sessions: dict[str, _Session] = {}

    def __contains__(self, session: str) -> bool:
        return session in self._sessions

    @property
    def names(self) -> tuple[str, ...]:
        """All open sessions."""
        return tuple(self._sessions)

    def opened(self, session: str, path: str) -> bool:
        """A WebSocket is asked for; return whether it is this API's."""
        if path.rstrip("/") != PATH:
            return False
        self._sessions[session] = _Session()
        return True

    def said(self, session: str, text: str, wall_ms: int) -> None:
        """The session's client sent a request; it is answered."""
        number: Any = None
        try:
            asked = json.loads(text)
            number = asked.get("id") if isinstance(asked, dict) else None
            result = self._call(self._sessions[session], asked, wall_ms)
            reply = {"id": number, "status": _OK, "result": result, "rateLimits": []}
        except (ValueError, RecursionError):
            reply = {"id": None, "status": 400, "error": {"code": -1100, "msg": "JSON parsing error."}}
        except Reject as refusal:
            error = {"code": refusal.code, "msg": refusal.text}
            reply = {"id": number, "status": refusal.status, "error": error, "rateLimits": []}
        self._send(session, json.dumps(reply, separators=(",", ":")))

    def closed(self, session: str) -> None:
        """The session is gone."""
        self._forget(self._sessions.pop(session))

    def hears(self, market: Market) -> bool:
        """Whether anybody would hear an event of that market."""
        return market == _MARKET and any(one.subscription is not None for one in self._sessions.values())

    def publish(self, market: Market, event: str) -> None:
        """Send an event, JSON already, to all that are subscribed."""
        if market != _MARKET:
            return
        for name, session in list(self._sessions.items()):
            if session.subscription is not None:
                self._send(name, f'{{"subscriptionId":{session.subscription},"event":{event}}}')

    def _call(self, session: _Session, asked: object, wall_ms: int) -> Any:
        params = asked.get("params", {}) if isinstance(asked, dict) else None
        if not isinstance(asked, dict) or not isinstance(params, dict):
            raise Reject(-1102, name="params")
        match asked.get("method"):
            case "ping":
                return {}
            case "time":
                return {"serverTime": wall_ms}
            case "userDataStream.subscribe.signature":
                _authenticate(params, wall_ms)
                return {"subscriptionId": self._subscribe(session)}
            case "userDataStream.unsubscribe":
                if params.get("subscriptionId", session.subscription) == session.subscription:
                    self._forget(session)
                return {}
            case "session.subscriptions":
                return [] if session.subscription is None else [{"subscriptionId": session.subscription}]
        raise Reject(-1020)

    def _subscribe(self, session: _Session) -> int:
        if session.subscription is None:
            session.subscription = session.made
            session.made += 1
            self._record("stream", {"change": "opened", "market": _MARKET})
        return session.subscription

    def _forget(self, session: _Session) -> None:
        if session.subscription is not None:
            session.subscription = None
            self._record("stream", {"change": "closed", "market": _MARKET})


def _authenticate(params: Mapping[str, Any], wall_ms: int) -> None:
    """Check key, signature and timestamp. Raises `Reject` as REST does."""
    for name in ("apiKey", "timestamp", "signature"):
        if name not in params:
            raise Reject(-1102, name=name)
    if params["apiKey"] != API_KEY:
        raise Reject(-2015)
    signed = "&".join(f"{name}={params[name]}" for name in sorted(params) if name != "signature")
    expected = hmac.new(API_SECRET.encode(), signed.encode(), "sha256").hexdigest()
    if not hmac.compare_digest(expected.encode(), str(params["signature"]).encode()):
        raise Reject(-1022)
    window = params.get("recvWindow")
    check_time(str(params["timestamp"]), None if window is None else str(window), wall_ms)
