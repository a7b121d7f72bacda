"""The HTTP API: Toxiproxy's, to the byte, and our extensions `GET /effects` and `POST .../abort_connections`.

Starlette routes; what it would add of its own (redirects, HEAD, its error pages) is turned off. As in the original,
unknown paths and methods are told so before a browser is sent away, and answers that are errors call themselves text.
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from prometheus_client import CONTENT_TYPE_LATEST
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from harness.toxiproxy import errors
from harness.toxiproxy.body import decode, encode
from harness.toxiproxy.metrics import exposition
from harness.toxiproxy.proxy import Proxy, ProxySpec
from harness.toxiproxy.registry import Registry, parse_spec, parse_specs, require
from harness.toxiproxy.views import change_toxic, parse_toxic, show_proxy, show_toxic, show_toxics

VERSION: Final = "2.12.0"
"""Whose behaviour this is. Clients decide by it what they may ask for."""

BODY_BYTES_MAX: Final = 8 * 1024 * 1024

_JSON: Final = "application/json"
_TEXT: Final = "text/plain; charset=utf-8"

Endpoint = Callable[[Request], Awaitable[Response]]


def application(registry: Registry) -> Starlette:
    """Return the API of these proxies as an ASGI application."""
    api = _Api(registry)
    one, toxics = "/proxies/{proxy}", "/proxies/{proxy}/toxics"
    paths: list[tuple[str, dict[str, Endpoint]]] = [
        ("/reset", {"POST": api.reset}),
        ("/proxies", {"GET": api.list_proxies, "POST": api.create_proxy}),
        ("/populate", {"POST": api.populate}),
        (one, {"GET": api.show, "POST": api.update_proxy, "PATCH": api.update_proxy, "DELETE": api.delete_proxy}),
        (f"{one}/abort_connections", {"POST": api.abort_connections}),
        (toxics, {"GET": api.list_toxics, "POST": api.create_toxic}),
        (
            toxics + "/{toxic}",
            {
                "GET": api.show_one_toxic,
                "POST": api.update_toxic,
                "PATCH": api.update_toxic,
                "DELETE": api.delete_toxic,
            },
        ),
        ("/version", {"GET": api.version}),
        ("/metrics", {"GET": api.metrics}),
        ("/effects", {"GET": api.effects}),
    ]
    app = Starlette(routes=[_route(path, by_method) for path, by_method in paths])
    app.router.redirect_slashes = False
    app.add_exception_handler(404, _no_such_path)
    return app


def _route(path: str, by_method: Mapping[str, Endpoint]) -> Route:
    """Return a route that answers every method: one that is not allowed gets an empty 405."""

    async def endpoint(request: Request) -> Response:
        act = by_method.get(request.method)
        if act is None:
            return Response(status_code=405)
        if request.headers.get("user-agent", "").startswith("Mozilla/"):
            return _plain("User agent not allowed", 403)
        try:
            return await act(request)
        except errors.ApiError as problem:
            return _plain(encode({"error": problem.text, "status": problem.status}).decode(), problem.status)
        except ClientDisconnect:
            return Response(status_code=400)  # nobody reads it

    route = Route(path, endpoint)
    route.methods = None  # every method
    return route


class _Api:
    """The calls. Each raises `ApiError` for what its text says."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry

    async def list_proxies(self, request: Request) -> Response:
        del request
        return _json({proxy.name: show_proxy(proxy) for proxy in self._registry.proxies()})

    async def create_proxy(self, request: Request) -> Response:
        spec = parse_spec(await _body(request))
        require(spec)
        return _json(show_proxy(await self._registry.create(spec)), 201)

    async def show(self, request: Request) -> Response:
        return _json(show_proxy(self._proxy(request)))

    async def update_proxy(self, request: Request) -> Response:
        proxy = self._proxy(request)
        value = await _body(request)
        now = ProxySpec(
            name=proxy.name, listen=proxy.listen, upstream=proxy.upstream, enabled=proxy.enabled, follow=proxy.follow
        )
        return _json(show_proxy(await self._registry.update(proxy.name, parse_spec(value, default=now))))

    async def delete_proxy(self, request: Request) -> Response:
        await self._registry.delete(self._proxy(request).name)
        return Response(status_code=204)

    async def populate(self, request: Request) -> Response:
        done: list[Proxy] = []
        try:
            await self._registry.populate(parse_specs(await _body(request)), done)
        except errors.ApiError as problem:
            shown = [show_proxy(proxy) for proxy in done] or None
            return _json({"error": problem.text, "status": problem.status, "proxies": shown}, problem.status)
        return _json({"proxies": [show_proxy(proxy) for proxy in done] or None}, 201)

    async def reset(self, request: Request) -> Response:
        del request
        await self._registry.reset()
        return Response(status_code=204)

    async def abort_connections(self, request: Request) -> Response:
        """Reset every connection of a proxy, now."""
        return _json({"aborted": self._proxy(request).reset_connections()})

    async def list_toxics(self, request: Request) -> Response:
        return _json(show_toxics(self._proxy(request)))

    async def create_toxic(self, request: Request) -> Response:
        proxy = self._proxy(request)
        active = parse_toxic(await _body(request))
        proxy.add_toxic(active)
        return _json(show_toxic(active))

    async def show_one_toxic(self, request: Request) -> Response:
        return _json(show_toxic(self._proxy(request).toxic(request.path_params["toxic"])))

    async def update_toxic(self, request: Request) -> Response:
        proxy = self._proxy(request)
        value = await _body(request)
        active = proxy.toxic(request.path_params["toxic"])
        change_toxic(active, value)
        proxy.change_toxic(active)
        return _json(show_toxic(active))

    async def delete_toxic(self, request: Request) -> Response:
        proxy = self._proxy(request)
        proxy.remove_toxic(proxy.toxic(request.path_params["toxic"]))
        return Response(status_code=204)

    async def version(self, request: Request) -> Response:
        del request
        return _answer(f'{{"version": "{VERSION}"}}\n'.encode(), 200, "application/json;charset=utf-8")

    async def metrics(self, request: Request) -> Response:
        del request
        return _answer(exposition(self._registry.proxies()), 200, CONTENT_TYPE_LATEST)

    async def effects(self, request: Request) -> Response:
        """What went through each proxy, and what each of its toxics really did."""
        del request
        proxies = {proxy.name: proxy.effects() for proxy in self._registry.proxies()}
        return _json({"seed": self._registry.seed, "proxies": proxies})

    def _proxy(self, request: Request) -> Proxy:
        return self._registry.get(request.path_params["proxy"])


async def _body(request: Request) -> Any:
    """Return the decoded body. Raises `ApiError` (400)."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > BODY_BYTES_MAX:
            raise errors.bad_body(f"more than {BODY_BYTES_MAX} bytes")
    return decode(bytes(body))


async def _no_such_path(request: Request, problem: Exception) -> Response:
    del request, problem
    return _plain("404 page not found", 404)


def _plain(text: str, status: int) -> Response:
    """Return an error as the original's HTTP library writes it: as text, with a line end."""
    return _answer(f"{text}\n".encode(), status, _TEXT, {"X-Content-Type-Options": "nosniff"})


def _json(value: Any, status: int = 200) -> Response:
    return _answer(encode(value), status, _JSON)


def _answer(body: bytes, status: int, content_type: str, headers: Mapping[str, str] | None = None) -> Response:
    return Response(body, status, {"Content-Type": content_type, **(headers or {})})
