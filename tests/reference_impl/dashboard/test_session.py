"""Connections in virtual time: who is let in, who is dropped and why, and who is not disturbed by it."""

import asyncio
import contextlib
from typing import Any

import httpx
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus

WRONG = "a-token-that-is-not-the-one"


def test_what_is_published_arrives(simulate: Any, lab: Any) -> None:
    """State and critical events, in a frame that adds up; a ping is answered."""

    async def program() -> Any:
        async with lab.serving() as server, lab.client() as client:
            welcome, snapshot = await lab.hear(client), await lab.hear(client)
            for number in range(3):
                await server.publish("x.y", "k", number)
            await server.publish("ess.state", "", {"state": "TRIPPED"})
            batch = await lab.hear(client, "batch")
            await lab.say(client, type="ping", id="p")
            return welcome, snapshot, batch, await lab.hear(client, "pong")

    welcome, snapshot, batch, pong = simulate(program)
    assert (welcome["seq"], welcome["base"], welcome["resumed"]) == (0, 0, False)
    assert (snapshot["state"], snapshot["more"], snapshot["critical_from"]) == ([], False, 0)
    assert [(one["seq"], one["value"]) for one in batch["events"]] == [(4, {"state": "TRIPPED"}), (3, 2)]
    assert (batch["after"], batch["through"], batch["conflated"]) == (0, 4, 2)
    assert (pong["id"], pong["seq"]) == ("p", 4)


@pytest.mark.parametrize(
    ("first", "code"),
    [
        ({"type": "hello"}, 4401),
        ({"type": "hello", "token": WRONG}, 4401),
        ({"type": "hello", "token": "\N{SNOWMAN}" * 30}, 4401),
        ({"type": "ping", "id": 1}, 4401),
        ({"type": "hello", "last_seq": -1}, 4400),
        ({"type": "else"}, 4400),
        ({}, 4400),
    ],
)
def test_without_a_good_hello_nothing_is_told(simulate: Any, lab: Any, first: dict[str, Any], code: int) -> None:
    """Not a frame; the reason says nothing of what was wrong with a token."""

    async def program() -> Any:
        async with lab.serving() as server, lab.dial() as client:
            await server.publish("x.y", "k", 1)
            await lab.say(client, **first)
            return await lab.end_of(client)

    closed, reason, frames = simulate(program)
    assert (closed, frames) == (code, [])
    assert reason
    assert WRONG not in reason


def test_a_hello_has_a_time_limit(simulate: Any, lab: Any) -> None:
    """Who says nothing does not keep its place."""

    async def program() -> Any:
        async with lab.serving(hello_timeout=1.5) as server, lab.dial() as client:
            began = asyncio.get_running_loop().time()
            end = await lab.end_of(client)
            return end, asyncio.get_running_loop().time() - began, server.figures()["counters"]

    (code, reason, frames), took, counters = simulate(program)
    assert (code, reason, frames) == (4401, "no hello in time", [])
    assert 1.5 <= took < 1.6
    assert counters["closed_4401"] == 1


@pytest.mark.parametrize(
    ("frame", "code"),
    [
        ("x" * 5_000, 1009),
        ("x" * 50, 4400),
        ("[" * 4_000, 4400),
        (b"\x00\x01", 4400),
        ('{"type":"hello","token":"a-token-that-is-long-enough"}', 4400),
    ],
)
def test_malformed_frames_end_the_connection(simulate: Any, lab: Any, frame: Any, code: int) -> None:
    """Each kind with its own code; others go on."""

    async def program() -> Any:
        async with lab.serving() as server, lab.client() as client, lab.client() as other:
            await client.send(frame)
            end = await lab.end_of(client)
            await server.publish("x.y", "k", 1)
            return end, await lab.hear(other, "batch")

    (closed, _, _), batch = simulate(program)
    assert closed == code
    assert batch["through"] == 1


