"""Spot's WebSocket API: who may subscribe, what is answered, and who hears what."""

import hmac
import json
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from harness.dependencies.binance.settings import API_KEY, API_SECRET
from harness.dependencies.binance.streams import UserStreams
from harness.dependencies.binance.ws_api import PATH, WsApi

WALL_MS = 1_700_000_000_000


class Shell:
    """Keeps what goes out and what is recorded."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, Any]] = []
        self.closed: list[tuple[str, int]] = []
        self.recorded: list[tuple[str, dict[str, Any]]] = []

    def send(self, key: str, text: str) -> None:
        self.sent.append((key, json.loads(text)))

    def close(self, key: str, code: int) -> None:
        self.closed.append((key, code))

    def record(self, name: str, fields: dict[str, Any]) -> None:
        self.recorded.append((name, fields))

    def take(self) -> list[tuple[str, Any]]:
        taken, self.sent = self.sent, []
        return taken


def signed(*, secret: str = API_SECRET, **params: Any) -> dict[str, Any]:
    """Parameters with a signature over all of them, sorted by name."""
    params = {"apiKey": API_KEY, "timestamp": WALL_MS, **params}
    text = "&".join(f"{name}={params[name]}" for name in sorted(params))
    return {**params, "signature": hmac.new(secret.encode(), text.encode(), "sha256").hexdigest()}


def subscribing(**params: Any) -> str:
    """A request to subscribe."""
    return json.dumps({"id": "7", "method": "userDataStream.subscribe.signature", "params": params})


@pytest.fixture
def shell() -> Shell:
    return Shell()


@pytest.fixture
def api(shell: Shell) -> WsApi:
    """With one open session, `a`."""
    made = WsApi(shell.send, shell.record)
    assert made.opened("a", PATH)
    return made


def test_only_its_own_path(api: WsApi) -> None:
    """Every other path is for the streams."""
    assert [api.opened("b", path) for path in ("/ws", "/ws-api/v4", "/private/ws", PATH + "/")] == [False] * 3 + [True]


def test_a_subscription_hears_spot(api: WsApi, shell: Shell) -> None:
    """A signed subscription is acknowledged by its number, and hears spot's events under it, not those of futures."""
    api.said("a", subscribing(**signed(recvWindow=10_000)), WALL_MS)
    api.publish("spot", '{"e":"executionReport"}')
    api.publish("futures", '{"e":"ORDER_TRADE_UPDATE"}')

    assert shell.take() == [
        ("a", {"id": "7", "status": 200, "result": {"subscriptionId": 0}, "rateLimits": []}),
        ("a", {"subscriptionId": 0, "event": {"e": "executionReport"}}),
    ]
    assert shell.recorded == [("stream", {"change": "opened", "market": "spot"})]


@pytest.mark.parametrize(
    ("params", "code"),
    [
        ({}, -1102),
        ({**signed(), "apiKey": "x" * 64}, -2015),
        (signed(secret="other"), -1022),
        ({**signed(), "recvWindow": 60_000}, -1022),
        (signed(timestamp=WALL_MS - 5_001), -1021),
        (signed(timestamp=WALL_MS + 1_000), -1021),
        (signed(timestamp="now"), -1100),
        (signed(recvWindow=60_001), -1131),
    ],
)
def test_a_bad_subscription_is_refused(api: WsApi, shell: Shell, params: dict[str, Any], code: int) -> None:
    """Key, signature and timestamp are checked as over REST, and the refusal names the request."""
    api.said("a", subscribing(**params), WALL_MS)
    api.publish("spot", "{}")

    ((_, reply),) = shell.take()
    assert (reply["id"], reply["error"]["code"]) == ("7", code)
    assert reply["status"] in (400, 401)
    assert not api.hears("spot")


@pytest.mark.parametrize(
    "text", ["", "[", "[]", "7", '{"id":1}', '{"id":1,"method":"order.place","params":{}}', "[" * 9999]
)
def test_what_is_no_known_request_is_refused(api: WsApi, shell: Shell, text: str) -> None:
    """Nonsense is answered by an error, and the session goes on."""
    api.said("a", text, WALL_MS)
    api.said("a", '{"id":2,"method":"time"}', WALL_MS)

    refusal, answer = [reply for _, reply in shell.take()]
    assert "error" in refusal
    assert answer["result"] == {"serverTime": WALL_MS}


def test_through_the_streams(shell: Shell) -> None:
    """The user streams hand these sessions on: they hear without any listen key, and are closed with all others."""
    streams = UserStreams(shell, record=shell.record)
    assert streams.opened("a", PATH, "", WALL_MS)
    assert not streams.hears("spot")
    streams.said("a", subscribing(**signed()), WALL_MS)
    shell.take()

    assert streams.hears("spot")
    streams.publish("spot", {"e": "executionReport"})
    assert shell.take() == [("a", {"subscriptionId": 0, "event": {"e": "executionReport"}})]
    assert streams.disconnect() == 1
    assert shell.closed == [("a", 1006)]
    assert not streams.hears("spot")
    streams.closed("a")


class Sessions(RuleBasedStateMachine):
    """Any order of events against a model: a session hears what is published from its subscription to its end."""

    NAMES = st.sampled_from("abc")

    def __init__(self) -> None:
        super().__init__()
        self.shell = Shell()
        self.api = WsApi(self.shell.send, self.shell.record)
        self.numbers: dict[str, int | None] = {}
        self.made: dict[str, int] = {}

    def say(self, name: str, method: str, **params: Any) -> Any:
        self.api.said(name, json.dumps({"id": 1, "method": method, "params": params}), WALL_MS)
        ((_, reply),) = self.shell.take()
        return reply["result"]

    @rule(name=NAMES)
    def open(self, name: str) -> None:
        if name not in self.numbers:
            assert self.api.opened(name, PATH)
            self.numbers[name], self.made[name] = None, 0

    @rule(name=NAMES)
    def subscribe(self, name: str) -> None:
        if name in self.numbers:
            if self.numbers[name] is None:
                self.numbers[name] = self.made[name]
                self.made[name] += 1
            told = self.say(name, "userDataStream.subscribe.signature", **signed())
            assert told == {"subscriptionId": self.numbers[name]}

    @rule(name=NAMES, number=st.integers(0, 2))
    def unsubscribe(self, name: str, number: int) -> None:
        if name in self.numbers:
            assert self.say(name, "userDataStream.unsubscribe", subscriptionId=number) == {}
            if self.numbers[name] == number:
                self.numbers[name] = None

    @rule(name=NAMES)
    def close(self, name: str) -> None:
        if self.numbers.pop(name, -1) != -1:
            self.api.closed(name)
        assert name not in self.api

    @invariant()
    def those_subscribed_hear(self) -> None:
        listening = {name: number for name, number in self.numbers.items() if number is not None}
        assert self.api.hears("spot") == bool(listening)
        assert not self.api.hears("futures")
        self.api.publish("spot", '{"n":1}')
        assert {name: heard["subscriptionId"] for name, heard in self.shell.take()} == listening
        opened = [fields["change"] for _, fields in self.shell.recorded]
        assert opened.count("opened") - opened.count("closed") == len(listening)


Sessions.TestCase.settings = settings(max_examples=50, stateful_step_count=30, deadline=None)
TestSessions = Sessions.TestCase
