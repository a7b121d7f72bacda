"""The proxies of a server, by name, and what is done to all of them."""

import asyncio
import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final, cast

from harness.toxiproxy import errors
from harness.toxiproxy.body import Fields
from harness.toxiproxy.dice import dice_of
from harness.toxiproxy.proxy import Proxy, ProxySpec

if TYPE_CHECKING:
    from harness.toxics.exchange.match import Follow

_FOLLOWED: Final = ("redis", "http")


class Registry:
    """Changes one at a time: a proxy's start may have to look a name up, and must not meet another change meanwhile."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self._proxies: dict[str, Proxy] = {}
        self._changing = asyncio.Lock()

    def proxies(self) -> list[Proxy]:
        """Return all proxies, sorted by name as Toxiproxy sorts: by its bytes."""
        return [self._proxies[name] for name in sorted(self._proxies, key=str.encode)]

    def get(self, name: str) -> Proxy:
        """Return a proxy. Raises `ApiError` (404)."""
        if name not in self._proxies:
            raise errors.proxy_not_found()
        return self._proxies[name]

    async def create(self, spec: ProxySpec) -> Proxy:
        """Create a proxy and, unless it is to be disabled, start it. Raises `ApiError` (409, 500)."""
        async with self._changing:
            if spec.name in self._proxies:
                raise errors.proxy_exists()
            return await self._put(spec)

    async def update(self, name: str, spec: ProxySpec) -> Proxy:
        """Change a proxy. Raises `ApiError` (404, 500)."""
        async with self._changing:
            proxy = self.get(name)
            await proxy.update(spec)
            return proxy

    async def delete(self, name: str) -> None:
        """End a proxy and give its port back. Raises `ApiError` (404)."""
        async with self._changing:
            self.get(name).remove()
            del self._proxies[name]

    async def populate(self, specs: Sequence[ProxySpec], done: list[Proxy]) -> None:
        """Create these proxies, or replace them, or leave those alone that are as they are to be.

        Each is appended to `done`. Stops at the first that cannot be had. Raises `ApiError` (500).
        """
        async with self._changing:
            for spec in specs:
                there = self._proxies.get(spec.name)
                if there is not None:
                    if not await there.differs(spec):
                        done.append(there)
                        continue
                    there.remove()
                    del self._proxies[spec.name]
                done.append(await self._put(spec))

    async def reset(self) -> None:
        """Enable every proxy and remove every toxic. Raises `ApiError` (500) for a proxy that cannot listen."""
        async with self._changing:
            for proxy in self.proxies():
                await proxy.start()
                for active in list(proxy.actives):
                    proxy.remove_toxic(active)

    def close(self) -> None:
        """End all of them."""
        for proxy in self._proxies.values():
            proxy.remove()
        self._proxies.clear()

    async def _put(self, spec: ProxySpec) -> Proxy:
        proxy = Proxy(spec, lambda connection: dice_of(self.seed, spec.name, connection))
        if spec.enabled is not False:
            try:
                await proxy.start()
            except errors.ApiError:
                proxy.remove()
                raise
        self._proxies[spec.name] = proxy
        return proxy


def parse_spec(value: Any, *, default: ProxySpec | None = None) -> ProxySpec:
    """Return what a decoded body asks for, where it says nothing the default. Raises `ApiError` (400)."""
    fields = Fields(value)
    known = default or ProxySpec(name="", listen="", upstream="")
    enabled = fields.flag("enabled", default=known.enabled is not False)
    follow = fields.text("follow", known.follow or "")
    if follow and follow not in _FOLLOWED:
        raise errors.bad_body(f"follow must be one of {', '.join(_FOLLOWED)}, not {json.dumps(follow)}")
    return ProxySpec(
        name=fields.text("name", known.name),
        listen=fields.text("listen", known.listen),
        upstream=fields.text("upstream", known.upstream),
        enabled=enabled,
        follow=cast("Follow", follow) if follow else None,
    )


def parse_specs(value: Any) -> list[ProxySpec]:
    """Return what a list of proxies asks for, none of it missing what it must have. Raises `ApiError` (400)."""
    if value is not None and not isinstance(value, list):
        raise errors.bad_body("json: cannot unmarshal this into an array of proxies")
    specs = [parse_spec(one) for one in value or []]
    for number, spec in enumerate(specs, 1):
        require(spec, f" at proxy {number}")
    return specs


def require(spec: ProxySpec, where: str = "") -> None:
    """Raise `ApiError` (400) if a name or an upstream is missing."""
    if not spec.name:
        raise errors.missing_field(f"name{where}")
    if not spec.upstream:
        raise errors.missing_field(f"upstream{where}")
