"""The HTTP API over ASGI: what it does for operators, and every refusal: its body, its record, and nothing changed."""

import asyncio
import json

import httpx
import pytest

TOKEN = "alice-token-0123456789"


class Api:
    """Calls one emergency stop; a good call unless told otherwise."""

    def __init__(self, stop):
        self.stop = stop
        self._number = 0

    async def call(self, path, body=None, *, method=None, headers=None, **options):
        self._number += 1
        given = {
            "Authorization": f"Bearer {TOKEN}",
            "Content-Type": "application/json",
            "X-Request-Id": f"request-{self._number:06d}",
        } | (headers or {})
        kept = [(name, value) for name, value in given.items() if value is not None]
        if body is not None:
            options.setdefault("content", json.dumps(body))
        transport = httpx.ASGITransport(app=self.stop.app(), client=("10.0.0.9", 555))
        async with httpx.AsyncClient(transport=transport, base_url="http://ess") as client:
            verb = method or ("GET" if path.endswith("status") else "POST")
            return await client.request(verb, path, headers=kept, **options)

    async def records(self):
        """Who was refused, from where, with what code."""
        return [(one.actor, one.source, one.code) for one in await self.stop.incidents() if one.kind == "refused_call"]


TRIGGER, RESET, STATUS = "/api/ess/trigger", "/api/ess/reset", "/api/ess/status"


@pytest.fixture
async def cooling(around):
    """The API of one that is cooling down, and its trip."""
    stop, trip = await around.cooling()
    return Api(stop), trip


async def test_an_operator_trips_and_resets(around, until) -> None:
    """Under the name that the token stands for; the reset names the trip that the trigger answered."""
    stop = await around.armed()
    api = Api(stop)
    triggered = await api.call(TRIGGER, {"reason": "the feed is wrong"})
    assert triggered.status_code == 200
    assert triggered.json() == {"trip": stop.status().trip, "state": "TRIPPED", "durable": True}
    await until(lambda: stop.status().state == "COOLING_DOWN")
    reset = await api.call(
        RESET,
        {"trip": triggered.json()["trip"], "reason": "it is right again"},
        headers={"Authorization": "Bearer bob-token-0123456789ab"},
    )
    assert (reset.status_code, reset.json()["state"]) == (200, "ARMED")
    rows = await stop.audit()
    assert [(row.actor, row.reason) for row in rows if row.actor != "system"][1:] == [
        ("alice", "the feed is wrong"),
        ("bob", "it is right again"),
    ]
    assert await api.records() == []


async def test_status_tells_where_it_stands(cooling) -> None:
    """All figures, as numbers and names."""
    api, trip = cooling
    status = (await api.call(STATUS, headers={"Content-Type": None, "X-Request-Id": None})).json()
    assert (status["state"], status["trip"], status["reason"], status["durable"]) == (
        "COOLING_DOWN",
        trip,
        "drill",
        True,
    )
    assert 0 < status["cooldown_left_s"] <= 60
    assert status["breaches"] == []


@pytest.mark.parametrize(
    ("headers", "status", "code", "who"),
    [
        ({"Authorization": None}, 401, "unauthorized", ""),
        ({"Authorization": "Bearer guessed-0123456789ab"}, 401, "unauthorized", ""),
        ({"Authorization": TOKEN}, 401, "unauthorized", ""),
        ({"Content-Type": "text/plain"}, 415, "not_json", "alice"),
        ({"X-Request-Id": None}, 422, "no_request_id", "alice"),
        ({"X-Request-Id": "short"}, 422, "no_request_id", "alice"),
    ],
)
@pytest.mark.parametrize("path", [TRIGGER, RESET])
async def test_bad_headers_change_nothing(cooling, path, headers, status, code, who) -> None:
    """Neither trip nor arm; refused in the one form, and in the audit with who and from where."""
    api, trip = cooling
    before = api.stop.status().transition
    answer = await api.call(path, {"reason": "let me in"} | ({"trip": trip} if path == RESET else {}), headers=headers)
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)
    assert await api.records() == [(who, "10.0.0.9", code)]
    assert api.stop.status().transition == before


