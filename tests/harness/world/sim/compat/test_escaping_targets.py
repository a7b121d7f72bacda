"""Targets that leave the sim world in ways libraries do: the run hears of it even if the target keeps quiet."""

import asyncio
import concurrent.futures
import contextlib
import socket
import threading
import time

import httpx
import pytest
import redis

from harness.tape import Tape
from harness.world.sim.run import run_sim


class Nowhere:
    def record(self, event):
        pass


def blocking_http():
    httpx.get("http://127.0.0.1:9/", timeout=1)


def blocking_redis():
    redis.Redis(host="127.0.0.1", port=9, socket_timeout=1).ping()


def own_pool():
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        pool.submit(time.time).result(timeout=1)


def background_thread():
    threading.Thread(target=print, daemon=True).start()


def look_up():
    socket.getaddrinfo("server", 80)


@pytest.mark.parametrize("act", [blocking_http, blocking_redis, own_pool, background_thread, look_up])
@pytest.mark.parametrize("through", ["directly", "to_thread"])
def test_a_swallowed_escape_is_in_the_result(act, through, tmp_path):
    """In the loop or in a thread's work: the host, this file and the line are named, though `except` swallowed it."""

    async def program():
        with contextlib.suppress(Exception):
            if through == "directly":
                act()
            else:
                await asyncio.to_thread(act)

    async def director(world):
        await world.machines.boot("publisher", program)

    run = run_sim(director, tape=Tape(1), sink=Nowhere(), directory=tmp_path)
    assert run.escapes
    for text in run.escapes:
        assert text.startswith("publisher#1 left the sim world: ")
        assert f"{__file__}:" in text
        assert f" in {act.__name__}" in text