def test_a_flood_ends_the_connection(simulate: Any, lab: Any) -> None:
    """At the eleventh message of a second; one each eighth of a second is no flood."""

    async def program() -> Any:
        async with lab.serving() as server, lab.client() as client, lab.client() as other:
            for number in range(12):
                await lab.say(other, type="ping", id=number)
                await asyncio.sleep(0.13)
            with contextlib.suppress(ConnectionClosed):
                for number in range(12):
                    await lab.say(client, type="ping", id=number)
            return await lab.end_of(client), len(server.figures()["clients"])

    (code, _, frames), left = simulate(program)
    assert code == 4429
    assert sum(frame["type"] == "pong" for frame in frames) <= 10
    assert left == 1


def test_silence_ends_the_connection(simulate: Any, lab: Any) -> None:
    """Whoever does not ping is not there, though the connection is; whoever does stays."""

    async def program() -> Any:
        serving = lab.serving(silence_timeout=4.0, heartbeat=1.0)
        async with serving as server, lab.client() as silent, lab.client() as other:

            async def ping() -> None:
                while True:
                    await lab.say(other, type="ping", id=1)
                    await asyncio.sleep(3)

            pinging = asyncio.create_task(ping())
            end = await lab.end_of(silent)
            await asyncio.sleep(5)
            pinging.cancel()
            return end, len(server.figures()["clients"])

    (code, reason, frames), left = simulate(program)
    assert code == 4408
    assert "silent" in reason
    assert [frame["type"] for frame in frames] == ["welcome", "snapshot", "heartbeat", "heartbeat", "heartbeat"]
    assert left == 1


def test_who_leaves_while_it_is_dropped_is_no_error(simulate: Any, lab: Any, caplog: pytest.LogCaptureFixture) -> None:
    """Its connection is lost while the closing frame waits for room."""

    async def program() -> Any:
        serving = lab.serving(stall_timeout=1.0, silence_timeout=60.0)
        async with serving as server, lab.client() as stalled:
            await lab.hear(stalled, "snapshot")
            stalled.transport.pause_reading()
            (session,) = server._hub.sessions.values()
            number = 0
            while session.ended_as is None:
                number += 1
                await server.publish("x.y", str(number % 10), "x" * 12_000)
                await asyncio.sleep(0.02)
            stalled.transport.abort()
            await asyncio.sleep(1)
            return server.figures()["counters"]

    counters = simulate(program)
    assert counters["closed_4408"] == 1
    assert [record.message for record in caplog.records if "Exception" in record.message] == []


def test_who_reads_nothing_is_dropped_and_delays_nobody(simulate: Any, lab: Any) -> None:
    """Its buffers fill up, it is cut off after `stall_timeout`; the other's events are never later than a batch."""

    async def program() -> Any:
        loop = asyncio.get_running_loop()
        late = []
        serving = lab.serving(stall_timeout=2.0, silence_timeout=60.0)
        async with serving as server, lab.client() as stalled, lab.client() as other:
            stalled.transport.pause_reading()

            async def read() -> None:
                while True:
                    events = (await lab.hear(other, "batch"))["events"]
                    late.extend([loop.time() - event["value"]["now"] for event in events])

            reading = asyncio.create_task(read())
            queued = 0
            for number in range(1_500):
                value = {"now": loop.time(), "padding": "x" * 4_000}
                await server.publish("x.y", str(number % 10), value)
                await asyncio.sleep(0.02)
                queued = max(queued, *(one["queued_bytes"] for one in server.figures()["clients"]))
                if len(server.figures()["clients"]) == 1:
                    break
            reading.cancel()
            return late, queued, server.figures()

    late, queued, figures = simulate(program)
    assert len(figures["clients"]) == 1
    assert figures["counters"]["closed_4408"] == 1
    assert 65_536 < queued <= figures["limits"]["queued_bytes_max"]
    assert len(late) > 100
    assert max(late) < 0.25


