"""The fixture `toxics`: proxies in front of what listens on this machine, and what breaks connections there."""

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit, urlunsplit

from harness.testing.background import Background
from harness.testing.servers import real_world
from harness.toxics.base import Direction
from harness.toxics.catalog import parse
from harness.toxics.exchange.match import Follow
from harness.world.real.proxy_server import EmbeddedProxy, start_embedded

_DIRECTIONS: Final[tuple[Direction, ...]] = ("upstream", "downstream")


class Proxied:
    """One proxy: `url` leads to what is behind it."""

    def __init__(self, server: EmbeddedProxy, thread: Background, name: str, url: str) -> None:
        self.url = url
        self._server = server
        self._thread = thread
        self._name = name
        self._numbers = itertools.count(1)

    @contextmanager
    def toxic(
        self,
        kind: str,
        *,
        stream: Direction = "downstream",
        toxicity: float = 1.0,
        **attributes: Any,
    ) -> Iterator[None]:
        """Do this to its bytes for a while: `toxic("latency", latency=200)`; `harness/toxics/catalog.py` has them."""
        name = f"{kind}-{next(self._numbers)}"
        toxic = parse(kind, attributes)
        do, server = self._thread.do, self._server
        do(server.add(self._name, name, toxic, stream=stream, toxicity=toxicity, per_message=False))
        try:
            yield
        finally:
            do(server.remove(self._name, name))

    @contextmanager
    def refused(self) -> Iterator[None]:
        """Reset its connections, and refuse new ones."""
        self._thread.do(self._server.disable(self._name, reset=True))
        try:
            yield
        finally:
            self._thread.do(self._server.enable(self._name))

    @contextmanager
    def partitioned(self) -> Iterator[None]:
        """Cut it off: bytes stop, connecting gets no answer; what was stopped arrives afterwards."""
        names = {stream: f"partition-{next(self._numbers)}" for stream in _DIRECTIONS}
        for stream, name in names.items():
            self._thread.do(self._server.cut(self._name, name, stream))
        try:
            yield
        finally:
            for name in names.values():
                self._thread.do(self._server.remove(self._name, name))

    def reset(self) -> int:
        """Reset every connection there is; return how many."""
        return self._thread.do(self._server.reset(self._name))["reset"]


class Toxics:
    """Call it with a URL, or with `host:port`, for a proxy that leads there."""

    def __init__(self, server: EmbeddedProxy, thread: Background) -> None:
        self._server = server
        self._thread = thread
        self._numbers = itertools.count(1)

    def __call__(self, upstream: str, *, follow: Follow | None = None) -> Proxied:
        """Return a proxy. With `follow` (`redis`, `http`), toxics may match single requests."""
        place = urlsplit(upstream if "://" in upstream else f"//{upstream}")
        name = f"proxy-{next(self._numbers)}"
        port = self._thread.do(self._server.create(name, f"{place.hostname}:{place.port}", follow, listen="127.0.0.1"))
        credentials, sign, _ = place.netloc.rpartition("@")
        url = urlunsplit(place._replace(netloc=f"{credentials}{sign}127.0.0.1:{port}")).removeprefix("//")
        return Proxied(self._server, self._thread, name, url)


@contextmanager
def proxies(directory: Path) -> Iterator[Toxics]:
    """Run the proxy server; nothing of it is left afterwards."""

    def died(_: str) -> None:
        """What is asked of it next fails, and says so."""

    with real_world(directory) as (world, thread):
        server = thread.do(start_embedded(world.run, directory / "logs" / "toxiproxy.log", 1, died))
        try:
            yield Toxics(server, thread)
        finally:
            thread.do(server.close())
