"""`harness binance`: the emulated exchange by itself, for any client of Binance."""

import asyncio
import ipaddress
import os
import secrets
from typing import TYPE_CHECKING, Final

import click

from harness.cli.options import WholeNumber

if TYPE_CHECKING:
    from collections.abc import Callable

_PORT: Final = 8475
_SEED_BITS: Final = 32
_BALANCE: Final = 10_000_000

HOW_TO: Final = """\
Binance (USD-M futures and spot) on {url} (seed {seed}).
  key    {key}
  secret {secret}

Point a client at it. ccxt (pro: the same for what is below api["ws"]):
  from urllib.parse import urlsplit
  exchange = ccxt.binance({{"apiKey": KEY, "secret": SECRET}})
  api = exchange.urls["api"]
  for name, at in list(api.items()):
      if isinstance(at, str):
          api[name] = "{url}" + urlsplit(at).path
python-binance (before a client is made; the same for AsyncClient):
  Client.API_URL = "{url}/api"
  Client.FUTURES_URL = "{url}/fapi"
  Client.WS_API_URL = "{stream}/ws-api/v3"
  BinanceSocketManager.STREAM_URL = "{stream}/"
  BinanceSocketManager.FSTREAM_URL = "{stream}/"
binance-futures-connector:
  UMFutures(key=KEY, secret=SECRET, base_url="{url}")
  UMFuturesWebsocketClient(stream_url="{stream}/private")
binance-connector:
  Spot(api_key=KEY, api_secret=SECRET, base_url="{url}")
  SpotWebsocketStreamClient(stream_url="{stream}")
binance-sdk-derivatives-trading-usds-futures:
  DerivativesTradingUsdsFutures(
      ConfigurationRestAPI(KEY, SECRET, base_path="{url}"),
      config_ws_streams=ConfigurationWebSocketStreams("{stream}"),
  )

Break it, and look at what it knows:
  curl{authorization} {url}/__control__/kinds
  curl{authorization} -d '{{"kind": "too_many_requests", "count": 20}}' \\
    {url}/__control__/arm
  curl{authorization} {url}/__control__/ledger
Ctrl-C ends it."""


@click.command(name="binance")
@click.option("--host", default="127.0.0.1", show_default=True, metavar="HOST", help="Where it listens.")
@click.option(
    "--port",
    type=WholeNumber(min=0, max=65_535),
    default=_PORT,
    show_default=True,
    metavar="PORT",
    help="Its port; 0 is a free one.",
)
@click.option("--seed", type=int, metavar="N", help="Seed of the faults' dice; without it, a new one.")
@click.option(
    "--balance",
    type=WholeNumber(min=1),
    default=_BALANCE,
    show_default=True,
    metavar="USDT",
    help="What the account has at the start.",
)
@click.option(
    "--windows",
    type=click.Choice(["real", "short"]),
    default="real",
    show_default=True,
    help="Futures limits by the minute, as Binance has them, or of the same rates in seconds.",
)
@click.option(
    "--token", default="", metavar="TEXT", help="What requests to /__control__/ must bear; without it, nothing."
)
@click.option("--ready-fd", type=WholeNumber(min=3), metavar="FD", help="Write `HOST:PORT` there once it listens.")
def command(
    host: str, port: int, seed: int | None, balance: int, windows: str, token: str, ready_fd: int | None
) -> int:
    """Run an emulated Binance that limits, bans and fails as the real one does.

    Any client of Binance works against it. Ctrl-C or SIGTERM ends it.
    """
    from harness.dependencies.binance.settings import Settings
    from harness.dependencies.binance.standalone import serve

    chosen = secrets.randbits(_SEED_BITS) if seed is None else seed
    settings = Settings.parse({"balance": balance, "windows": windows})
    ready = _announce(chosen, token) if ready_fd is None else _report(ready_fd)
    asyncio.run(serve(host, port, settings=settings, seed=chosen, token=token, ready=ready))
    return 0


def _announce(seed: int, token: str) -> "Callable[[str, int], None]":
    from harness.dependencies.binance.settings import API_KEY, API_SECRET

    def ready(host: str, port: int) -> None:
        place = _place(host, port)
        authorization = f" -H 'Authorization: Bearer {token}'" if token else ""
        click.echo(
            HOW_TO.format(
                url=f"http://{place}",
                stream=f"ws://{place}",
                seed=seed,
                key=API_KEY,
                secret=API_SECRET,
                authorization=authorization,
            )
        )
        if not ipaddress.ip_address(host).is_loopback:
            click.echo("warning: other machines may reach it; /__control__/ answers this one only", err=True)

    return ready


def _report(descriptor: int) -> "Callable[[str, int], None]":
    def ready(host: str, port: int) -> None:
        os.write(descriptor, f"{_place(host, port)}\n".encode())
        os.close(descriptor)

    return ready


def _place(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
