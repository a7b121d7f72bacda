"""What the proxy costs while nothing is toxic: redis-benchmark through it and through a bare pass-through, in turns."""

import shutil
import statistics
import subprocess

import pytest

ROUNDS = 3
CASES = {
    "P1": (["-n", "30000", "-t", "get"], 0.85),
    "P16": (["-n", "300000", "-P", "16", "-t", "get"], 0.85),
    "bulk, 64 KiB up": (["-n", "8000", "-t", "set", "-d", "65536"], 0.7),
    "bulk, 64 KiB down": (["-n", "8000", "-t", "get", "-d", "65536"], 0.7),
}


def rate(port, options):
    """Return requests per second of 50 clients."""
    command = ["redis-benchmark", "-p", str(port), "-c", "50", "--csv", *options]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    return float(done.stdout.strip().splitlines()[-1].split(",")[1].strip('"'))


@pytest.mark.benchmark
@pytest.mark.skipif(shutil.which("redis-benchmark") is None, reason="needs redis-benchmark (Debian: redis-tools)")
@pytest.mark.timeout(600)
@pytest.mark.parametrize("case", CASES)
def test_throughput_against_a_bare_pass_through(case, toxiproxy, bare_proxy, redis_port):
    """The median of the ratios of neighbouring runs is at least what was promised."""
    options, least = CASES[case]
    bare, ours = bare_proxy(redis_port), toxiproxy.proxy(redis_port)
    if "-d" in options:
        rate(redis_port, ["-n", "100", "-t", "set", "-d", "65536"])  # something for GET to find
    pairs = [(rate(bare, options), rate(ours, options)) for _ in range(ROUNDS)]
    ratio = statistics.median(mine / theirs for theirs, mine in pairs)
    medians = [statistics.median(side) for side in zip(*pairs, strict=True)]
    direct = rate(redis_port, options)
    print(f"\n{case}: {ratio:.2f}x of bare ({medians[1]:,.0f} to {medians[0]:,.0f} requests/s; direct {direct:,.0f})")
    assert ratio >= least
