"""Listen keys and sessions: who hears what, for how long, by a clock that is passed in."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.dependencies.binance.gate.errors import Reject
from harness.dependencies.binance.streams import SESSION_MS_MAX, VALID_MS, UserStreams

NOW_MS = 1_700_000_000_000
EVENT = {"e": "ORDER_TRADE_UPDATE", "E": NOW_MS}


class Shell:
    """Keeps what sessions were sent, and how they were closed."""

    def __init__(self) -> None:
        self.sent: dict[str, list[Any]] = {}
        self.closed: dict[str, int] = {}
        self.records: list[dict[str, Any]] = []

    def send(self, key: str, text: str) -> None:
        self.sent.setdefault(key, []).append(json.loads(text))

    def close(self, key: str, code: int) -> None:
        self.closed[key] = code

    def record(self, name: str, fields: dict[str, Any]) -> None:
        assert name == "stream"
        self.records.append(fields)


@pytest.fixture
def shell() -> Shell:
    """A shell without sockets."""
    return Shell()


@pytest.fixture
def streams(shell: Shell) -> UserStreams:
    """No keys, no sessions."""
    return UserStreams(shell, record=shell.record)


@pytest.mark.parametrize(
    ("path", "query"),
    [
        ("/ws/{key}", ""),
        ("/private/ws/{key}", ""),
        ("/private/ws", "listenKey={key}"),
        ("/private/ws/", "listenKey={key}&events=ORDER_TRADE_UPDATE/ACCOUNT_UPDATE"),
        ("/market/ws/other@trade/{key}", ""),
    ],
)
def test_plain_paths(streams: UserStreams, shell: Shell, path: str, query: str) -> None:
    """Every way to name a listen key is heard, and events come as they are."""
    key = streams.create("futures", NOW_MS)
    assert not streams.hears("futures")
    assert streams.opened("a", path.format(key=key), query.format(key=key), NOW_MS)
    assert streams.hears("futures")
    assert not streams.hears("spot")
    streams.publish("futures", EVENT)
    streams.publish("spot", EVENT)
    assert shell.sent == {"a": [EVENT]}
    assert shell.records == [{"change": "opened", "market": "futures"}]


@pytest.mark.parametrize(("path", "query"), [("/stream", "streams={key}"), ("/private/stream", "listenKey={key}")])
def test_combined_paths_wrap(streams: UserStreams, shell: Shell, path: str, query: str) -> None:
    """On a combined stream each event says which stream it came from."""
    key = streams.create("futures", NOW_MS)
    assert streams.opened("a", path, query.format(key=key), NOW_MS)
    streams.publish("futures", EVENT)
    assert shell.sent == {"a": [{"stream": key, "data": EVENT}]}


@pytest.mark.parametrize("path", ["/", "/wsx", "/other/ws/key", "/wsx/stream/y", "/fapi/v1/order"])
def test_other_paths_are_no_streams(streams: UserStreams, path: str) -> None:
    """The shell answers 404 there."""
    assert not streams.opened("a", path, "", NOW_MS)


def test_an_unknown_key_is_let_in_and_hears_nothing(streams: UserStreams, shell: Shell) -> None:
    """As on the real exchange: who connects with a stale key is told by silence only."""
    streams.create("futures", NOW_MS)
    assert streams.opened("a", "/ws/stale", "", NOW_MS)
    streams.publish("futures", EVENT)
    assert (shell.sent, shell.records) == ({}, [])


def test_events_can_be_picked(streams: UserStreams, shell: Shell) -> None:
    """A session that asked for some events hears those, and always the end of its key."""
    key = streams.create("futures", NOW_MS)
    streams.opened("a", "/private/ws", f"listenKey={key}&events=ACCOUNT_UPDATE", NOW_MS)
    streams.publish("futures", EVENT)
    streams.publish("futures", {"e": "ACCOUNT_UPDATE"})
    streams.expire(NOW_MS)
    assert [event["e"] for event in shell.sent["a"]] == ["ACCOUNT_UPDATE", "listenKeyExpired"]


def test_subscribe_and_unsubscribe(streams: UserStreams, shell: Shell) -> None:
    """A session may name its keys later, ask what it hears, and stop."""
    key = streams.create("spot", NOW_MS)
    streams.opened("a", "/private/ws", "", NOW_MS)
    for method in ("SUBSCRIBE", "LIST_SUBSCRIPTIONS", "UNSUBSCRIBE"):
        streams.said("a", json.dumps({"method": method, "params": [key], "id": 7}), NOW_MS)
        streams.publish("spot", {"e": method})
    assert shell.sent["a"] == [
        {"result": None, "id": 7},
        {"e": "SUBSCRIBE"},
        {"result": [key], "id": 7},
        {"e": "LIST_SUBSCRIPTIONS"},
        {"result": None, "id": 7},
    ]


@pytest.mark.parametrize("text", ["", "[]", "{", '{"method":"PRAY"}', "[" * 100_000, '{"method":[]}', "\x00"])
def test_nonsense_is_answered_by_an_error(streams: UserStreams, shell: Shell, text: str) -> None:
    """Whatever a client says, it gets an error and the session goes on."""
    streams.opened("a", "/ws", "", NOW_MS)
    streams.said("a", text, NOW_MS)
    assert "error" in shell.sent["a"][0]
    assert shell.closed == {}


@settings(deadline=None)  # the machine may be busy
@given(text=st.text() | st.dictionaries(st.text(), st.integers() | st.lists(st.text())).map(json.dumps))
def test_any_message_is_answered(text: str) -> None:
    """One message, one answer."""
    shell = Shell()
    streams = UserStreams(shell, record=shell.record)
    streams.opened("a", "/ws", "", NOW_MS)
    streams.said("a", text, NOW_MS)
    assert len(shell.sent["a"]) == 1


def test_a_key_lives_for_an_hour_after_it_was_last_asked_for(streams: UserStreams, shell: Shell) -> None:
    """POST and PUT extend it; when it runs out its sessions are told, and closed; then PUT says -1125."""
    key = streams.create("futures", NOW_MS)
    streams.opened("a", f"/ws/{key}", "", NOW_MS)
    assert streams.create("futures", NOW_MS + 1_000) == key
    assert streams.keep("futures", None, NOW_MS + 2_000) == key
    end_ms = NOW_MS + 2_000 + VALID_MS
    assert streams.due_ms() == end_ms
    streams.advance(end_ms - 1)
    assert shell.closed == {}
    streams.advance(end_ms)
    assert shell.sent["a"] == [{"e": "listenKeyExpired", "E": end_ms, "listenKey": key}]
    assert shell.closed == {"a": 1000}
    assert shell.records == [
        {"change": "opened", "market": "futures"},
        {"change": "expired", "market": "futures"},
    ]
    with pytest.raises(Reject) as caught:
        streams.keep("futures", None, end_ms)
    assert caught.value.code == -1125
    assert streams.create("futures", end_ms) != key


def test_a_key_of_another_market_is_unknown(streams: UserStreams) -> None:
    """Keys belong to one market; deleting one that does not exist is refused as well."""
    key = streams.create("futures", NOW_MS)
    for refused in (streams.keep, streams.drop):
        with pytest.raises(Reject):
            refused("spot", key, NOW_MS)
        with pytest.raises(Reject):
            refused("futures", "other", NOW_MS)


def test_a_deleted_key_ends_its_sessions(streams: UserStreams, shell: Shell) -> None:
    """But not one that hears the other market, too."""
    futures, spot = streams.create("futures", NOW_MS), streams.create("spot", NOW_MS)
    streams.opened("one", f"/ws/{futures}", "", NOW_MS)
    streams.opened("both", f"/ws/{futures}/{spot}", "", NOW_MS)
    streams.drop("futures", futures, NOW_MS)
    assert shell.closed == {"one": 1000}
    streams.publish("spot", EVENT)
    assert shell.sent == {"both": [EVENT]}


def test_faults(streams: UserStreams, shell: Shell) -> None:
    """A disconnect closes every session and leaves the keys; expiry ends the keys, too."""
    key = streams.create("futures", NOW_MS)
    streams.opened("a", f"/ws/{key}", "", NOW_MS)
    streams.opened("b", "/ws", "", NOW_MS)
    assert streams.disconnect() == 2
    assert shell.closed == {"a": 1006, "b": 1006}
    assert streams.keep("futures", None, NOW_MS) == key
    streams.opened("c", f"/ws/{key}", "", NOW_MS)
    assert streams.expire(NOW_MS) == 1
    streams.valid_ms = 1_000
    shorter = streams.create("futures", NOW_MS)
    streams.advance(NOW_MS + 1_000)
    with pytest.raises(Reject):
        streams.keep("futures", shorter, NOW_MS + 1_000)


def test_a_session_ends_after_a_day(streams: UserStreams, shell: Shell) -> None:
    """However often its key is extended."""
    streams.opened("a", "/ws", "", NOW_MS)
    assert streams.due_ms() == NOW_MS + SESSION_MS_MAX
    streams.advance(NOW_MS + SESSION_MS_MAX)
    assert shell.closed == {"a": 1008}
    assert streams.due_ms() is None


def test_a_session_that_is_gone_hears_nothing(streams: UserStreams, shell: Shell) -> None:
    """Its end is recorded, and nobody is left to make events for."""
    key = streams.create("futures", NOW_MS)
    streams.opened("a", f"/ws/{key}", "", NOW_MS)
    streams.closed("a")
    streams.closed("a")
    streams.said("a", "{}", NOW_MS)
    streams.publish("futures", EVENT)
    assert shell.sent == {}
    assert not streams.hears("futures")
    assert shell.records[-1] == {"change": "closed", "market": "futures"}
