"""Hosts that serve other hosts, one suite for both worlds: how they are reached, die, come back, and are cut off."""

from collections.abc import Awaitable, Callable
from dataclasses import replace

import pytest
import serving_programs as programs
from two_worlds import Stand

from harness.errors import WorldError
from harness.faults import service
from harness.faults.base import Stage
from harness.history.events import FaultBegan, FaultHealed
from harness.history.query import fault_windows
from harness.units import seconds
from harness.world.base import HostSpec, World

SERVER = HostSpec(name="server", program=programs.echo, serves="tcp")
CLIENT = HostSpec(name="client", program=programs.ask)
HTTP_SERVER = HostSpec(name="server", program=programs.serve_http, serves="http")
HTTP_CLIENT = HostSpec(name="client", program=programs.ask_http)


async def start(world: World, *hosts: HostSpec) -> None:
    """Start hosts as the director does."""
    for host in hosts:
        if host.serves:
            await world.offer(host)
    for host in hosts:
        await world.start_host(host)


async def hears(stand: Stand, world: World, said: str) -> None:
    """Return once the client heard that from now on."""
    here = len(stand.events)
    await stand.until(world, lambda: said in [one["said"] for one in stand.events.seen("answer", "client", here)])


async def stop(world: World, *names: str) -> None:
    """Stop hosts that must stop by themselves."""
    for name in names:
        assert await world.stop_host(name, timeout_ns=seconds(10))


def test_a_host_is_reached_by_another(stand: Stand) -> None:
    """The client finds it by its name among the endpoints; the server sees no endpoint of its own."""

    async def director(world: World) -> None:
        await start(world, CLIENT, SERVER)
        await hears(stand, world, "life 1")
        await stop(world, "client", "server")

    stand.run(director)
    assert stand.events.seen("listens", "server")[0]["endpoints"] == []
    assert {"to": "server", "outcome": "connected"} in stand.events.seen("link", "client")


def test_a_dead_host_refuses_and_its_next_life_answers_at_the_same_place(stand: Stand) -> None:
    """Refused while it is down, by the kernel's own word; its next life is found where the first one was."""

    async def director(world: World) -> None:
        await start(world, SERVER, CLIENT)
        await hears(stand, world, "life 1")
        await world.kill_host("server")
        await hears(stand, world, "ConnectionRefusedError")
        await world.start_host(SERVER)
        await hears(stand, world, "life 2")
        await stop(world, "client", "server")

    stand.run(director)
    assert {"to": "server", "outcome": "refused"} in stand.events.seen("link", "client")


def test_a_frozen_host_does_not_answer(stand: Stand) -> None:
    """Its kernel accepts, and that is all; thawed, it answers."""

    async def director(world: World) -> None:
        await start(world, SERVER, CLIENT)
        await hears(stand, world, "life 1")
        await world.freeze_host("server")
        await hears(stand, world, "TimeoutError")
        await world.thaw_host("server")
        await hears(stand, world, "life 1")
        await stop(world, "client", "server")

    stand.run(director)


def test_the_link_between_hosts_is_cut_and_healed(stand: Stand) -> None:
    """Faults of links take a host that serves as they take a dependency."""

    async def director(world: World) -> None:
        await start(world, SERVER, CLIENT)
        await hears(stand, world, "life 1")
        link = world.link("client", "server")
        await link.cut(None)
        await hears(stand, world, "TimeoutError")
        await link.heal()
        await link.refuse()
        await hears(stand, world, "ConnectionRefusedError")
        await link.accept()
        await hears(stand, world, "life 1")
        await stop(world, "client", "server")

    stand.run(director)
    assert {"partition"} <= {value["type"] for value in stand.events.seen("toxic", "client")}


def test_http_behind_uvicorn(stand: Stand) -> None:
    """`serving` listens before its block begins and again in the next life; an old client finds it."""

    async def director(world: World) -> None:
        await start(world, HTTP_SERVER, HTTP_CLIENT)
        await hears(stand, world, "life 1")
        await world.kill_host("server")
        await hears(stand, world, "ConnectError")
        await world.start_host(HTTP_SERVER)
        await hears(stand, world, "life 2")
        await stop(world, "client", "server")

    stand.run(director)


def test_only_hosts_that_serve_listen_and_are_linked_to(stand: Stand) -> None:
    """Both mistakes are named."""

    async def director(world: World) -> None:
        await start(world, HostSpec(name="a", program=programs.listen_unasked), SERVER)
        await stand.until(world, lambda: bool(stand.events.seen("refused")))
        with pytest.raises(WorldError, match="'a'"):
            world.link("server", "a")
        await stop(world, "a", "server")

    stand.run(director)
    (refused,) = stand.events.seen("refused")
    assert "host 'a' serves nobody" in refused["error"]


def misbehaving(stand: Stand, mode: str, meanwhile: Callable[[World], Awaitable[None]]) -> dict[str, int]:
    """Have the server misbehave to the client, and answer again; return what the link counted, which must prove it."""
    fault = service.misbehaves("client", "server", mode)
    server = replace(HTTP_SERVER, follow="http")

    async def director(world: World) -> None:
        await start(world, server, HTTP_CLIENT)
        await hears(stand, world, "life 1")
        stage = Stage(world, {"server": server, "client": HTTP_CLIENT})
        stand.events.record(FaultBegan(world.now_ns(), "harness", 1, 0, fault.name, mode, fault.on))
        async with fault.hold(stage, mode, world.tape.stream("fault")):
            await meanwhile(world)
        stand.events.record(FaultHealed(world.now_ns(), "harness", 1, 0))
        await hears(stand, world, "life 1")
        await stop(world, "client", "server")

    stand.run(director)
    history = stand.history()
    evidence = fault.evidence(history, fault_windows(history)[0])
    assert evidence.bit
    return dict(evidence.counts)


@pytest.mark.parametrize(
    ("mode", "said", "proof"),
    [
        ("error-500", '{"error": "internal"}', "answered"),
        ("no-json", "<!doctype html><title>healthy</title>", "answered"),
        ("hangs", "ReadTimeout", "dropped_replies"),
    ],
)
def test_a_service_misbehaves_to_one_who_asks(stand: Stand, mode: str, said: str, proof: str) -> None:
    """Also on the connection that there is; healed, it answers again."""
    assert misbehaving(stand, mode, lambda world: hears(stand, world, said))[proof] >= 1


def test_what_drips_does_not_arrive(stand: Stand) -> None:
    """No pause is as long as the client's timeout between two reads, and yet in 3 s no answer is complete."""

    async def meanwhile(world: World) -> None:
        here = len(stand.events.seen("answer", "client"))
        await world.sleep_until(world.now_ns() + seconds(3))
        assert len(stand.events.seen("answer", "client")) <= here + 1  # one may have been on its way

    assert misbehaving(stand, "drips", meanwhile)["bytes"] >= 1
