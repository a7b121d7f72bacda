"""Where workers of other machines reach this one: parsing what a person gives, and trying it."""

import ipaddress
import socket

from harness.errors import UsageError
from harness.load.spec import Crew

_PORT_MAX = 65_535


def parse_bind(text: str) -> tuple[str, int]:
    """Return address and port of `ADDRESS:PORT`. Raises `UsageError`.

    An address, and no wildcard: it is also what the workers are told to find the target at.
    """
    address, _, port = text.rpartition(":")
    wrong = UsageError(f"--locust-bind {text!r}: not of the form ADDRESS:PORT with an IPv4 address of this machine")
    try:
        parsed = ipaddress.IPv4Address(address)
    except ValueError:
        raise wrong from None
    if not port.isascii() or not port.isdecimal() or not 1 <= int(port) <= _PORT_MAX:
        raise wrong
    if parsed.is_unspecified:
        raise UsageError(f"--locust-bind {text!r}: give the one address at which workers reach this machine")
    return str(parsed), int(port)


def check_bind(crew: Crew) -> None:
    """Raise `UsageError` if that address is not this machine's, or the port is taken."""
    with socket.socket() as attempt:
        attempt.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            attempt.bind((crew.bind_host, crew.bind_port))
            attempt.listen()
        except OSError as error:
            raise UsageError(f"--locust-bind {crew.bind_host}:{crew.bind_port}: {error.strerror}") from error


def join_command(crew: Crew) -> str:
    """Return what starts a worker elsewhere; it takes the locustfile and all else from the master."""
    return f"locust -f - --worker --master-host {crew.bind_host} --master-port {crew.bind_port}"
