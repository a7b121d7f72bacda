"""What may be armed: the menu of faults, as declarations. Who decides when they hit is gate/armed.py."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal, TypeAlias, get_args

Kind: TypeAlias = Literal[
    "too_many_requests",
    "ban",
    "too_many_orders",
    "unknown_error",
    "service_unavailable",
    "throttled",
    "internal_error",
    "bus_unknown",
    "backend_timeout",
    "outside_recv_window",
    "firewall",
    "reject",
    "silent_before",
    "silent_after",
    "reset_before",
    "reset_after",
    "latency",
    "tenant",
    "limits",
    "no_headers",
    "thin_book",
    "price_move",
    "price_fall",
    "stream_disconnect",
    "listen_key_expiry",
]
"""Kinds and their options (defaults in brackets).

- `too_many_requests`: 429 -1003 as if the window were full; {retry_after_ms [the rest of the window]}. Ignoring it
  earns strikes, and so a ban, as ever.
- `ban`: 418 for every request while armed, for a ban of {ms [120000]} imposed when it is armed (not earned).
- `too_many_orders`: -1015 on POST order at status {status [429]}, {retry_after_ms [the rest of the short window]}.
- `unknown_error`: 503 variant A, without `code`; {executed [0.5]: share of hits that take effect all the same,
  after_ms [0]: so long after the answer, but within their `recvWindow`}.
- `service_unavailable`, `throttled`, `internal_error`: 503 variants B, C (-1008; reduce-only and cancels pass), D.
- `bus_unknown` (-1006), `backend_timeout` (-1007): {executed [0.5], after_ms [0]}; status 400 and 408.
- `outside_recv_window`: -1021 at 400, whatever the timestamp.
- `firewall`: 403, HTML body.
- `reject`: an error of the table, {code}, not executed: -2019, -4116, -4164, ...
- `silent_before`, `silent_after`: no answer; not executed, or executed first.
- `reset_before`, `reset_after`: a reset; not executed, or executed first.
- `latency`: {ms [2000]} later, {jitter_ms [0]} more or less; executed on arrival.
- `tenant`: other processes on the IP use {weight_per_s} of weight and {orders_per_s [0]} while armed.
- `limits`: limits times {factor [0.5]}, said by exchangeInfo from then on.
- `no_headers`: answers lack the use headers (and `Retry-After`).
- `thin_book`: every level has {factor [0.05]} of its depth, and does not come back within {refill_ms [5000]}.
- `price_move`: the touch moves by {bps [80]} against each order that hits it, just before it is matched.
- `price_fall`: prices fall by {bps [2000]} within {over_ms [3000]} and stay there; disarmed, they are back at once. Of
  two on one symbol, the one that moved it last holds.
- `stream_disconnect`: user streams are closed, again every {every_ms [1000]} while armed.
- `listen_key_expiry`: listen keys expire at once (listenKeyExpired, then the close), new ones after {ms [1000]}.
"""

KINDS: Final[tuple[Kind, ...]] = get_args(Kind)


@dataclass(frozen=True, slots=True, kw_only=True)
class Arm:
    """One armed fault: `share` of the requests that match are hit, the first `count` of them (0: until disarmed).

    `methods`, `paths` (globs, as `/fapi/v1/order`) and `symbols` narrow it down; empty: all. The control API is never
    hit. Kinds that act on the exchange itself (`tenant`, `limits`, `thin_book`, streams, `ban`) take `symbols` at most.
    """

    kind: Kind
    share: float = 1.0
    count: int = 0
    methods: tuple[str, ...] = ()
    paths: tuple[str, ...] = ()
    symbols: tuple[str, ...] = ()
    options: Mapping[str, Any] = field(default_factory=dict)
