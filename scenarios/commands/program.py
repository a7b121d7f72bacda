"""A program of its own as a child of a host: in its process group, so that it is killed, frozen and ended with it.

What it prints goes to the host's log in the run folder. It finds in its environment where to listen (`HARNESS_PORT`),
whom to tell (`HARNESS_URL`), who it is, and where its dependencies are.
"""

import asyncio
import contextlib
import logging
import os
import socket
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import httpx
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.routing import Route

import harness
from scenarios.commands.relay import Relay
from scenarios.serving import serving_itself

ANSWER_S_MAX: Final = 5.0
_START_S_MAX: Final = 15.0
_END_S_MAX: Final = 3.0
_POLL_S: Final = 0.02


class CommandError(Exception):
    """The program did not do what it was asked for. `reason` is the short text that it gave, or empty."""

    def __init__(self, text: str, reason: str = "") -> None:
        super().__init__(text)
        self.reason = reason


class Program:
    """A program. `addresses` are URLs of dependencies, by the variable in which it looks for them.

    Its way to them leads through relays, which are put in their place in all of its `variables`.
    """

    def __init__(self, command: Sequence[str], *, name: str, directory: Path, addresses: Mapping[str, str]) -> None:
        self._command = list(command)
        self._shown = " ".join(command)
        self.variables = {"HARNESS_NAME": name, "HARNESS_DIRECTORY": str(directory)}
        self._relays = {variable: Relay(url) for variable, url in addresses.items()}
        self._exits = contextlib.AsyncExitStack()
        self._process: asyncio.subprocess.Process | None = None
        self._client: httpx.AsyncClient | None = None

    @property
    def client(self) -> httpx.AsyncClient:
        """What asks the program, once it has been started."""
        assert self._client is not None, "the program has not been started"
        return self._client

    async def start(self, told: Sequence[Route] = ()) -> None:
        """Start it, and return once it listens. `told` are the paths at which it tells what happens.

        Raises `CommandError` if it cannot be started, ends, or does not listen in time.
        """
        for chatty in ("httpx", "uvicorn"):  # a line for each request would drown what the program prints
            logging.getLogger(chatty).setLevel(logging.WARNING)
        for variable, relay in self._relays.items():
            direct = relay.url
            await relay.start()
            self.variables = {one: text.replace(direct, relay.url) for one, text in self.variables.items()}
            self.variables[variable] = relay.url
        self.variables["HARNESS_URL"] = await self._exits.enter_async_context(serving_itself(Starlette(routes=told)))
        port = _free_port()
        self.variables["HARNESS_PORT"] = str(port)
        self._client = httpx.AsyncClient(
            base_url=f"http://127.0.0.1:{port}",
            trust_env=False,
            limits=httpx.Limits(max_connections=None),
            verify=False,  # noqa: S501 - it is plain HTTP, and reading certificates takes 0.2 s
        )
        try:
            self._process = await asyncio.create_subprocess_exec(
                *self._command, stdin=asyncio.subprocess.DEVNULL, env={**_environment(), **self.variables}
            )
        except OSError as error:
            raise CommandError(f"cannot start `{self._shown}`: {error.strerror}") from None
        try:
            async with asyncio.timeout(_START_S_MAX):
                while not await _listens(port):
                    self._check_alive()
                    await asyncio.sleep(_POLL_S)
        except TimeoutError:
            raise CommandError(
                f"`{self._shown}` did not listen on 127.0.0.1:{port} (HARNESS_PORT) within {_START_S_MAX:.0f} s"
            ) from None

    async def ask(self, path: str, body: Mapping[str, Any] | None = None, *, within_s: float = ANSWER_S_MAX) -> Any:
        """POST what it is to do (GET without a body) and return its answer, decoded. Raises `CommandError`."""
        self._check_alive()
        try:
            if body is None:
                answer = await self.client.get(path, timeout=within_s)
            else:
                answer = await self.client.post(path, json=body, timeout=within_s)
            told = answer.json() if answer.content else None
        except httpx.HTTPError as error:
            self._check_alive()
            raise CommandError(f"{path}: {type(error).__name__} {error}".rstrip()) from None
        except ValueError:
            raise CommandError(f"{path}: answered {answer.status_code} with what is not JSON") from None
        if answer.is_success:
            return told
        about = told if isinstance(told, dict) else {}
        text = about.get("message") or f"{path}: answered {answer.status_code}"
        raise CommandError(str(text), str(about.get("reason", "")))

    async def close(self) -> None:
        """Ask it to end (SIGTERM); after a while, kill it."""
        process = self._process
        if process is not None and process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.terminate()
            try:
                await asyncio.wait_for(process.wait(), _END_S_MAX)
            except TimeoutError:
                process.kill()
                await process.wait()
        if self._client is not None:
            await self._client.aclose()
        for relay in self._relays.values():
            await relay.close()
        await self._exits.aclose()

    def _check_alive(self) -> None:
        process = self._process
        if process is not None and process.returncode is not None:
            raise CommandError(
                f"`{self._shown}` ended by itself, exit code {process.returncode}; its log is the host's"
            )


async def told(request: Request, *fields: str) -> dict[str, Any]:
    """Return what the program tells, which has all of these fields; else it is answered by 400 and what is missing."""
    try:
        body = await request.json()
    except ValueError:
        raise HTTPException(httpx.codes.BAD_REQUEST, "the body is not JSON") from None
    missing = [name for name in fields if not isinstance(body, dict) or name not in body]
    if missing:
        raise HTTPException(httpx.codes.BAD_REQUEST, f"without {', '.join(missing)}")
    return dict(body)


def _environment() -> dict[str, str]:
    """Return the environment that the harness was started in: without what it adds to find itself."""
    own, _, rest = os.environ.get("PYTHONPATH", "").partition(os.pathsep)
    variables = dict(os.environ)
    if own == str(Path(harness.__file__).parents[1]):
        del variables["PYTHONPATH"]
        variables |= {"PYTHONPATH": rest} if rest else {}
    return variables


def _free_port() -> int:
    with socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


async def _listens(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    return True
