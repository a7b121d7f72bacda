"""One seed, several processes: the digest of everything on the wire is the same in each.

The first run of a process imports, caches and compiles what later ones find ready, and each process has a heap of its
own: whatever of that reaches the wire (the order of a set, a generator seeded at import, a name with a counter in it)
shows here and not in two runs of one process.
"""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[5]

PROGRAM = """
from harness.world.sim.identity import ensure_stable_interpreter
ensure_stable_interpreter()
import asyncio, gc, logging, random, sys, tempfile, uuid
from pathlib import Path
CLUTTER = [object() for _ in range(int(sys.argv[1]))]
OTHERS = [random.Random() for _ in range(int(sys.argv[1]) % 7)]
if CLUTTER:
    import aiohttp, fastapi, httpx, redis.asyncio, uvicorn, websockets.asyncio.client
from harness.tape import Tape
from harness.world.sim.run import run_sim
logging.disable(logging.CRITICAL)

class Nowhere:
    def record(self, event): pass

async def serve():
    import uvicorn
    from fastapi import FastAPI, WebSocket
    app = FastAPI()
    @app.get("/sync")
    def sync():
        return {"id": str(uuid.uuid4())}
    @app.websocket("/ws")
    async def socket(ws: WebSocket):
        await ws.accept()
        while True:
            await ws.send_text(await ws.receive_text() + random.choice("abcdef"))
    config = uvicorn.Config(app, host="0.0.0.0", port=8000, log_config=None, ws="websockets-sansio")
    await uvicorn.Server(config).serve()

async def redis_server(world):
    from harness.dependencies.redis.engine import Engine
    from harness.dependencies.redis.protocol import listen
    from harness.dependencies.redis.state import RedisState
    state = RedisState(now_ns=world.machines.wall_ns, identity="redis", password="")
    await (await listen("0.0.0.0", 6379, Engine(state))).server.serve_forever()

async def use():
    import aiohttp, httpx, redis.asyncio as redis
    from websockets.asyncio.client import connect
    await asyncio.sleep(0.1)
    async with httpx.AsyncClient(base_url="http://server:8000") as web, redis.Redis(host="redis") as db:
        tasks = [asyncio.ensure_future(web.get("/sync")) for _ in range(20)]
        done, _ = await asyncio.wait(tasks)
        for task in done:
            await db.xadd("ids", {"id": task.result().json()["id"], "at": str(task.get_name())})
        async with asyncio.TaskGroup() as group:
            for number in range(20):
                group.create_task(db.incrby("n", number))
    async with aiohttp.ClientSession() as session:
        for word in {"alpha", "beta", "gamma", "delta"}:
            async with session.get("http://server:8000/sync", headers={"X-Word": word}) as response:
                await response.read()
    async with connect("ws://server:8000/ws") as ws:
        for _ in range(5):
            await ws.send(tempfile.mktemp())
            await ws.recv()

async def director(world):
    world.machines.boot("server", serve)
    world.machines.boot("redis", redis_server, world)
    await world.machines.boot("client", use)
    assert not world.machines.failures, world.machines.failures

for _ in range(2):
    with tempfile.TemporaryDirectory() as directory:
        run = run_sim(director, tape=Tape(11), sink=Nowhere(), directory=Path(directory))
        print(run.digest, run.segments, run.escapes)
"""


def test_the_digest_is_the_same_in_every_process():
    """Two runs in each of two processes, one of which imported everything before: four equal digests, and no escape."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("PYTHONHASH", "HARNESS_"))}
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", PROGRAM, clutter],
            cwd=ROOT,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for clutter in ("0", "54321")
    ]
    lines = []
    for process in processes:
        out, errors = process.communicate()
        assert process.returncode == 0, errors
        lines.extend(out.splitlines())
    assert len(lines) == 4
    assert len(set(lines)) == 1, lines
    assert lines[0].endswith(" ()")
    assert int(lines[0].split()[1]) > 200
