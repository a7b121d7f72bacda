"""Requests through the adapter: deadlines, retries of reads, timestamps, and what must never be seen of the secret."""

import asyncio
import logging
import time
from decimal import Decimal

import httpx
import pytest

from reference_impl.binance_adapter import BinanceError, RejectedError, make

ACCOUNT = "/fapi/v2/account"
"""Answered by the mocked exchange with the parameters of the request."""


async def test_a_read_is_answered(market, adapter):
    """Unsigned ones go without a timestamp, signed ones with a window."""
    assert await adapter.get("/fapi/v1/klines", {"limit": 5}) == {"path": "/fapi/v1/klines", "limit": "5"}
    answer = await adapter.get(ACCOUNT, {}, signed=True)
    assert abs(int(answer["timestamp"]) - market.now_ms()) < 1_000


@pytest.mark.parametrize("status", [500, 502, 503])
async def test_a_read_is_repeated(market, adapter, answers, status):
    """5xx, resets and refused connections pass."""
    market.query_faults = [
        answers.refuse(status, None),
        answers.lose(httpx.ReadError, executed=False),
        answers.lose(httpx.ConnectError, executed=False),
    ]
    assert await adapter.get(ACCOUNT, {}, signed=True)


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ((503, None), "unavailable"),
        ((400, -1021), "unavailable"),
        (httpx.ReadError, "unreachable"),
        (httpx.ConnectError, "unreachable"),
    ],
)
async def test_a_read_ends_by_its_deadline_with_a_reason(market, adapter, answers, fault, reason):
    """Whatever goes on for longer."""
    await adapter.get(ACCOUNT, {}, signed=True)
    bad = answers.refuse(*fault) if isinstance(fault, tuple) else answers.lose(fault, executed=False)
    market.query_faults = [bad] * 500
    began = time.monotonic()
    with pytest.raises(BinanceError) as caught:
        await adapter.get(ACCOUNT, {}, signed=True, deadline_s=0.6)
    assert caught.value.reason == reason
    assert time.monotonic() - began < 1.0


@pytest.mark.parametrize(("status", "code", "reason"), [(400, -1121, "rejected"), (403, None, "blocked")])
async def test_a_definite_no_is_not_repeated(market, adapter, answers, status, code, reason):
    """The caller is told at once, with the exchange's code."""
    market.query_faults = [answers.refuse(status, code)]
    with pytest.raises(BinanceError) as caught:
        await adapter.get(ACCOUNT, {}, signed=True)
    assert (caught.value.reason, caught.value.code, market.query_faults) == (reason, code, [])


async def test_a_refused_timestamp_has_the_clock_read_again(market, adapter):
    """The exchange's clock was stepped: the next request bears the new time."""
    await adapter.get(ACCOUNT, {}, signed=True)
    market.offset_ms += 60_000
    report = await adapter.execute_order("BTCUSDT", "BUY", Decimal(1), decision_price=Decimal(100))
    assert (report.status, report.attempts, len(market.sent)) == ("filled", 2, 1)
    assert market.requests.count(("GET", "/fapi/v1/time")) == 2


async def test_the_time_is_refused_to_another_during_the_wait(market, adapter, monkeypatch):
    """Whose permit comes after the clock was given up gives it back, and goes once the time was read again."""
    await adapter.get(ACCOUNT, {}, signed=True)
    clock, acquire = adapter._channel.clock, adapter._limiter.acquire
    refused = [clock.epoch]

    async def waits(*args, **options):
        permit = await acquire(*args, **options)
        while refused:
            clock.doubt(refused.pop())
        return permit

    monkeypatch.setattr(adapter._limiter, "acquire", waits)
    market.offset_ms += 60_000
    answer = await adapter.get(ACCOUNT, {}, signed=True, deadline_s=2.0)
    assert abs(int(answer["timestamp"]) - market.now_ms()) < 1_000
    assert adapter._limiter.stats().in_flight == 0


async def test_the_time_is_refused_to_another_while_an_order_is_written_down(market, adapter, monkeypatch):
    """The order goes all the same: it is known how to stamp it, if not how long it may live."""
    clock, append = adapter._channel.clock, adapter._journal.append

    async def refused_meanwhile(records):
        await append(records)
        clock.doubt(clock.epoch)

    monkeypatch.setattr(adapter._journal, "append", refused_meanwhile)
    report = await adapter.execute_order("BTCUSDT", "BUY", Decimal(1), decision_price=Decimal(100), deadline_s=4.0)
    assert (report.status, market.filled) == ("filled", 1)


async def test_the_wall_clock_does_not_matter(market, adapter, monkeypatch):
    """A host whose clock jumps by an hour signs as before."""
    await adapter.get(ACCOUNT, {}, signed=True)
    wall = time.time
    monkeypatch.setattr(time, "time", lambda: wall() + 3_600)
    report = await adapter.execute_order("BTCUSDT", "BUY", Decimal(1), decision_price=Decimal(100))
    assert (report.status, report.attempts) == ("filled", 1)


async def test_the_time_and_the_rules_are_asked_for_once(market, adapter):
    """However many callers begin at the same time."""
    await asyncio.gather(*(adapter.get(ACCOUNT, {}, signed=True) for _ in range(20)))
    assert market.requests.count(("GET", "/fapi/v1/time")) == 1
    assert market.requests.count(("GET", "/fapi/v1/exchangeInfo")) == 1


