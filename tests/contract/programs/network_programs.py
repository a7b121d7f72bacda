"""The host program of test_network_faults.py: it talks over an old connection and over new ones, and tells what it met.

It speaks to the Redis dependency as plainly as can be: `ECHO <text>` and the same text back. Under the fault it may do
otherwise: `half-close`, the same and then the end of its side; or `quit`, after which the server closes.
"""

import asyncio
import json
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from harness.units import MILLISECOND, as_seconds
from harness.world.base import Host

SIZE = 1_000
POLL_S = 0.05
PATIENCE_S = 2.0
LONG_PATIENCE_S = 6.0
"""After a partition, TCP's next retransmission may be seconds away."""


class Talk(asyncio.Protocol):
    """One connection: everything that arrived, in how many pieces, and how it ended."""

    def __init__(self) -> None:
        self.transport: asyncio.Transport | None = None
        self.heard = bytearray()
        self.pieces = 0
        self.ended: str | None = None
        self.news = asyncio.Event()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep what to write to."""
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        """Keep what comes."""
        self.heard += data
        self.pieces += 1
        self.news.set()

    def eof_received(self) -> None:
        """The other side has closed."""
        self.ended = "closed"
        self.news.set()

    def connection_lost(self, error: Exception | None) -> None:
        """It is over; a reset says so."""
        if isinstance(error, ConnectionError):
            self.ended = "reset"
        self.ended = self.ended or "closed"
        self.news.set()


def tell(schedule: Path, at_ns: dict[str, int]) -> None:
    """Tell the probers the instants, once all of them run; how long that takes is up to the machine."""
    draft = schedule.with_suffix(".draft")
    draft.write_text(json.dumps(at_ns))
    draft.rename(schedule)


def told(schedule: Path) -> dict[str, int] | None:
    """Return the instants, or None if they are not told yet."""
    return json.loads(schedule.read_text()) if schedule.exists() else None


async def probe(host: Host) -> None:
    """At each instant of the schedule, ask over the old connection and over a new one, and observe what came of it."""
    url = urlsplit(host.endpoints["redis"])
    assert url.hostname
    address = url.hostname, url.port or 6379
    old: Talk | None = None
    while (schedule := told(Path(host.params["schedule"]))) is None:  # noqa: ASYNC110 - told from another process
        await asyncio.sleep(POLL_S)
    for stage, at_ns in schedule.items():
        await asyncio.sleep(as_seconds(max(0, at_ns - host.now_ns())))
        patience_s = LONG_PATIENCE_S if stage == "after" else PATIENCE_S
        if old is None:
            old, outcome = await _connect(address, patience_s)
            assert old, outcome
        says = host.params["says"] if stage == "under" else "echo"
        await asyncio.gather(
            _ask(host, stage, "old", old, patience_s, says), _fresh(host, stage, address, patience_s, says)
        )
    await host.stopping()
    if old is not None and old.transport is not None:
        old.transport.abort()


async def _fresh(host: Host, stage: str, address: tuple[str, int], patience_s: float, says: str) -> None:
    begun_ns = host.now_ns()
    talk, outcome = await _connect(address, patience_s)
    connecting_ns = host.now_ns() - begun_ns
    if talk is None:
        host.log.observe("probe", stage=stage, which="new", outcome=outcome, ms=connecting_ns // MILLISECOND)
        return
    await _ask(host, stage, "new", talk, patience_s, says, connecting_ms=connecting_ns // MILLISECOND)
    if talk.transport is not None:
        talk.transport.abort()


async def _connect(address: tuple[str, int], patience_s: float) -> tuple[Talk | None, str]:
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(patience_s):
            _, talk = await loop.create_connection(Talk, *address)
    except TimeoutError:
        return None, "no answer"
    except ConnectionRefusedError:
        return None, "refused"
    except ConnectionError:
        return None, "reset"
    return talk, "connected"


async def _ask(host: Host, stage: str, which: str, talk: Talk, patience_s: float, says: str, **more: Any) -> None:
    """Send one request, and tell how its reply came: wholly, in part, or not, and how the connection ended."""
    assert talk.transport is not None
    text = f"{stage}-{which}-".ljust(SIZE, "x").encode()
    begun_ns, before, pieces = host.now_ns(), len(talk.heard), talk.pieces
    reply = b"$%d\r\n%b\r\n" % (SIZE, text)
    if talk.ended is None:
        _say(talk.transport, says, text)
    deadline = asyncio.get_running_loop().time() + patience_s
    first_ns = None
    while not talk.heard.endswith(reply) and talk.ended is None:
        talk.news.clear()
        try:
            async with asyncio.timeout_at(deadline):
                await talk.news.wait()
        except TimeoutError:
            break
        if first_ns is None:
            first_ns = host.now_ns()
    whole = talk.heard.endswith(reply)
    host.log.observe(
        "probe",
        stage=stage,
        which=which,
        outcome=talk.ended if talk.ended and not whole else "answered" if whole else "silent",
        ms=(host.now_ns() - begun_ns) // MILLISECOND,
        first_ms=((first_ns or host.now_ns()) - begun_ns) // MILLISECOND,
        heard=len(talk.heard) - before,
        total=len(talk.heard),
        pieces=talk.pieces - pieces,
        **more,
    )


def _say(transport: asyncio.Transport, says: str, text: bytes) -> None:
    if says == "quit":
        transport.write(b"*1\r\n$4\r\nQUIT\r\n")
        return
    transport.write(b"*2\r\n$4\r\nECHO\r\n$%d\r\n%b\r\n" % (SIZE, text))
    if says == "half-close":
        transport.write_eof()
