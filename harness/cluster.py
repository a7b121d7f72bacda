"""An existing Dask cluster as an executor of campaigns: `--executor dask://host:port`. It needs the extra `dask`.

Dask's part is to find workers and to notice when they are gone; it starts a task anew on another worker when the first
one was lost, three times at most, which is sound here: a seed comes out the same wherever it is run. What it gives up,
and everything once no worker is left or the scheduler is gone, is an ERROR.
"""

import importlib
import logging
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final
from urllib.parse import urlsplit

from harness.errors import UsageError, WorldError
from harness.farm import Farm
from harness.worker_process import one_line

SCHEME: Final = "dask"
_CONNECT_S_MAX: Final = 10.0
_GONE_S: Final = 15.0
"""How long a cluster may be without a worker, or without its scheduler, before it is given up."""


@contextmanager
def cluster(address: str) -> Iterator[Farm]:
    """Connect to the cluster whose scheduler is there, `dask://host:port`, and leave it again.

    Raises `UsageError` if that is no such address or the extra is not installed, `WorldError` if nobody answers.
    """
    place = parse_address(address)
    try:
        distributed: Any = importlib.import_module("distributed")
    except ImportError as error:
        raise UsageError(
            f"--executor {address}: {error}; it takes the extra `dask`: pip install 'trading-chaos-harness[dask]'"
        ) from error
    logging.getLogger("distributed").setLevel(logging.CRITICAL)  # what becomes of the cluster is told by results
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            client: Any = distributed.Client(place, timeout=_CONNECT_S_MAX, set_as_default=False)
    except (OSError, ValueError) as error:  # TimeoutError is an OSError
        raise WorldError(f"--executor {address}: no scheduler answers there: {one_line(error)}") from error
    try:
        threads = _threads(client)
        if threads == 0:
            raise WorldError(f"--executor {address}: the cluster has no worker")
        yield Farm(executor=client.get_executor(pure=False, retries=0), width=threads, gone=_Watch(client).gone)
    finally:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            client.close(timeout=_CONNECT_S_MAX)


def parse_address(address: str) -> str:
    """Return the scheduler's address in Dask's own form. Raises `UsageError`."""
    parts = urlsplit(address)
    try:
        port = parts.port
    except ValueError:
        port = None
    if parts.scheme != SCHEME or not parts.hostname or port is None or parts.path.strip("/"):
        raise UsageError(f"--executor {address!r}: not of the form dask://host:port")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return f"tcp://{host}:{port}"


def _threads(client: Any) -> int:
    return sum(client.nthreads().values())


class _Watch:
    """Notices that a cluster has had no worker, or no scheduler, for too long."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self._since_s: float | None = None

    def gone(self) -> str:
        why = self._trouble()
        if not why:
            self._since_s = None
            return ""
        now_s = time.monotonic()
        if self._since_s is None:
            self._since_s = now_s
        return why if now_s - self._since_s > _GONE_S else ""

    def _trouble(self) -> str:
        if self._client.status != "running":
            return "the cluster's scheduler is gone"
        try:
            return "" if _threads(self._client) else "the cluster has no worker any more"
        except Exception as error:  # noqa: BLE001 - whatever its client raises, it did not answer
            return f"the cluster's scheduler does not answer: {one_line(error)}"
