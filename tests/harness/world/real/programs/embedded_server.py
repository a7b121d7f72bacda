"""An embedded server in a process of its own, for tests: also to stand for one that is not ours."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from harness.world.real.proxy_api import ProxyPlace


@contextmanager
def embedded() -> Iterator[ProxyPlace]:
    """Run one; it ends with the block."""
    reading, writing = os.pipe()
    process = subprocess.Popen(
        [sys.executable, "-m", "harness.toxiproxy", "--port", "0", "--seed", "1", "--ready-fd", str(writing)],
        pass_fds=(writing,),
    )
    os.close(writing)
    try:
        with os.fdopen(reading) as ready:
            host, _, port = ready.readline().strip().rpartition(":")
        yield ProxyPlace(host=host, port=int(port))
    finally:
        process.kill()
        process.wait()
