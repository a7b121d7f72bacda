"""Binance in the real world: a process of the run, controlled over its control API, recording through a pipe.

The control API is asked directly, not through the hosts' proxies, with a token that hosts do not know. As the process
writes what it records before it answers, what is in the pipe when an answer is here belongs before that answer: it is
taken in at once, so that the evidence of a fault lies in the history when `disarm` returns.
"""

import asyncio
import os
import secrets
import signal
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import httpx
import msgspec

import harness
from harness.dependencies.binance.control_api import PREFIX, as_json
from harness.dependencies.binance.settings import Settings
from harness.errors import WorldError
from harness.history.events import HostChanged, Observation
from harness.world.real.pipes import LineSplitter, PipeReader

if TYPE_CHECKING:
    from harness.dependencies.binance.arms import Arm
    from harness.dependencies.binance.control import BinanceControl
    from harness.world.real.process import ChildProcess
    from harness.world.real.world import RealWorld

_START_S_MAX: Final = 30.0
_STOP_S_MAX: Final = 5.0
_ANSWER_S_MAX: Final = 10.0
_TAIL_LINES: Final = 10
_DECODE: Final = msgspec.json.Decoder(Observation)


class RealBinance:
    """Implements `BinanceControl` in the real world."""

    def __init__(self, world: "RealWorld", name: str, settings: Settings) -> None:
        self._world = world
        self._name = name
        self._settings = settings
        self._log = world.directory / "logs" / f"{name}.log"
        self._token = secrets.token_hex(16)
        self._lines = LineSplitter()
        self._pipe = PipeReader(self._take)
        self._listening: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._child: ChildProcess | None = None
        self._watch: asyncio.Task[None] | None = None
        self._client: httpx.AsyncClient | None = None
        self._stopping = False
        self.port = 0

    @property
    def name(self) -> str:
        """Its name in the scenario."""
        return self._name

    @property
    def url(self) -> str:
        """Where it listens; hosts reach it through their proxies."""
        return f"http://127.0.0.1:{self.port}"

    async def start(self) -> None:
        """Start the process and return when it listens. Raises `WorldError`."""
        ready = PipeReader(self._heard_port)
        try:
            self._child = await self._spawn(self._pipe.write_end, ready.write_end)
        finally:
            self._pipe.release_write_end()
            ready.release_write_end()
        self._changed("started", f"pid {self._child.pid}")
        self._watch = asyncio.create_task(self._until_it_ends(self._child), name=f"watch {self._name}")
        try:
            self.port = await asyncio.wait_for(self._listening, _START_S_MAX)
        except TimeoutError:
            raise WorldError(f"{self._name} did not start within {_START_S_MAX:.0f} s{self._tail()}") from None
        finally:
            ready.close()
        self._client = httpx.AsyncClient(
            base_url=self.url,
            headers={"Authorization": f"Bearer {self._token}"},
            timeout=_ANSWER_S_MAX,
            trust_env=False,
        )

    async def arm(self, arm: "Arm") -> str:
        """Arm a fault; return what names it."""
        return str((await self._ask("POST", "arm", as_json(arm)))["name"])

    async def disarm(self, name: str) -> None:
        """End it, after an `exchange_fault` observation."""
        await self._ask("POST", "disarm", {"name": name})

    async def ledger(self) -> Mapping[str, Any]:
        """Return all the truth there is."""
        return await self._ask("GET", "ledger", None)

    async def stop(self) -> None:
        """End it for good; what it recorded is in the history afterwards. Raises `WorldError` if not all could be."""
        self._stopping = True
        if self._client is not None:
            await self._client.aclose()
        child = self._child
        if child is not None:
            child.send_signal(signal.SIGTERM)
            try:
                await asyncio.wait_for(child.wait(), _STOP_S_MAX)
            except TimeoutError:
                child.kill()
                await child.wait()
        if self._watch is not None:
            await self._watch
        self._pipe.close()
        if self._pipe.error is not None:
            raise WorldError(f"what {self._name} recorded cannot be read: {self._pipe.error}") from self._pipe.error

    async def _spawn(self, history: int, ready: int) -> "ChildProcess":
        orders = {
            "name": self._name,
            "settings": self._settings,
            "seed": self._world.tape.seed,
            "start_ns": time.monotonic_ns() - self._world.now_ns(),
            "token": self._token,
        }
        search = os.pathsep.join(filter(None, (str(Path(harness.__file__).parents[1]), os.environ.get("PYTHONPATH"))))
        argv = [sys.executable, "-m", f"{__package__}.server_process", str(history), str(ready)]
        with tempfile.TemporaryFile() as stdin, self._log.open("wb") as log:
            stdin.write(msgspec.json.encode(orders))
            stdin.seek(0)
            return await self._world.run.spawn(
                argv,
                name=self._name,
                env={**os.environ, "PYTHONPATH": search},
                stdin=stdin,
                stdout=log,
                stderr=log,
                pass_fds=(history, ready),
            )

    async def _until_it_ends(self, child: "ChildProcess") -> None:
        """An exchange that ends by itself ends the run: nothing that is seen from then on can be believed."""
        returncode = await child.wait()
        self._pipe.drain()
        detail = f"returncode {returncode}{self._tail()}"
        if not self._listening.done():
            self._listening.set_exception(WorldError(f"{self._name} did not start: {detail}"))
        elif self._stopping:
            self._changed("stopped")
        else:
            self._changed("failed", detail)

    async def _ask(self, method: str, route: str, body: dict[str, Any] | None) -> dict[str, Any]:
        if self._client is None:
            raise WorldError(f"{self._name} is not running")
        try:
            response = await self._client.request(method, PREFIX + route, json=body)
            answer: dict[str, Any] = response.json()
        except (httpx.HTTPError, ValueError) as error:
            raise WorldError(f"{self._name} does not answer: {error!r}{self._tail()}") from error
        self._pipe.drain()
        if response.is_error:
            raise WorldError(f"{self._name}: {answer.get('error', answer)}")
        return answer

    def _heard_port(self, data: bytes) -> None:
        if not self._listening.done():
            self._listening.set_result(int(data))

    def _take(self, data: bytes) -> None:
        for line in self._lines.feed(data):
            self._world.history.record(_DECODE.decode(line))

    def _changed(self, change: str, detail: str = "") -> None:
        self._world.history.record(HostChanged(self._world.now_ns(), self._name, 1, change, detail))

    def _tail(self) -> str:
        """Return the end of its log, for an error text."""
        try:
            lines = self._log.read_text(errors="replace").splitlines()
        except OSError:
            return ""
        return "".join(f"\n{line}" for line in lines[-_TAIL_LINES:])


async def start_real(world: "RealWorld", name: str, options: Mapping[str, Any]) -> "BinanceControl":
    """Start an exchange as a process of the world. For the options see `Settings.parse`."""
    binance = RealBinance(world, name, Settings.parse(options))
    try:
        await binance.start()
    except BaseException:
        await binance.stop()
        raise
    return binance
