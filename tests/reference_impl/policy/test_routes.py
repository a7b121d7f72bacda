"""The HTTP API of the store: what it answers, every refusal, and that none of them changes anything."""

import itertools
import json

import httpx
import pytest

from reference_impl._http.app import guarded
from reference_impl._http.audit import RefusalLog
from reference_impl._http.guard import Rules
from reference_impl._http.nonces import RecentNonces
from reference_impl._http.tokens import Tokens
from reference_impl._policy.routes import router
from reference_impl.policy_store import make

pytestmark = pytest.mark.real

TOKEN = "alice-token-0123456789"
NORMAL = {"profile": "NORMAL", "caps": {"BTCUSDT": 5_000}}


class Api:
    """A store behind the guard, and the records of refusals."""

    def __init__(self, store):
        self.store = store
        self.records = []
        self._nonces = RecentNonces()
        self._numbers = itertools.count()
        rules = Rules(
            tokens=Tokens({"alice": TOKEN}), nonces=self, refusals=RefusalLog(self.keep), body_bytes_max=4_000
        )
        self.app = guarded("policy", [router(store)], rules)

    async def keep(self, refused):
        self.records.append((refused.who, refused.status, refused.code))

    async def use(self, operator, nonce):
        return self._nonces.use(operator, nonce)

    async def call(self, method, body=None, *, content=None, **headers):
        """A call with everything right, but for the headers that are given; None leaves one out."""
        given = {
            "Authorization": f"Bearer {TOKEN}",
            "X-Request-Id": f"request-{next(self._numbers):04}",
            "Content-Type": "application/json",
        } | {name.replace("_", "-"): value for name, value in headers.items()}
        kept = {name: value for name, value in given.items() if value is not None}
        transport = httpx.ASGITransport(app=self.app)
        async with httpx.AsyncClient(transport=transport, base_url="http://policy") as client:
            data = content if content is not None else None if body is None else json.dumps(body)
            return await client.request(method, "/api/policy", headers=kept, content=data)


@pytest.fixture
async def api(server, make_store):
    store = make_store(server.url, update_timeout=0.4, timeout=0.2)
    await store.start()
    return Api(store)


def code(answer):
    """The status and the code of a refusal, which has this form and no other."""
    error = answer.json()["error"]
    assert sorted(error) == ["code", "fields", "message"]
    return answer.status_code, error["code"]


async def test_before_there_is_one_the_policy_is_defensive(api) -> None:
    """Version 0, stale, and its age unknown."""
    answer = await api.call("GET")
    assert answer.status_code == 200
    assert answer.headers["ETag"] == '"0"'
    assert answer.json() == {
        "profile": "DEFENSIVE",
        "limits": {"risk_bps": 100, "drawdown_bps": 300, "leverage": 10},
        "caps": {},
        "version": 0,
        "age_s": None,
        "stale": True,
        "defensive": True,
        "source": "none",
    }


async def test_put_replaces_and_patch_changes(api) -> None:
    """What a PUT does not name is out; a PATCH leaves it, and adds exactly."""
    first = await api.call("PUT", NORMAL)
    assert (first.status_code, first.headers["ETag"], first.json()["caps"]) == (200, '"1"', {"BTCUSDT": 5_000})
    changed = await api.call("PATCH", {"set": {"leverage": 8, "cap:ETHUSDT": 7}, "add": {"cap:BTCUSDT": -500}})
    assert changed.json()["limits"]["leverage"] == 8
    assert changed.json()["caps"] == {"BTCUSDT": 4_500, "ETHUSDT": 7}
    last = await api.call("PUT", {"profile": "AGGRESSIVE", "caps": {"XRPUSDT": 1}})
    assert (last.json()["profile"], last.json()["limits"]["leverage"]) == ("AGGRESSIVE", 50)
    assert last.json()["caps"] == {"XRPUSDT": 1}
    assert (await api.call("GET")).json()["version"] == 3
    assert api.records == []


async def test_a_change_of_another_version_is_refused(api) -> None:
    """412 with the version that is in force, for PUT and PATCH alike; the right one gets through."""
    await api.call("PUT", NORMAL)
    assert code(await api.call("PUT", NORMAL, If_Match='"0"')) == (412, "version")
    assert code(await api.call("PATCH", {"add": {"cap:BTCUSDT": 1}}, If_Match='"7"')) == (412, "version")
    assert (await api.call("GET")).json()["caps"] == {"BTCUSDT": 5_000}
    assert (await api.call("PATCH", {"add": {"cap:BTCUSDT": 1}}, If_Match='"1"')).json()["version"] == 2
    assert api.records == [("alice", 412, "version")] * 2


@pytest.mark.parametrize("tag", ["1", '"x"', "*", 'W/"1"', '"1", "2"', '"-1"', '""', '"00"'])
async def test_a_malformed_if_match_is_refused(api, tag) -> None:
    """It does not fall back to changing whatever is in force."""
    await api.call("PUT", NORMAL)
    answer = await api.call("PATCH", {"add": {"cap:BTCUSDT": 1}}, If_Match=tag)
    assert code(answer) == (422, "invalid")
    assert answer.json()["error"]["fields"] == [{"field": "If-Match", "problem": 'must be "<version>"'}]
    assert api.store.get().version == 1


