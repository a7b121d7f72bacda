"""Serves a feed to benchmark clients, and publishes: `reference`, or `broadcast`, the loop that one would write first.

Arguments: which, a directory, events published per second. Prints its port, then a line of JSON each second: resident
memory in bytes, processor time used in s, and clients. With FEED_PROFILE in the environment a profile is written there
after 10 s.
"""

import asyncio
import cProfile
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import psutil
import uvicorn
from fastapi import FastAPI, WebSocket, WebSocketDisconnect

from reference_impl.dashboard_ws import listen, make

KEYS = 20
PROFILED_S = 10.0
TOKEN = "benchmark-token-of-nobody"
PADDING = "x" * 100


class Broadcast:
    """Sends each tenth of a second what came, to one client after the other."""

    def __init__(self) -> None:
        self.clients: set[WebSocket] = set()
        self.batch: list[dict[str, Any]] = []

    async def start(self) -> None:
        self.task = asyncio.create_task(self.flush())

    def app(self) -> FastAPI:
        app = FastAPI()

        @app.websocket("/ws")
        async def feed(websocket: WebSocket) -> None:
            await websocket.accept()
            await websocket.receive_text()
            self.clients.add(websocket)
            try:
                while True:
                    await websocket.receive_text()
            except (WebSocketDisconnect, RuntimeError):
                self.clients.discard(websocket)

        return app

    async def publish(self, topic: str, key: str, value: Any) -> int:
        self.batch.append({"seq": 0, "topic": topic, "key": key, "at": time.time_ns(), "value": value})
        return 0

    async def flush(self) -> None:
        while True:
            await asyncio.sleep(0.1)
            batch, self.batch = self.batch, []
            text = json.dumps({"type": "batch", "events": batch}, separators=(",", ":"))
            for client in list(self.clients):
                try:
                    await client.send_text(text)
                except (WebSocketDisconnect, RuntimeError):
                    self.clients.discard(client)

    def figures(self) -> dict[str, Any]:
        return {"clients": list(self.clients)}


async def publish(server: Any, rate: float) -> None:
    """Publish evenly; of 50 events, one is critical."""
    loop = asyncio.get_running_loop()
    due = loop.time()
    number = 0
    while True:
        due += 1 / rate
        await asyncio.sleep(max(0.0, due - loop.time()))
        number += 1
        topic = "order.update" if number % 50 == 0 else "portfolio.position"
        await server.publish(topic, f"S{number % KEYS}", {"number": number, "padding": PADDING})


async def tell(server: Any) -> None:
    """Print how things are."""
    process = psutil.Process()
    while True:
        await asyncio.sleep(1)
        rss = process.memory_info().rss
        figures = {"rss": rss, "cpu": time.process_time(), "clients": len(server.figures()["clients"])}
        print(json.dumps(figures), flush=True)


async def main(kind: str, directory: str, rate: float) -> None:
    """Serve until killed."""
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    server: Any = Broadcast() if kind == "broadcast" else make(directory=Path(directory), name="b", token=TOKEN)
    await server.start()
    sock = listen("127.0.0.1", 0)
    config = uvicorn.Config(
        server.app(),
        ws="websockets-sansio",
        log_level="error",
        access_log=False,
        ws_per_message_deflate=False,
        ws_ping_interval=None,
    )
    tasks = [asyncio.create_task(one) for one in (publish(server, rate), tell(server))]
    print(sock.getsockname()[1], flush=True)
    profile = os.environ.get("FEED_PROFILE")
    if profile:
        profiler = cProfile.Profile()
        profiler.enable()
        asyncio.get_running_loop().call_later(PROFILED_S, lambda: profiler.dump_stats(profile))
    await uvicorn.Server(config).serve([sock])
    for task in tasks:
        task.cancel()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], float(sys.argv[3])))
