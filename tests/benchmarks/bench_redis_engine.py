"""What one command costs the engine, request bytes in to reply bytes out, without a network."""

import asyncio
import time
from collections.abc import Sequence

import pytest

from harness.dependencies.redis.engine import Engine
from harness.dependencies.redis.protocol import RedisProtocol
from harness.dependencies.redis.resp import bulks
from harness.dependencies.redis.state import RedisState

COMMANDS = 20_000
ROUNDS = 3
CEILING_US = 100.0
"""Far above the figures of a quiet machine (3 to 20 us): catches an accidental quadratic, not a busy neighbour."""


class Sink(asyncio.Transport):
    """Takes replies and remembers the last."""

    def __init__(self):
        super().__init__()
        self.last = b""

    def write(self, data):
        self.last = data

    def set_write_buffer_limits(self, high=None, low=None):
        pass

    def get_extra_info(self, name, default=None):
        return ("127.0.0.1", 1)


def connect():
    protocol = RedisProtocol(Engine(RedisState(now_ns=time.time_ns)))
    sink = Sink()
    protocol.connection_made(sink)
    return protocol, sink


ENTRY = ("event_id", "0123456789abcdef", "type", "tick", "payload", '{"symbol":"BTCUSDT","price":65000.1,"qty":0.5}')


def words(*arguments):
    return bulks([argument.encode() for argument in arguments])


def measure(requests: Sequence[bytes], prepare: Sequence[bytes] = (), per_request: int = 1) -> tuple[float, bytes]:
    """Return (microseconds per command of the best round, last reply)."""
    best, last = float("inf"), b""
    for _ in range(ROUNDS):
        protocol, sink = connect()
        for request in prepare:
            protocol.data_received(request)
        begin = time.perf_counter()
        for request in requests:
            protocol.data_received(request)
        best = min(best, (time.perf_counter() - begin) / len(requests) / per_request * 1e6)
        last = sink.last
    return best, last


CASES = {
    "PING": ([words("PING")] * COMMANDS, [], 1, b"+PONG\r\n"),
    "GET": ([words("GET", "k")] * COMMANDS, [words("SET", "k", "v")], 1, b"$1\r\nv\r\n"),
    "XADD": ([words("XADD", "s", "*", *ENTRY)] * COMMANDS, [], 1, None),
    "XADD, 100 in a pipeline": ([words("XADD", "s", "*", *ENTRY) * 100] * (COMMANDS // 100), [], 100, None),
    "XADD MAXLEN ~": ([words("XADD", "s", "MAXLEN", "~", "1000", "*", *ENTRY)] * COMMANDS, [], 1, None),
    "XREADGROUP + XACK": (
        [
            words("XREADGROUP", "GROUP", "g", "c", "COUNT", "1", "STREAMS", "s", ">")
            + words("XACK", "s", "g", f"{n}-1")
            for n in range(1, COMMANDS + 1)
        ],
        [words("XGROUP", "CREATE", "s", "g", "0", "MKSTREAM")]
        + [words("XADD", "s", f"{n}-1", *ENTRY) for n in range(1, COMMANDS + 1)],
        2,
        None,
    ),
}


@pytest.mark.benchmark
@pytest.mark.parametrize("case", CASES)
def test_cost_of_a_command(case):
    """A command costs microseconds, and as many at the end of a long stream as at its beginning."""
    requests, prepare, per_request, expected = CASES[case]
    cost_us, last = measure(requests, prepare, per_request)
    print(f"\n{case}: {cost_us:.1f} us, {1e6 / cost_us:,.0f} commands/s")
    assert not last.startswith(b"-")
    assert expected is None or last == expected
    assert cost_us < CEILING_US
