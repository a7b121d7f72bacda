"""`harness toxiproxy`: the embedded Toxiproxy-compatible server, for use by itself or by a run."""

import asyncio
import ipaddress
import os
import secrets
from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness.cli.options import WholeNumber
from harness.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from harness.toxiproxy.addresses import SocketAddress
    from harness.toxiproxy.proxy import ProxySpec

_PORT: int = 8474
_SEED_BITS = 32
_EXAMPLE = '{"name": "redis", "upstream": "127.0.0.1:6379"}'


@click.command(name="toxiproxy")
@click.option("--host", default="127.0.0.1", show_default=True, metavar="HOST", help="Where the API listens.")
@click.option(
    "--port",
    type=WholeNumber(min=0, max=65_535),
    default=_PORT,
    show_default=True,
    metavar="PORT",
    help="Port of the API; 0 is a free one.",
)
@click.option("--seed", type=int, metavar="N", help="Seed of the toxics' dice; without it, a new one.")
@click.option(
    "--config",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="JSON list of proxies to start with, as toxiproxy-server takes it.",
)
@click.option("--ready-fd", type=WholeNumber(min=3), metavar="FD", help="Write `HOST:PORT` there once it answers.")
def command(host: str, port: int, seed: int | None, config: Path | None, ready_fd: int | None) -> int:
    """Run a TCP proxy that breaks connections on purpose, driven by Toxiproxy's HTTP API.

    Any Toxiproxy client works against it. Ctrl-C or SIGTERM ends it.
    """
    from harness.toxiproxy.server import serve

    chosen = secrets.randbits(_SEED_BITS) if seed is None else seed
    proxies = [] if config is None else _read(config)
    ready = _announce(chosen) if ready_fd is None else _report(ready_fd)
    asyncio.run(serve(host, port, seed=chosen, proxies=proxies, ready=ready))
    return 0


def _read(config: Path) -> "list[ProxySpec]":
    from harness.toxiproxy.body import decode
    from harness.toxiproxy.errors import ApiError
    from harness.toxiproxy.registry import parse_specs

    try:
        return parse_specs(decode(config.read_bytes()))
    except OSError as problem:
        raise UsageError(f"--config {config}: {os.strerror(problem.errno or 0).lower()}") from None
    except ApiError as problem:
        raise UsageError(
            f"--config {config}: {problem.text.replace('bad request body', 'not a list of proxies')}"
        ) from None


def _announce(seed: int) -> "Callable[[SocketAddress], None]":
    from harness.toxiproxy.addresses import show

    def ready(address: "SocketAddress") -> None:
        url = f"http://{show(address)}"
        click.echo(f"Listening on {url} (seed {seed}).")
        click.echo("Point any Toxiproxy client at it, or ask it for a proxy by hand:")
        click.echo(f"  curl -d '{_EXAMPLE}' \\")
        click.echo(f"    {url}/proxies")
        click.echo("Ctrl-C ends it.")
        if not ipaddress.ip_address(address[0]).is_loopback:
            click.echo("warning: other machines may reach it, and it asks for no password", err=True)

    return ready


def _report(descriptor: int) -> "Callable[[SocketAddress], None]":
    from harness.toxiproxy.addresses import show

    def ready(address: "SocketAddress") -> None:
        os.write(descriptor, f"{show(address)}\n".encode())
        os.close(descriptor)

    return ready