@pytest.mark.parametrize("authorization", [None, "Bearer wrong-token-0123456789", f"Basic {TOKEN}", f"Bearer {TOKEN}x"])
@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH"])
async def test_without_a_valid_token_nothing_is_said_and_nothing_done(api, method, authorization) -> None:
    """401, recorded without a name."""
    answer = await api.call(method, NORMAL, Authorization=authorization)
    assert code(answer) == (401, "unauthorized")
    assert api.store.get().version == 0
    assert api.records == [(None, 401, "unauthorized")]


async def test_a_replayed_call_is_refused(api) -> None:
    """401, and a relative change is made once."""
    change = {"add": {"cap:BTCUSDT": 5}}
    assert (await api.call("PATCH", change, X_Request_Id="the-same-0001")).status_code == 200
    assert code(await api.call("PATCH", change, X_Request_Id="the-same-0001")) == (401, "replayed")
    assert api.store.get().policy.caps == {"BTCUSDT": 5}
    assert api.records == [("alice", 401, "replayed")]


async def test_a_call_without_an_id_or_too_large_or_no_json_is_refused(api) -> None:
    """422, 413, 415; nothing is changed."""
    assert code(await api.call("PUT", NORMAL, X_Request_Id=None)) == (422, "no_request_id")
    assert code(await api.call("PUT", content=b" " * 4_001)) == (413, "too_large")
    assert code(await api.call("PUT", NORMAL, Content_Type="text/plain")) == (415, "not_json")
    assert api.store.get().version == 0


@pytest.mark.parametrize(
    ("method", "content", "field"),
    [
        ("PUT", "{", "body"),
        ("PUT", "[]", "body"),
        ("PUT", "{}", "body.profile"),
        ("PUT", '{"profile": "YOLO"}', "body.profile"),
        ("PUT", '{"profile": "NORMAL", "other": 1}', "body"),
        ("PUT", '{"profile": "NORMAL", "leverage": 1.5}', "body.leverage"),
        ("PUT", '{"profile": "NORMAL", "leverage": "9"}', "body.leverage"),
        ("PUT", '{"profile": "NORMAL", "leverage": true}', "body.leverage"),
        ("PUT", '{"profile": "NORMAL", "leverage": NaN}', "body"),
        ("PUT", '{"profile": "NORMAL", "leverage": 51}', "leverage"),
        ("PUT", '{"profile": "NORMAL", "risk_bps": 0}', "risk_bps"),
        ("PUT", '{"profile": "NORMAL", "caps": {"a b": 1}}', "caps"),
        ("PUT", '{"profile": "NORMAL", "caps": {"x": -1}}', "caps"),
        ("PATCH", '{"set": {"nothing": 1}}', "set"),
        ("PATCH", '{"set": {"profile": "YOLO"}}', "profile"),
        ("PATCH", '{"set": {"profile": null}}', "profile"),
        ("PATCH", '{"add": {"cap:x": "1"}}', "add"),
        ("PATCH", '{"add": {"cap:x": 1e40}}', "add"),
        ("PATCH", '{"add": {"cap:x": -1}}', None),
        ("PATCH", '{"add": {"profile": 1}}', "add"),
        ("PATCH", '{"set": {"cap:x": [1]}}', "set"),
        ("PATCH", "{}", None),
    ],
)
async def test_what_makes_no_sense_is_refused_with_its_place(api, method, content, field) -> None:
    """422, naming the field where there is one; nothing is changed, and it is recorded."""
    answer = await api.call(method, content=content)
    assert code(answer) == (422, "invalid")
    named = [one["field"] for one in answer.json()["error"]["fields"]]
    assert (not named) if field is None else any(one.startswith(field) for one in named), named
    assert api.store.get().version == 0
    assert api.records == [("alice", 422, "invalid")]


async def test_nothing_of_a_call_is_repeated_in_a_refusal(api) -> None:
    """Neither a value nor the name of a field that the caller made up."""
    secret = "hunter2-secret-value"
    for body in ({"profile": secret}, {"profile": "NORMAL", secret: 1}, {"profile": "NORMAL", "caps": {"x": secret}}):
        assert secret not in (await api.call("PUT", body)).text
    for body in ({"set": {"profile": secret[:20]}}, {"set": {secret: 1}}, {"add": {"cap:x": secret}}):
        assert secret[:20] not in (await api.call("PATCH", body)).text


async def test_without_redis_a_change_fails_and_reading_goes_on(api, server) -> None:
    """503: nothing was changed."""
    await api.call("PUT", NORMAL)
    server.kill()
    assert code(await api.call("PATCH", {"add": {"cap:BTCUSDT": 1}})) == (503, "unreachable")
    read = await api.call("GET")
    assert (read.status_code, read.json()["caps"], read.json()["stale"]) == (200, {"BTCUSDT": 5_000}, False)


async def test_an_unconfirmed_change_says_so(api, monkeypatch) -> None:
    """504: whether it was made is to be read, not guessed."""
    await api.call("PUT", NORMAL)
    written = api.store._exchange._write

    async def unheard(talk, content, document):
        await written(talk, content, document)
        raise ConnectionResetError("the reply is lost")

    monkeypatch.setattr(api.store._exchange, "_write", unheard)
    monkeypatch.setattr(api.store._exchange, "_is_made", lambda _theirs, _update: False)
    assert code(await api.call("PATCH", {"add": {"cap:BTCUSDT": 1}})) == (504, "unconfirmed")


def test_the_store_is_what_make_makes(tmp_path) -> None:
    """The router takes what the factory returns."""
    store = make(redis_url="redis://127.0.0.1:1", directory=tmp_path, name="x")
    assert {route.path for route in router(store).routes} == {"/api/policy"}
