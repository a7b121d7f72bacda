"""An event bus as a program of its own, which knows the harness by its protocol only: an outbox in a file."""

import asyncio
import json
import os
import sys
import uuid
from pathlib import Path

import httpx
import redis.asyncio as redis
import uvicorn
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from starlette.applications import Starlette
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

TROUBLE = (redis.RedisError, OSError)


class Bus:
    def __init__(self):
        patience = {"socket_timeout": 2, "socket_connect_timeout": 2, "retry": Retry(NoBackoff(), 0)}
        self.redis = redis.from_url(os.environ["REDIS_URL"], **patience)
        self.teller = httpx.AsyncClient(base_url=os.environ["HARNESS_URL"], trust_env=False)
        self.path = Path(os.environ["HARNESS_DIRECTORY"]) / "outbox.jsonl"
        kept = self.path.read_text().splitlines() if self.path.exists() else []
        self.waiting = [json.loads(line) for line in kept]
        self.file = self.path.open("a")
        self.woken = asyncio.Event()
        self.tasks = [asyncio.create_task(self.send())]

    async def publish(self, request):
        told = await request.json()
        event = [told["type"], {"id": uuid.uuid4().hex, "payload": json.dumps(told["payload"])}]
        self.file.write(json.dumps(event) + "\n")
        self.file.flush()
        os.fsync(self.file.fileno())
        self.waiting.append(event)
        self.woken.set()
        return JSONResponse({"id": event[1]["id"]})

    async def send(self):
        """Send what waits, oldest first. What was sent stays in the file: readers know an event by its id."""
        self.woken.set()
        while await self.woken.wait():
            self.woken.clear()
            while self.waiting:
                try:
                    await self.redis.xadd(*self.waiting[0])
                except TROUBLE:
                    await asyncio.sleep(0.05)
                else:
                    self.waiting.pop(0)

    async def subscribe(self, request):
        told = await request.json()
        self.tasks.append(asyncio.create_task(self.read(told["group"], told["types"])))
        return Response(status_code=204)

    async def read(self, group, types):
        last, seen = dict.fromkeys(types, "0"), set()
        while True:
            try:
                for name, rows in await self.redis.xread(last, block=100) or []:
                    for row_id, row in rows:
                        last[name.decode()] = row_id
                        event_id = row[b"id"].decode()
                        if event_id not in seen:
                            seen.add(event_id)
                            event = {"group": group, "id": event_id, "type": name.decode()}
                            event["payload"] = json.loads(row[b"payload"])
                            (await self.teller.post("/deliver", json=event)).raise_for_status()
            except TROUBLE:
                await asyncio.sleep(0.05)

    async def stats(self, request):
        mode = "fallback" if self.waiting else "direct"
        return JSONResponse({"mode": mode, "buffered": len(self.waiting), "dropped": 0})


async def main():
    sys.stderr.write("the bus begins\n")
    bus = Bus()
    app = Starlette(
        routes=[
            Route("/publish", bus.publish, methods=["POST"]),
            Route("/subscribe", bus.subscribe, methods=["POST"]),
            Route("/stats", bus.stats),
        ]
    )
    port = int(os.environ["HARNESS_PORT"])
    await uvicorn.Server(uvicorn.Config(app, port=port, log_level="warning")).serve()


asyncio.run(main())
