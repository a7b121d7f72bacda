"""The store against a real server: what it promises, at the moments at which it is hard to keep."""

import asyncio
import errno
import json

import pytest

from reference_impl._policy import document as documents
from reference_impl._policy import snapshot
from reference_impl._policy.document import Document, Field
from reference_impl.policy_store import (
    PolicyClosedError,
    PolicyConflictError,
    PolicyInvalidError,
    PolicyStorageError,
    PolicyUnconfirmedError,
    PolicyUnreachableError,
)

pytestmark = pytest.mark.real


async def test_an_update_is_seen_by_every_store_and_after_a_restart(server, make_store, eventually) -> None:
    """With its version, the event `policy.updated`, and figures added to exactly once."""
    writer, reader = make_store(server.url, "writer"), make_store(server.url, "reader")
    await writer.start()
    await reader.start()
    heard = []
    reader.on_update(lambda view: heard.append(view.version))
    view = await writer.update({"profile": "AGGRESSIVE", "leverage": 20}, adds={"cap:BTCUSDT": 5_000})
    assert (view.version, view.limits.leverage, view.limits.risk_bps) == (1, 20, 300)
    await eventually(lambda: reader.get().version == 1)
    assert (reader.get().policy, heard) == (view.policy, [1])
    await reader.close()
    server.kill()
    again = make_store(server.url, "reader")
    await again.start()
    found = again.get()
    assert (found.version, found.policy, found.source, found.stale) == (1, view.policy, "snapshot", False)


async def test_nothing_known_is_defensive(server, make_store) -> None:
    """Redis down or empty, no snapshot."""
    server.kill()
    store = make_store(server.url)
    await store.start()
    view = store.get()
    assert (view.policy.profile, view.limits.leverage, view.version) == ("DEFENSIVE", 10, 0)
    assert (view.stale, view.defensive, view.age, view.source) == (True, True, None, "none")


async def test_concurrent_writers_lose_nothing(server, make_store, eventually) -> None:
    """Forty relative changes and twenty fields by two writers at once are all in, each once."""
    stores = [make_store(server.url, name) for name in ("one", "two")]
    for store in stores:
        await store.start()
    await asyncio.gather(
        *[
            store.update({f"cap:{store.name}-{number}": number}, adds={"cap:sum": 1})
            for number in range(20)
            for store in stores
        ]
    )
    for store in stores:
        await eventually(lambda store=store: store.get().version == 40)
        caps = store.get().policy.caps
        assert (caps["sum"], len(caps)) == (40, 41)


async def test_without_redis_an_update_fails_in_time_and_changes_nothing(server, make_store) -> None:
    """Killed or frozen; reads go on meanwhile."""
    store = make_store(server.url, update_timeout=0.5, timeout=0.2)
    await store.start()
    before = await store.update({"profile": "NORMAL"})
    server.freeze()
    async with asyncio.timeout(3):
        with pytest.raises(PolicyUnreachableError) as failed:
            await store.update({"profile": "AGGRESSIVE"})
    assert failed.value.unchanged
    server.thaw()
    server.kill()
    with pytest.raises(PolicyUnreachableError):
        await store.update({"profile": "AGGRESSIVE"})
    assert store.get().policy == before.policy


async def test_a_redis_that_comes_back_empty_is_repaired(server, make_store, eventually) -> None:
    """By whichever store knows; the version stays, and nobody sees it go backwards."""
    writer, reader = make_store(server.url, "writer"), make_store(server.url, "reader")
    await writer.start()
    await reader.start()
    for number in range(3):
        view = await writer.update({"cap:n": number, "profile": "NORMAL"})
    await eventually(lambda: reader.get().version == 3)
    await writer.close()
    server.kill()
    server.start()
    await eventually(lambda: server.client.get("policy") is not None)
    await eventually(lambda: reader.stats().unreachable == 0 or not reader.get().stale)
    assert documents.decode(server.client.get("policy")).policy() == view.policy
    assert reader.get().version == 3


