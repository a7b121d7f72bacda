"""Serves a dashboard on a port, and publishes what its standard input says: lines of JSON, `[topic, key, value]`.

Arguments: directory, token, port (0: any). Prints the port, then the number of each event.
"""

import asyncio
import json
import sys
from pathlib import Path

from reference_impl.dashboard_ws import DashboardServer, listen, make, serve


def say(number: int) -> None:
    """Print it, at once."""
    sys.stdout.write(f"{number}\n")
    sys.stdout.flush()


async def publish(server: DashboardServer) -> None:
    """Publish until there is no more."""
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    async for line in reader:
        say(await server.publish(*json.loads(line)))


async def main(directory: str, token: str, port: int) -> None:
    """Serve until told to stop."""
    server = make(directory=Path(directory), name="page", token=token, heartbeat=0.5, ping_every=1.0)
    sock = listen("127.0.0.1", port)
    await server.start()
    serving = asyncio.create_task(serve(server, sock))
    say(sock.getsockname()[1])
    publishing = asyncio.create_task(publish(server))
    await serving
    publishing.cancel()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3])))
