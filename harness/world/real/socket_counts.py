"""How many bytes the kernel has moved over a listening port's connections: `NETLINK_SOCK_DIAG`, what `ss -ti` shows.

For a proxy that is not ours this is what its faults are proved by. (Its own Prometheus counters grow only when a
connection ends, by all that it carried in its life: they cannot tell what happened while a toxic was there.) Two
readings and a difference undercount, if anything: a connection that ended in between is not in the second reading.
"""

import os
import socket
import struct
from collections.abc import Iterator
from typing import Final

_SOCK_DIAG: Final = 4
_BY_FAMILY: Final = 20
_DUMP: Final = 0x301  # NLM_F_REQUEST | NLM_F_DUMP
_DONE: Final = 3
_ERROR: Final = 2
_INFO: Final = 2
_LIVING_STATES: Final = 1 << 1 | 1 << 4 | 1 << 5 | 1 << 8  # ESTABLISHED, FIN_WAIT1, FIN_WAIT2, CLOSE_WAIT
_HEADER: Final = struct.Struct("=IHHII")
_REQUEST: Final = struct.Struct("=BBBxI2H16s16sI8s")
_MESSAGE_BYTES: Final = 72
_COOKIE: Final = slice(44, 52)
_COUNTS: Final = struct.Struct("=128xQ64xQ")  # of struct tcp_info: tcpi_bytes_received, tcpi_bytes_sent (Linux 4.19)
_ANSWER_S_MAX: Final = 2.0

Counts = dict[bytes, tuple[int, int]]
"""Of each connection (by the kernel's cookie): bytes received from the client, bytes sent to it."""


def read(port: int) -> Counts | None:
    """Return the counts of the living connections accepted at that IPv4 port; None if the kernel does not tell."""
    try:
        with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _SOCK_DIAG) as netlink:
            netlink.settimeout(_ANSWER_S_MAX)
            body = _REQUEST.pack(
                socket.AF_INET,
                socket.IPPROTO_TCP,
                1 << (_INFO - 1),
                _LIVING_STATES,
                socket.htons(port),
                0,
                b"",
                b"",
                0,
                b"",
            )
            netlink.send(_HEADER.pack(_HEADER.size + len(body), _BY_FAMILY, _DUMP, 1, 0) + body)
            return dict(_connections(netlink, port))
    except (OSError, AttributeError):  # no netlink here, or it is forbidden
        return None


def grown(before: Counts, after: Counts) -> tuple[int, int]:
    """Return how many bytes were received and sent between two readings, at least."""
    none = (0, 0)
    received = sum(count[0] - before.get(cookie, none)[0] for cookie, count in after.items())
    sent = sum(count[1] - before.get(cookie, none)[1] for cookie, count in after.items())
    return received, sent


def _connections(netlink: socket.socket, port: int) -> Iterator[tuple[bytes, tuple[int, int]]]:
    while True:
        data = netlink.recv(1 << 18)
        at = 0
        while at + _HEADER.size <= len(data):
            size, kind, *_ = _HEADER.unpack_from(data, at)
            if kind == _DONE:
                return
            if kind == _ERROR:
                (code,) = struct.unpack_from("=i", data, at + _HEADER.size)
                raise OSError(-code, os.strerror(-code))
            message = data[at + _HEADER.size : at + size]
            if int.from_bytes(message[4:6], "big") == port:  # the kernel need not heed the port in the request
                counts = _tcp_info(message)
                if counts is not None:
                    yield message[_COOKIE], counts
            at += (size + 3) & ~3


def _tcp_info(message: bytes) -> tuple[int, int] | None:
    at = _MESSAGE_BYTES
    while at + 4 <= len(message):
        size, kind = struct.unpack_from("=HH", message, at)
        if kind == _INFO and size >= 4 + _COUNTS.size:
            received, sent = _COUNTS.unpack_from(message, at + 4)
            return received, sent
        at += max((size + 3) & ~3, 4)
    return None