async def test_what_was_lost_and_what_came_after_are_merged(server, make_store, eventually) -> None:
    """Redis lost an acked update, another writer wrote to it before it was repaired: both are in."""
    one, two = make_store(server.url, "one"), make_store(server.url, "two")
    await one.start()
    await two.start()
    await one.update({"cap:base": 1})
    await eventually(lambda: two.get().version == 1)
    saved = server.client.get("policy")
    await two.close()
    await one.update({"cap:lost": 1, "cap:both": 1}, adds={"cap:sum": 3})
    await one.close()
    server.client.set("policy", saved)
    later = make_store(server.url, "two")
    await later.start()
    await later.update({"cap:later": 1, "cap:both": 2}, adds={"cap:sum": 4})
    again = make_store(server.url, "one")
    await again.start()
    view = await again.refresh()
    assert view.policy.caps == {"base": 1, "lost": 1, "both": 2, "sum": 7, "later": 1}
    assert view.version == 3
    await eventually(lambda: later.get().policy == view.policy)


@pytest.mark.parametrize(
    "garbage",
    [b"", b"{", b"\xff\xfe", b"[]", b'{"schema": 1}', b"9" * 5000, b'{"schema":1,"version":-4,"fields":{}}'],
    ids=["empty", "torn", "binary", "list", "no version", "number", "negative"],
)
async def test_garbage_in_redis_replaces_nothing(server, make_store, eventually, garbage) -> None:
    """It is refused, counted, and replaced by what is known."""
    store = make_store(server.url)
    await store.start()
    view = await store.update({"profile": "NORMAL"})
    server.client.set("policy", garbage)
    await eventually(lambda: store.stats().refused_documents > 0 and store.stats().repairs > 0)
    assert (store.get().policy, store.get().version) == (view.policy, view.version)
    assert documents.decode(server.client.get("policy")).version == view.version


async def test_a_key_of_the_wrong_type_is_refused_and_replaced(server, make_store) -> None:
    """A list under the key is no policy; an update goes over it."""
    server.client.lpush("policy", "x")
    store = make_store(server.url)
    await store.start()
    assert store.get().defensive
    assert (await store.update({"profile": "NORMAL"})).version == 1
    assert store.stats().refused_documents > 0


async def test_an_absurd_policy_is_refused(server, make_store) -> None:
    """Well-formed, of a higher version, and with a leverage of 500."""
    store = make_store(server.url)
    await store.start()
    view = await store.update({"profile": "NORMAL"})
    absurd = Document(version=99, fields={"leverage": Field(50, "x", 1)})
    found = json.loads(documents.encode(absurd))
    found["fields"]["leverage"][0] = 500
    server.client.set("policy", json.dumps(found))
    await store.refresh()
    assert (store.get().version, store.get().limits) == (view.version, view.limits)


async def test_a_document_of_a_later_software_is_left_alone(server, make_store) -> None:
    """Neither read nor overwritten: an update fails, and changes nothing."""
    store = make_store(server.url, update_timeout=0.3)
    await store.start()
    await store.update({"profile": "NORMAL"})
    newer = json.dumps({"schema": 2, "anything": []})
    server.client.set("policy", newer)
    with pytest.raises(PolicyUnreachableError, match="newer"):
        await store.update({"profile": "AGGRESSIVE"})
    assert server.client.get("policy").decode() == newer
    assert store.get().policy.profile == "NORMAL"


async def test_a_version_that_is_not_the_expected_one_is_a_conflict(server, make_store) -> None:
    """And nothing is changed; 0 stands for a policy that is not there yet."""
    store = make_store(server.url)
    await store.start()
    await store.update({"profile": "NORMAL"}, expected_version=0)
    with pytest.raises(PolicyConflictError) as refused:
        await store.update({"profile": "AGGRESSIVE"}, expected_version=0)
    assert (refused.value.version, store.get().policy.profile) == (1, "NORMAL")
    assert (await store.update({"profile": "AGGRESSIVE"}, expected_version=1)).version == 2


@pytest.mark.parametrize(
    ("sets", "adds"),
    [
        ({}, {}),
        ({"profile": "YOLO"}, {}),
        ({"profile": None}, {}),
        ({"leverage": 51}, {}),
        ({"leverage": True}, {}),
        ({"risk_bps": 1.5}, {}),
        ({"cap:": 1}, {}),
        ({"cap:x": -1}, {}),
        ({"nothing": 1}, {}),
        ({}, {"profile": 1}),
        ({}, {"cap:x": -1}),
        ({}, {"leverage": 10**6}),
        ({"cap:x": 1}, {"cap:x": 1}),
        ({f"cap:{number}": 1 for number in range(101)}, {}),
    ],
)
async def test_what_makes_no_sense_is_refused(server, make_store, sets, adds) -> None:
    """Before anything is sent, or with nothing changed."""
    store = make_store(server.url)
    await store.start()
    with pytest.raises(PolicyInvalidError):
        await store.update(sets, adds=adds)
    assert server.client.get("policy") is None


