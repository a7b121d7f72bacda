"""A toxiproxy-server's HTTP API, as the harness calls it: toxiproxy-python, mended where it would hurt.

toxiproxy-python blocks, has no time limit, keeps the server's address in a class that the whole process shares, sends
loopback calls to HTTP_PROXY if the environment names one, and takes every answer but 400, 404 and 409 for success. So:

- its calls run in one thread, first come first served: a fault that is cancelled half way (`disable` under way) cannot
  overtake the call that heals it (`enable`);
- for the time of a call, and only then, what it takes for the module `requests` is a `_Courier`, which has a time
  limit, heeds no proxy variables (the environment of hosts stays as it is) and raises for every answer that is no
  success.
"""

import asyncio
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeVar
from urllib.parse import urlsplit

from harness.errors import WorldError

if TYPE_CHECKING:
    from requests import Response, Session

T = TypeVar("T")

ANSWER_S_MAX: Final = 5.0
DEFAULT_PORT: Final = 8474
_TOLD_BY_LIBRARY: Final = frozenset((400, 404, 409))
_SUCCESS: Final = range(200, 300)
_one_at_a_time = threading.Lock()
"""The library's server address is one for the process."""


class ProxyApiError(WorldError):
    """The server did not do what it was asked. `status` is the HTTP status, None if it gave no answer."""

    def __init__(self, what: str, reason: str, status: int | None = None) -> None:
        super().__init__(f"{what}: {reason}")
        self.reason = reason
        self.status = status


@dataclass(frozen=True, slots=True, kw_only=True)
class ProxyPlace:
    """Where a server's API is."""

    host: str
    port: int

    @property
    def url(self) -> str:
        """As people write it."""
        return f"http://{self.host}:{self.port}"

    @classmethod
    def parse(cls, url: str) -> "ProxyPlace":
        """Read `http://host:port`. Raises ValueError."""
        parts = urlsplit(url)
        if parts.scheme != "http" or not parts.hostname or parts.username or parts.path.strip("/") or parts.query:
            raise ValueError("write http://127.0.0.1:8474")
        return cls(host=parts.hostname, port=parts.port or DEFAULT_PORT)


