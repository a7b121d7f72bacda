"""WS1 to WS8 as the dashboard scenarios state them, and the flawed variants that prove them."""

from typing import Any, Final

from harness.experiment import Exploring, cannot_bear
from harness.faults import network, process
from harness.faults.base import Fault
from harness.invariants.base import Invariant
from harness.invariants.feed_accounts import accounted
from harness.invariants.feed_bounds import contained
from harness.invariants.feed_critical import critical_heard
from harness.invariants.feed_guard import guarded
from harness.invariants.feed_kept import kept
from harness.invariants.feed_latency import prompt
from harness.invariants.feed_rate import rated
from harness.invariants.feed_resume import returned
from harness.scenario import FlawedVariant
from scenarios.dashboard_hosts import DASHBOARD

REFERENCE: Final = {"dashboard": "reference_impl.dashboard_ws:make"}
OPTIONS: Final[dict[str, Any]] = {
    "heartbeat": 1.0,
    "ping_every": 1.0,
    "silence_timeout": 3.0,
    "stall_timeout": 2.0,
    "hello_timeout": 1.5,
}
"""Patience of the server, in seconds: shorter than usual, as runs are."""
REMOTE: Final = "remote"
"""The host of the clients whose network breaks."""
EXPLORED: Final = Exploring(
    budget=(
        # To whom a broken link leads, or in whose link another answers, comes late, whatever the server does.
        *cannot_bear(
            "network.* on watchers->*",
            "process.* on watchers",
            "network.half_open/* on remote->*",
            invariants=("WS3", "WS5"),
        ),
        *cannot_bear("service.* on watchers->*", invariants=("WS3", "WS5", "WS6", "WS8")),
        *cannot_bear("network.* on intruders->*", "service.* on intruders->*", invariants=("WS7",)),
        # What cannot be stored is not promised to anybody.
        *cannot_bear("disk.full/* on dashboard", invariants=("WS3", "WS5", "WS6")),
    )
)


def invariants(*ids: str) -> tuple[Invariant, ...]:
    """Return WS1 to WS8, or those of them."""
    every = (accounted(), rated(), prompt(), contained(), critical_heard(), returned(), guarded(), kept())
    return tuple(one for one in every if not ids or one.id in ids)


def flawed(name: str, *caught_by: str) -> FlawedVariant:
    """Return the dashboard's flawed variant of that name, to be caught by any of these invariants."""
    return FlawedVariant(
        port="dashboard", name=name, factory=f"reference_impl.flawed.dashboard_ws:{name}", caught_by=caught_by
    )


def slow_ways(host: str = REMOTE) -> tuple[Fault, ...]:
    """Return ways in which what a client is sent comes late, or in pieces."""
    return (
        network.latency(host, DASHBOARD, latency_ms=120, jitter_ms=80),
        network.slices(host, DASHBOARD, average_bytes=90, variation_bytes=60, delay_us=2_000),
        network.bandwidth(host, DASHBOARD, rate_kb_s=3),
    )


def broken_ways(host: str = REMOTE, *, power: bool = True) -> tuple[Fault, ...]:
    """Return ways in which clients lose the server, some without a word; `power` only where it can be switched off."""
    return (
        *((process.power_off(host),) if power else ()),
        network.half_open(host, DASHBOARD),
        network.reset(host, DASHBOARD),
        network.partition(host, DASHBOARD),
        network.refuse(host, DASHBOARD),
        process.freeze(host),
        process.kill(host),
    )
