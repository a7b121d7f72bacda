"""Addresses as Toxiproxy writes them: `host:port`, `[::1]:port`, `:port` for every interface."""

import asyncio
import ipaddress
import socket
from typing import Final, TypeAlias

from harness.toxiproxy.errors import cannot_listen

SocketAddress: TypeAlias = tuple[str, int]

_PORT_MAX: Final = 65_535
_DIGITS_MAX: Final = 5


class AddressError(ValueError):
    """The text is not an address; says why."""


def split(address: str) -> tuple[str, int]:
    """Return host (without brackets, maybe empty) and port. Raises `AddressError`."""
    host, colon, port = address.rpartition(":")
    if not colon:
        raise AddressError(f"address {address}: missing port in address")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    elif ":" in host:
        raise AddressError(f"address {address}: too many colons in address")
    if "\0" in host:
        raise AddressError(f"lookup {host}: no such host")
    if not port:
        return host, 0
    if not (port.isascii() and port.isdigit() and len(port) <= _DIGITS_MAX and int(port) <= _PORT_MAX):
        raise AddressError(f"address {port}: invalid port")
    return host, int(port)


def show(address: SocketAddress) -> str:
    """Return a socket address as text; that of IPv6 gets brackets."""
    host, port = address
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


async def resolve(listen: str) -> SocketAddress:
    """Return the numeric address to listen on. Raises `ApiError` (500).

    Without a host it is every interface (`::`, where the machine has IPv6), as the person wrote it so. Without any
    address at all it is a free port of 127.0.0.1, not of every interface: who says nothing wants to expose nothing.
    """
    try:
        host, port = split(listen or "127.0.0.1:0")
    except AddressError as problem:
        raise cannot_listen(f": {problem}") from None
    if not host:
        return ("::" if socket.has_dualstack_ipv6() else "0.0.0.0", port)  # noqa: S104 - asked for in so many words
    try:
        return (str(ipaddress.ip_address(host)), port)
    except ValueError:
        pass
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        raise cannot_listen(f": lookup {host}: no such host") from None
    numeric = [(str(address[0]), port) for *_, address in found]
    return next((address for address in numeric if ":" not in address[0]), numeric[0])