class ProxyApi:
    """The API of one server. Every method raises `ProxyApiError`."""

    def __init__(self, place: ProxyPlace) -> None:
        self.place = place
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="proxy-api")
        self._courier: _Courier | None = None

    @staticmethod
    async def warm_up() -> None:
        """Import the library, which takes a fifth of a second, while something else is being waited for."""
        await asyncio.to_thread(_import_library)

    async def version(self) -> str:
        """Return the server's version."""
        answer = await self.get("/version")
        return str(answer.get("version", "")) if isinstance(answer, dict) else ""

    async def create(self, name: str, *, listen: str, upstream: str) -> None:
        """Make a proxy, enabled."""

        def create(library: Any) -> None:
            library.Toxiproxy().create(upstream=upstream, name=name, listen=listen, enabled=True)

        await self._call(f"create proxy {name} on {listen}", create)

    async def enable(self, name: str) -> None:
        """Have it listen."""
        await self._call(f"enable proxy {name}", lambda library: _proxy(library, name).enable())

    async def disable(self, name: str) -> None:
        """Have it close its connections and listen no more."""
        await self._call(f"disable proxy {name}", lambda library: _proxy(library, name).disable())

    async def delete(self, name: str) -> None:
        """Remove it."""
        await self._call(f"delete proxy {name}", lambda library: _proxy(library, name).destroy())

    async def add_toxic(
        self, proxy: str, name: str, type_: str, *, stream: str, toxicity: float, attributes: Mapping[str, object]
    ) -> None:
        """Add a toxic to a proxy."""

        def add(library: Any) -> None:
            _proxy(library, proxy).add_toxic(
                name=name, type=type_, stream=stream, toxicity=toxicity, attributes=dict(attributes)
            )

        await self._call(f"add toxic {name} ({type_}) to proxy {proxy}", add)

    async def remove_toxic(self, proxy: str, name: str) -> None:
        """Remove it."""
        await self._call(f"remove toxic {name} of proxy {proxy}", lambda lib: _proxy(lib, proxy).destroy_toxic(name))

    async def get(self, path: str) -> Any:
        """GET of what the library has no call for: JSON, or text where it is none."""
        return await self._call(f"GET {path}", lambda library: _content(library.api.APIConsumer.get(path)))

    async def post(self, path: str, body: Mapping[str, object] | None = None) -> Any:
        """POST of what the library has no call for."""
        send = dict(body or {})
        return await self._call(f"POST {path}", lambda library: _content(library.api.APIConsumer.post(path, json=send)))

    async def close(self) -> None:
        """End the thread, after what is under way."""
        await asyncio.get_running_loop().run_in_executor(self._thread, self._hang_up)
        self._thread.shutdown(wait=False)

    async def _call(self, what: str, work: Callable[[Any], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._do, what, work)

    def _do(self, what: str, work: Callable[[Any], T]) -> T:
        library, exceptions, requests = _import_library()
        told = (exceptions.ProxyExists, exceptions.NotFound, exceptions.InvalidToxic)
        failed = f"{self.place.url} did not {what}"
        try:
            with self._aimed(library):
                return work(library)
        except told as error:
            text = error.args[0].decode(errors="replace") if isinstance(error.args[0], bytes) else str(error)
            status = {exceptions.ProxyExists: 409, exceptions.NotFound: 404}.get(type(error), 400)
            raise ProxyApiError(failed, text.strip(), status) from None
        except _RefusedError as error:
            raise ProxyApiError(failed, str(error), error.status) from None
        except (requests.RequestException, ValueError) as error:
            raise ProxyApiError(failed, _reason(error)) from error

    @contextmanager
    def _aimed(self, library: Any) -> Iterator[None]:
        """Have the library call this server, as we want it to call."""
        if self._courier is None:
            self._courier = _Courier()
        api = library.api
        consumer = api.APIConsumer
        with _one_at_a_time:
            before = (consumer.host, consumer.port, api.requests)
            consumer.host, consumer.port, api.requests = self.place.host, self.place.port, self._courier
            try:
                yield
            finally:
                consumer.host, consumer.port, api.requests = before

    def _hang_up(self) -> None:
        if self._courier is not None:
            self._courier.session.close()


class _RefusedError(Exception):
    """An answer that is no success, and that the library would have taken for one."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


class _Courier:
    """Stands where the library has the module `requests`; keeps its connection, where the module makes one a call."""

    def __init__(self) -> None:
        import requests  # noqa: PLC0415 - slow

        self.session: Session = requests.Session()
        self.session.trust_env = False

    def get(self, **call: Any) -> "Response":
        """As `requests.get`."""
        return _checked(self.session.get(**call, timeout=ANSWER_S_MAX))

    def post(self, **call: Any) -> "Response":
        """As `requests.post`."""
        return _checked(self.session.post(**call, timeout=ANSWER_S_MAX))

    def delete(self, **call: Any) -> "Response":
        """As `requests.delete`."""
        return _checked(self.session.delete(**call, timeout=ANSWER_S_MAX))


def _checked(response: "Response") -> "Response":
    if response.status_code in _SUCCESS or response.status_code in _TOLD_BY_LIBRARY:
        return response
    raise _RefusedError(response.status_code, f"{response.status_code} {response.text.strip()[:200]}".strip())


def _import_library() -> tuple[Any, Any, Any]:
    import requests  # noqa: PLC0415 - slow
    import toxiproxy  # noqa: PLC0415 - slow
    import toxiproxy.api  # noqa: PLC0415 - slow
    import toxiproxy.exceptions  # noqa: PLC0415 - slow

    return toxiproxy, toxiproxy.exceptions, requests


def _proxy(library: Any, name: str) -> Any:
    """The library's handle of a proxy, without asking the server for all proxies there are."""
    return library.Proxy(name=name, upstream="", enabled=True, listen="")


def _content(response: "Response") -> Any:
    try:
        return response.json()
    except ValueError:
        return response.text


def _reason(error: Exception) -> str:
    """Say in a few words what a network error means; urllib3's texts are for programmers."""
    cause: BaseException | None = error
    seen: list[BaseException] = []
    while cause is not None and cause not in seen:
        seen.append(cause)
        if isinstance(cause, ConnectionRefusedError):
            return "connection refused"
        if isinstance(cause, TimeoutError):
            return f"no answer within {ANSWER_S_MAX:g} s"
        cause = cause.__cause__ or cause.__context__
    return f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