def test_places_are_limited(simulate: Any, lab: Any) -> None:
    """Those that have not said hello count, and are few; a place that is free again is given away."""

    async def program() -> Any:
        ends = []
        async with lab.serving(max_clients=2, hello_max=1) as server:
            async with lab.dial(), lab.dial() as second:
                ends.append(await lab.end_of(second))
            await asyncio.sleep(1)
            async with lab.client() as first, lab.client() as other:
                await lab.hear(first)
                await lab.hear(other)
                async with lab.dial() as third:
                    ends.append(await lab.end_of(third))
            await asyncio.sleep(1)
            async with lab.client() as again:
                welcome = await lab.hear(again)
            return ends, welcome, server.figures()["counters"]

    ends, welcome, counters = simulate(program)
    assert [end[0] for end in ends] == [1013, 1013]
    assert welcome["type"] == "welcome"
    assert counters["refused"] == 2


def test_figures_and_headers_need_the_token(simulate: Any, lab: Any) -> None:
    """401 without a word for figures, 403 for a connection that shows a wrong one; a right one replaces the hello's."""

    async def program() -> Any:
        async with lab.serving():
            right, wrong = ({"Authorization": f"Bearer {token}"} for token in (lab.token, WRONG))
            async with httpx.AsyncClient(base_url=lab.url) as web:
                answers = [await web.get("/api/feed", headers=headers) for headers in (right, wrong, {})]
                page = await web.get("/")
            with pytest.raises(InvalidStatus) as refused:
                await lab.dial(additional_headers=wrong).__aenter__()
            async with lab.dial(additional_headers=right) as client:
                await lab.say(client, type="hello")
                return answers, page, refused.value.response, await lab.hear(client)

    answers, page, refused, welcome = simulate(program)
    assert [answer.status_code for answer in answers] == [200, 401, 401]
    assert answers[0].json()["clients"] == []
    assert answers[1].json() == {"error": "unauthorized"}
    assert "script-src 'sha256-" in page.headers["Content-Security-Policy"]
    assert (refused.status_code, refused.body) == (403, b"")
    assert welcome["type"] == "welcome"


def test_a_restart_is_told_and_resumed(simulate: Any, lab: Any) -> None:
    """1012; then the epoch and the numbers go on, and the client gets what it lacks and nothing twice."""

    async def program() -> Any:
        async with lab.serving() as server, lab.client() as client:
            await lab.hear(client, "snapshot")
            await server.publish("ess.state", "", 1)
            await server.publish("x.y", "k", 2)
            await lab.hear(client, "batch")
            ending = asyncio.create_task(lab.end_of(client))
            await server.publish("x.y", "k", 3)
            await server.close()
            end = await ending
        async with lab.serving() as server:
            fourth = await server.publish("order.update", "s", 4)
            epoch = server.figures()["epoch"]
            async with lab.client(epoch=epoch, last_seq=2, critical_seq=1) as client:
                return end, fourth, await lab.hear(client), await lab.hear(client)

    (code, reason, _), fourth, welcome, batch = simulate(program)
    assert (code, reason) == (1012, "the server restarts")
    assert (fourth, welcome["resumed"], welcome["base"]) == (4, True, 2)
    assert [(one["seq"], one["value"]) for one in batch["events"]] == [(4, 4), (3, 3)]
    assert (batch["after"], batch["through"], batch["conflated"]) == (2, 4, 0)


def test_heartbeats_come_when_there_is_nothing_else(simulate: Any, lab: Any) -> None:
    """And say through which number the client has everything."""

    async def program() -> Any:
        loop = asyncio.get_running_loop()
        async with lab.serving() as server, lab.client() as client:
            await lab.hear(client, "snapshot")
            await server.publish("x.y", "k", 1)
            await lab.hear(client, "batch")
            began = loop.time()
            return await lab.hear(client), loop.time() - began

    beat, took = simulate(program)
    assert beat == {"type": "heartbeat", "through": 1, "seq": 1}
    assert took == pytest.approx(2.0, abs=0.05)
