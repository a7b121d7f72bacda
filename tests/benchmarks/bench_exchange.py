"""What following a Redis conversation costs: pipelined SET and GET through one conduit, CPU time on one core."""

import time
from collections.abc import Sequence

import pytest

from harness.dependencies.redis.resp import bulk, bulks
from harness.toxics.base import Active
from harness.toxics.conduit import Conduit
from harness.toxics.exchange.match import Follow, RedisMatch

REQUESTS = 8_000
ROUNDS = 3
CEILING_US = 100.0
"""Far above the figures of a quiet machine (2 to 15 us): catches an accidental quadratic, not a busy neighbour."""

UNMATCHED = Active(name="m", stream="upstream", toxic=RedisMatch(action="drop_reply", commands=("DEL",)))


class NoDice:
    """Certain outcomes draw nothing."""

    def below(self, bound: int, /) -> int:
        raise AssertionError(bound)


def measure(pipeline: int, size: int, *, actives: Sequence[Active] = (), follow: Follow | None = "redis") -> float:
    """Return microseconds per request, reply included, of the best round."""
    value = bytes(size)
    asked = b"".join(
        bulks([b"SET", b"key:%08d" % n, value]) + bulks([b"GET", b"key:%08d" % n]) for n in range(pipeline)
    )
    replied = (b"+OK\r\n" + bulk(value)) * pipeline
    rounds = REQUESTS // (2 * pipeline)
    best = float("inf")
    for _ in range(ROUNDS):
        conduit = Conduit(actives, lambda _name: NoDice(), follow=follow)
        begin = time.process_time()
        for _ in range(rounds):
            conduit.feed("upstream", 0, asked)
            conduit.feed("downstream", 0, replied)
        best = min(best, time.process_time() - begin)
    per_request = best / rounds / (2 * pipeline)
    megabytes = (len(asked) + len(replied)) / (2 * pipeline) / per_request / 1e6
    how = "unfollowed" if follow is None else "one rule" if actives else "no rule"
    figures = f"{per_request * 1e6:6.2f} us {1 / per_request:10,.0f}/s {megabytes:8,.1f} MB/s"
    print(f"{2 * pipeline:4} x {size:6} B {how:10} {figures}")
    return per_request * 1e6


@pytest.mark.benchmark
@pytest.mark.parametrize(("pipeline", "size"), [(1, 3), (8, 3), (50, 3), (2, 16_384)])
def test_following_costs(pipeline, size):
    """A request through a followed conduit costs microseconds, with and without a rule to ask."""
    costs = measure(pipeline, size, follow=None), measure(pipeline, size), measure(pipeline, size, actives=[UNMATCHED])
    assert max(costs) < CEILING_US