@pytest.mark.parametrize(
    ("path", "content", "field"),
    [
        (TRIGGER, "{", "body"),
        (TRIGGER, "[]", "body"),
        (TRIGGER, "{}", "body.reason"),
        (TRIGGER, '{"reason": ""}', "body.reason"),
        (TRIGGER, '{"reason": "  "}', "body.reason"),
        (TRIGGER, '{"reason": 7}', "body.reason"),
        (TRIGGER, '{"reason": null}', "body.reason"),
        (TRIGGER, json.dumps({"reason": "x" * 501}), "body.reason"),
        (TRIGGER, '{"reason": "x", "operator": "root"}', "body"),
        (RESET, '{"reason": "x"}', "body.trip"),
        (RESET, '{"trip": "x"}', "body.reason"),
        (RESET, '{"reason": "x", "trip": ["x"]}', "body.trip"),
        (RESET, json.dumps({"reason": "x", "trip": "x" * 65}), "body.trip"),
    ],
)
async def test_bad_bodies_change_nothing(cooling, path, content, field) -> None:
    """422 by field, recorded."""
    api, _ = cooling
    before = api.stop.status().transition
    answer = await api.call(path, content=content)
    assert answer.status_code == 422
    assert [one["field"] for one in answer.json()["error"]["fields"]] == [field]
    assert await api.records() == [("alice", "10.0.0.9", "invalid")]
    assert api.stop.status().transition == before


@pytest.mark.parametrize("chunked", [False, True])
async def test_large_bodies_change_nothing(cooling, chunked) -> None:
    """413, declared or not."""
    api, _ = cooling
    before = api.stop.status().transition

    async def chunks():
        for _ in range(100):
            yield b" " * 1_000

    answer = await api.call(TRIGGER, content=chunks() if chunked else " " * 100_000)
    assert (answer.status_code, answer.json()["error"]["code"]) == (413, "too_large")
    assert await api.records() == [("alice", "10.0.0.9", "too_large")]
    assert api.stop.status().transition == before


async def test_a_replay_is_refused_also_by_the_next_process(around, until) -> None:
    """The same trigger again trips nothing, however late it comes."""
    stop = await around.armed()
    first = {"X-Request-Id": "request-of-monday"}
    assert (await Api(stop).call(TRIGGER, {"reason": "drill"}, headers=first)).status_code == 200
    await until(lambda: stop.status().state == "COOLING_DOWN")
    for restarts in (False, True):
        if restarts:
            await stop.close()
            stop = await around.started()
        api, before = Api(stop), stop.status().transition
        answer = await api.call(TRIGGER, {"reason": "drill"}, headers=first)
        assert (answer.status_code, answer.json()["error"]["code"]) == (401, "replayed")
        assert stop.status().transition == before
    assert await api.records() == [("alice", "10.0.0.9", "replayed")] * 2


@pytest.mark.parametrize("why", ["wrong_trip", "breached", "not_tripped"])
async def test_a_reset_that_may_not_be_is_a_conflict(cooling, why) -> None:
    """409 with the reason, by name; nothing changed but the record."""
    api, trip = cooling
    if why == "breached":
        await api.stop.update_metrics(daily_drawdown=0.06, open_loss=0.0)
    if why == "not_tripped":
        await api.stop.manual_reset(trip=trip, operator="bob", reason="faster")
    before = api.stop.status().transition
    answer = await api.call(RESET, {"trip": "another" if why == "wrong_trip" else trip, "reason": "please"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (409, why)
    assert api.stop.status().transition == before
    assert await api.records() == [("alice", "10.0.0.9", why)]


async def test_a_full_disk_refuses_resets_and_not_triggers(around, disk, until) -> None:
    """503 says nothing of the disk to the caller; stopping needs none."""
    stop, trip = await around.cooling()
    api = Api(stop)
    disk.fill()
    answer = await api.call(RESET, {"trip": trip, "reason": "please"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "unavailable")
    assert "disk" not in answer.text
    again = await api.call(TRIGGER, {"reason": "stop"})
    assert (again.status_code, again.json()["durable"]) == (200, True)
    disk.free()
    await until(lambda: stop.status().state == "COOLING_DOWN")
    assert await api.records() == [("alice", "10.0.0.9", "unavailable")]


async def test_nobody_is_an_operator_without_tokens(around) -> None:
    """An API without any lets nobody in."""
    stop = await around.started(factory=_without_tokens)
    answer = await Api(stop).call(TRIGGER, {"reason": "x"})
    assert answer.status_code == 401


async def test_a_flood_is_recorded_in_few_rows(cooling) -> None:
    """A thousand bad calls: a hundred records, and one for the rest when their time is over."""
    api, _ = cooling
    await asyncio.gather(*(api.call(STATUS, headers={"Authorization": "Bearer x"}) for _ in range(300)))
    assert len(await api.records()) == 100


def _without_tokens(**options):
    from reference_impl.ess import make  # noqa: PLC0415 - beside its only use

    return make(**{**options, "tokens": {}})