async def test_a_full_disk_acks_nothing_and_follows_all_the_same(server, make_store, monkeypatch, eventually) -> None:
    """No number for an update, so nothing is sent; a newer policy of another store is let through, and counted."""
    store = make_store(server.url)
    await store.start()

    def refuse(path, content):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(snapshot, "save", refuse)
        with pytest.raises(PolicyStorageError):
            await store.update({"profile": "NORMAL"})
        assert server.client.get("policy") is None
        newer = Document(version=9, fields={"profile": Field("NORMAL", "other-1", 1)}, applied={"other-1": 1})
        server.client.set("policy", documents.encode(newer))
        await eventually(lambda: store.get().version == 9)
        assert store.stats().snapshot_failures > 0
    await store.update({"profile": "AGGRESSIVE"})
    with monkeypatch.context() as patch:
        patch.setattr(snapshot, "save", refuse)
        with pytest.raises(PolicyUnconfirmedError) as unsaved:
            await store.update({"leverage": 5})
        assert not unsaved.value.unchanged
        assert store.get().limits.leverage == 5
    assert store.get().version == 11


async def test_a_damaged_snapshot_is_said_set_aside_and_not_used(server, make_store, tmp_path) -> None:
    """Whatever of it is left; the store begins as one that knows nothing, under a new name as a writer."""
    first = make_store(server.url)
    await first.start()
    await first.update({"profile": "AGGRESSIVE"})
    await first.close()
    server.kill()
    path = tmp_path / "store.policy.json"
    path.write_bytes(path.read_bytes()[:-20])
    again = make_store(server.url)
    await again.start()
    assert (again.get().version, again.get().policy.profile) == (0, "DEFENSIVE")
    assert "snapshot" in again.stats().snapshot_problem
    assert path.with_name("store.policy.json.damaged").exists()


async def test_many_who_ask_share_one_answer(server, make_store) -> None:
    """By the server's own count of commands."""
    store = make_store(server.url, poll=1e6)
    await store.start()
    await store.update({"profile": "NORMAL"})
    before = server.client.info("commandstats").get("cmdstat_get", {}).get("calls", 0)
    await asyncio.gather(*[store.refresh() for _ in range(100)])
    assert server.client.info("commandstats")["cmdstat_get"]["calls"] - before <= 2


async def test_a_lost_subscription_is_made_up_for_and_made_anew(server, make_store, eventually) -> None:
    """Thrown out by the server, updates still arrive, and are announced again afterwards."""
    reader, writer = make_store(server.url, "reader"), make_store(server.url, "writer")
    await reader.start()
    await writer.start()
    await eventually(lambda: server.client.pubsub_numsub("policy.updated")[0][1] == 2)
    server.client.execute_command("CLIENT", "KILL", "TYPE", "pubsub")
    await writer.update({"profile": "NORMAL"})
    await eventually(lambda: reader.get().version == 1)
    await eventually(lambda: server.client.pubsub_numsub("policy.updated")[0][1] == 2)


async def test_a_callback_that_fails_stops_nothing(server, make_store, eventually) -> None:
    """The others are told, and the store goes on."""
    store = make_store(server.url)
    await store.start()
    told = []
    store.on_update(lambda _view: 1 // 0)
    store.on_update(lambda view: told.append(view.version))
    await store.update({"profile": "NORMAL"})
    await store.update({"profile": "AGGRESSIVE"})
    assert told == [1, 2]


async def test_closed_is_closed(server, make_store) -> None:
    """Updates and refreshes raise, reads still answer; starting twice is refused; closing twice is once."""
    store = make_store(server.url)
    with pytest.raises(PolicyClosedError):
        await store.update({"profile": "NORMAL"})
    await store.start()
    with pytest.raises(PolicyClosedError):
        await store.start()
    await store.update({"profile": "NORMAL"})
    await store.close()
    await store.close()
    for call in (store.refresh(), store.update({"profile": "AGGRESSIVE"})):
        with pytest.raises(PolicyClosedError):
            await call
    assert store.get().policy.profile == "NORMAL"


@pytest.mark.parametrize("options", [{"poll": 0}, {"max_age": 10, "hard_limit": 5}, {"timeout": -1}])
def test_limits_that_make_no_sense_are_refused(make_store, options) -> None:
    """When the store is made."""
    with pytest.raises(ValueError, match=r"duration|hard limit"):
        make_store("redis://127.0.0.1:1", **options)