async def test_it_starts_while_the_exchange_is_away(make_adapter):
    """And says so by a reason, in time."""
    adapter = make_adapter()
    adapter._channel._base = "http://127.0.0.1:1"
    await adapter.start()
    with pytest.raises(BinanceError) as caught:
        await adapter.get(ACCOUNT, {}, signed=True, deadline_s=0.5)
    assert caught.value.reason == "unreachable"
    assert await adapter.reconcile(deadline_s=0.1) == {}


async def test_a_server_that_says_nothing_is_left(make_adapter):
    """A call to it ends by its deadline."""
    connections = []
    server = await asyncio.start_server(lambda reader, writer: connections.append(writer), "127.0.0.1", 0)
    adapter = make_adapter()
    adapter._channel._base = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    await adapter.start()
    began = time.monotonic()
    with pytest.raises(BinanceError) as caught:
        await adapter.get(ACCOUNT, {}, deadline_s=0.5)
    assert time.monotonic() - began < 1.0
    assert caught.value.reason in ("unreachable", "deadline")
    await adapter.close()
    for writer in connections:
        writer.close()
    server.close()


async def test_only_one_is_sent_for_callers_of_one_intent(market, adapter):
    """They share the execution and the report."""
    buys = [
        adapter.execute_order("BTCUSDT", "BUY", Decimal(1), intent="i", decision_price=Decimal(100)) for _ in range(5)
    ]
    reports = await asyncio.gather(*buys)
    assert (len(market.sent), {report.status for report in reports}) == (1, {"filled"})


async def test_a_cancelled_caller_does_not_lose_the_order(market, adapter, eventually):
    """The execution goes on and is known to who asks again."""
    task = asyncio.create_task(
        adapter.execute_order("BTCUSDT", "BUY", Decimal(1), intent="i", decision_price=Decimal(100))
    )
    await eventually(lambda: bool(market.sent))
    task.cancel()
    await asyncio.wait([task])
    report = await adapter.execute_order("BTCUSDT", "BUY", Decimal(1), intent="i", decision_price=Decimal(100))
    assert (report.status, len(market.sent)) == ("filled", 1)


async def test_nothing_is_sent_that_is_not_in_the_journal(market, adapter, monkeypatch):
    """A full disk: the order is given up, and nothing is unknown."""
    await adapter.get(ACCOUNT, {})

    async def refuse(records):
        raise BinanceError("journal", "disk full")

    monkeypatch.setattr(adapter._journal, "append", refuse)
    report = await adapter.execute_order("BTCUSDT", "BUY", Decimal(1), decision_price=Decimal(100))
    assert (report.status, report.reason, market.sent) == ("abandoned", "journal", [])


async def test_other_markets_and_symbols_are_refused(adapter):
    """Their limits are not kept here, and there is nothing to ask."""
    with pytest.raises(RejectedError, match="futures"):
        await adapter.get("/api/v3/account", {})
    with pytest.raises(RejectedError, match="no symbol"):
        await adapter.execute_order("NOPE", "BUY", Decimal(1))


async def test_a_closed_adapter_says_so(market, adapter):
    """Before it was started, and after; closing twice is no error."""
    await adapter.close()
    await adapter.close()
    with pytest.raises(BinanceError) as caught:
        await adapter.get(ACCOUNT, {})
    assert caught.value.reason == "closed"


async def test_no_secret_is_ever_seen(market, adapter, answers, caplog):
    """Not in a log line of any level, an error and its causes, or a repr; nor a signature."""
    caplog.set_level(logging.DEBUG)
    market.faults = [answers.lose(httpx.ReadError, executed=True), answers.refuse(400, -1022)]
    await adapter.execute_order("BTCUSDT", "BUY", Decimal(1), decision_price=Decimal(100))
    market.query_faults = [answers.lose(httpx.ReadError, executed=False)] * 100
    errors = []
    for deadline in (0.2, 0.3):
        with pytest.raises(BinanceError) as caught:
            await adapter.get(ACCOUNT, {}, signed=True, deadline_s=deadline)
        error = caught.value
        while error is not None:
            errors.append(f"{error!r} {error}")
            error = error.__cause__ or error.__context__
    parts = [adapter, adapter._channel, adapter._channel._signer, adapter._executions, make]
    seen = "\n".join([*errors, *map(repr, parts), caplog.text])
    assert caplog.records
    assert "secret-of-the-account" not in seen
    assert "key-of-the-account" not in seen
    assert "signature=" not in seen


async def test_a_short_deadline_does_not_shorten_others(make_adapter, market, answers):
    """Time and rules are asked for once for all, by the first one's deadline; who has more time asks again."""
    adapter = make_adapter()
    await adapter.start()
    market.any_faults = [answers.lose(httpx.ConnectError, executed=False)] * 4
    short = asyncio.create_task(adapter.get(ACCOUNT, {}, signed=True, deadline_s=0.01))
    await asyncio.sleep(0)
    assert await adapter.get(ACCOUNT, {}, signed=True, deadline_s=10.0)
    with pytest.raises(BinanceError):
        await short
