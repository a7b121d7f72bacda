"""Where workers of other machines reach this one, and where a master of theirs is: parsing and trying it."""

import ipaddress
import socket

from harness.errors import UsageError
from harness.load.spec import Crew

_PORT_MAX = 65_535
_CONNECT_S_MAX = 5.0


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
    if not _is_port(port):
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


def parse_master(text: str) -> tuple[str, int]:
    """Return host and port of `HOST:PORT`. Raises `UsageError`."""
    host, _, port = text.rpartition(":")
    if not host or ":" in host or "/" in host or not _is_port(port):
        raise UsageError(f"--locust-master {text!r}: not of the form HOST:PORT")
    return host, int(port)


def check_master(place: tuple[str, int]) -> None:
    """Raise `UsageError` if nobody listens there. Whether it is a Locust master of use to us shows in a run."""
    try:
        socket.create_connection(place, _CONNECT_S_MAX).close()
    except OSError as error:
        raise UsageError(f"--locust-master {place[0]}:{place[1]}: {error.strerror or error}") from error


def local_address(place: tuple[str, int]) -> str:
    """Return this machine's address on the way to that place, where its workers find our proxies."""
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.connect(place)  # of a datagram socket: nothing is sent
            return str(probe.getsockname()[0])
    except OSError as error:
        raise UsageError(f"--locust-master {place[0]}:{place[1]}: {error.strerror or error}") from error


def _is_port(text: str) -> bool:
    return text.isascii() and text.isdecimal() and 1 <= int(text) <= _PORT_MAX
