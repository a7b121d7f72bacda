"""Hosts that serve other hosts, one suite for both worlds: how they are reached, die, come back, and are cut off."""

import pytest
import serving_programs as programs
from two_worlds import Stand

from harness.errors import WorldError
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
