"""Requests that the exchange refused for a timestamp that grew old in the client's hands.

A signed request is good for its `recvWindow`. One that is stamped before its turn has come is too old once it had to
wait, and is refused (-1021). Nobody but the client can help that, unless the exchange refused it because it was told
to (the request's `fault`), or something delayed it or moved a clock: a fault of `DELAYS` that held within `_WINDOW_NS`
before it arrived.
"""

from collections.abc import Sequence
from fnmatch import fnmatchcase
from typing import Final

from harness.history.history import History
from harness.history.query import fault_windows
from harness.invariants.exchange_record import Request, margin_ns, merged, overlap_ns, read_exchange
from harness.invariants.findings import Moment, at, counted, finding
from harness.units import seconds
from harness.verdict import Finding

DELAYS: Final = ("network.*", "clock.*", "process.*", "disk.*", "binance.latency", "binance.recv_window")
_OUTSIDE_WINDOW: Final = -1021
_WINDOW_NS: Final = seconds(5)
"""The exchange's default `recvWindow`."""
_REAL_SPARE: Final = 3
"""In the real world a busy machine may hold up a few requests for seconds."""


def grown_old(history: History, exchange: str) -> list[Request]:
    """Return the requests that were refused for a timestamp that nothing but the client made old."""
    record = read_exchange(history, exchange)
    delays = merged(
        [
            (window.start_ns, None if window.end_ns is None else window.end_ns + _WINDOW_NS)
            for window in fault_windows(history)
            if any(fnmatchcase(window.name, pattern) for pattern in DELAYS)
        ],
        history.end_ns + 1,
    )
    old = [
        one
        for one in record.requests
        if one.code == _OUTSIDE_WINDOW and not one.fault and not overlap_ns(delays, one.time_ns, one.time_ns + 1)
    ]
    return old if len(old) > margin_ns(history, 0, _REAL_SPARE) else []


def explain_old(history: History, old: Sequence[Request], exchange: str) -> Finding:
    """Explain what `grown_old` found."""
    sentence = (
        f"{counted(len(old), 'request')} refused for an old timestamp although nothing delayed them (limit 0): "
        f"the first is {old[0]}"
    )
    return finding(
        history,
        sentence,
        old,
        label=lambda one: at(f"{one.method} {one.path}", one.time_ns),
        moments=lambda one: [
            Moment(one.time_ns, exchange, f"{one}: signed too long ago", one.client_id or one.path, offending=True)
        ],
        badness=lambda one: -one.at,
    )
