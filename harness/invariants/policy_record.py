"""What a history says of a policy and its readers, and how old a policy that was read really was.

Observations, of the hosts: `policy` {version, stale, source, profile, limits, caps, age_ns, looked_ns}, what one read
returned: limits are risk of a trade and loss of a day in basis points, and leverage; version 0 means that no policy is
known; `age_ns` is the age that the store told (None: none), `looked_ns` the time just before the read (None: it is not
known). `policy_ages` {max_age_ns, hard_limit_ns}, what the host's store was told to go by. Operations: `update` {sets,
adds} with its `version`.

The *true age* of what was read is computed from what happened to the reader and to Redis, not from what the store
said: it is the time since the last moment at which the reader could have heard that this version is the newest, that
is, at which Redis could be reached from its host, the host was alive, and no update with a higher version had been
acked. (A fault counts as having cut it off if the links, or the server's death, show that it did something.) It is
never more than what any store could have known; a store that knows less says stale sooner. A host whose files were
damaged, and that could not reach Redis since, knows nothing: the true age is unknown.
"""

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from harness.history.events import HostChanged
from harness.history.history import History
from harness.history.query import (
    FaultWindow,
    OperationRecord,
    Window,
    fault_windows,
    lifetimes,
    link_counts,
    observations,
    operations,
    toxic_counts,
)
from harness.invariants.exchange_record import merged
from harness.invariants.findings import Moment

_GONE: Final[Mapping[str, frozenset[str]]] = {
    "redis.outage": frozenset({"refuse", "hang", "crash", "crash-lose-window", "crash-lose-all"}),
    "redis.replies": frozenset({"loading", "noauth"}),
}
"""Faults of the server, and their modes, in which no reader gets an answer. A server that flaps gives some."""
_CUT: Final = frozenset({"network.partition", "network.refuse", "network.half_open"})
_TOXICS: Final = frozenset({"partition", "half_open"})
_LOST: Final = ("held", "lost", "dropped")


@dataclass(frozen=True, slots=True)
class Read:
    """One read of one host."""

    host: str
    time_ns: int
    version: int
    stale: bool
    source: str
    profile: str
    limits: tuple[int, ...]
    caps: Mapping[str, Any]
    age_ns: int | None = None
    looked_ns: int | None = None

    def moment(self, *, offending: bool = False, more: str = "") -> Moment:
        """Return the row of it."""
        said = "stale" if self.stale else "fresh"
        return Moment(
            self.time_ns, self.host, f"read {self.profile}, {said}{more}", f"version {self.version}", offending
        )


@dataclass(frozen=True, slots=True)
class _Reader:
    """What became of one host: when it could not hear from Redis, and when its files were damaged, in order."""

    away: Sequence[tuple[int, int]]
    damaged: Sequence[tuple[int, int]]
    ages: tuple[int, int] | None


@dataclass(frozen=True, slots=True)
class PolicyRecord:
    """Everything of one history, in the order of time; `acked` holds (end, version) of acked updates, by version."""

    reads: tuple[Read, ...]
    updates: tuple[OperationRecord, ...]
    acked: tuple[tuple[int, int], ...]
    _superseded: Mapping[int, int]
    _readers: Mapping[str, _Reader]

    def ages(self, host: str) -> tuple[int, int] | None:
        """Return the age and the hard limit that the host's store was told, in nanoseconds; None if nothing was."""
        return self._readers[host].ages

    def heard_ns(self, host: str, time_ns: int) -> int:
        """Return the last instant up to then at which the host could have asked Redis, and been answered."""
        return _last_outside(self._readers[host].away, time_ns)

    def true_age_ns(self, read: Read) -> int | None:
        """Return how old the policy was that this read returned; None if its host could not know of any."""
        if not read.version:
            return None
        reader = self._readers[read.host]
        heard_ns = self.heard_ns(read.host, read.time_ns)
        damaged = [window for window in reader.damaged if window[0] <= read.time_ns]
        if damaged and heard_ns <= damaged[-1][1]:
            return None
        position = bisect_right(self.acked, read.version, key=lambda one: one[1])
        superseded_ns = self._superseded.get(position, read.time_ns)
        return read.time_ns - min(heard_ns, superseded_ns)


def read_policy(history: History) -> PolicyRecord:
    """Return what is in the history; computed once."""
    return history.once("policy_record", lambda: _read(history))


def dead_windows(history: History, host: str) -> list[Window]:
    """Return when the host was dead or stood still."""
    lives = [life for life in lifetimes(history) if life.name == host]
    started = {life.incarnation: life.start_ns for life in lives}
    dead: list[Window] = [
        (life.end_ns, started.get(life.incarnation + 1))
        for life in lives
        if life.end_ns is not None and life.ending in {"killed", "powered_off", "failed"}
    ]
    return dead + [window for life in lives for window in life.frozen]


def damages(history: History, host: str) -> list[Window]:
    """Return the faults in which files of the host really were damaged."""
    seen = [one.time_ns for one in observations(history, "damage") if one.actor == host]
    return [
        (window.start_ns, window.end_ns)
        for window in fault_windows(history, "disk.damage")
        if window.on == host and any(window.start_ns <= time_ns <= (window.end_ns or time_ns) for time_ns in seen)
    ]


def _read(history: History) -> PolicyRecord:
    reads = tuple(
        Read(
            seen.actor,
            seen.time_ns,
            int(seen.value["version"]),
            bool(seen.value["stale"]),
            str(seen.value["source"]),
            str(seen.value["profile"]),
            tuple(seen.value["limits"]),
            seen.value["caps"],
            seen.value.get("age_ns"),
            seen.value.get("looked_ns"),
        )
        for seen in observations(history, "policy")
    )
    updates = operations(history, "update")
    acked = sorted(
        (
            (one.end_ns, int(one.result["version"]))
            for one in updates
            if one.outcome == "ok" and one.end_ns is not None and one.result is not None
        ),
        key=lambda one: one[1],
    )
    superseded: dict[int, int] = {}
    for position in range(len(acked) - 1, -1, -1):
        superseded[position] = min(acked[position][0], superseded.get(position + 1, acked[position][0]))
    hosts = {read.host for read in reads}
    readers = {host: _reader(history, host) for host in sorted(hosts)}
    return PolicyRecord(reads, updates, tuple(acked), superseded, readers)


def _reader(history: History, host: str) -> _Reader:
    away = dead_windows(history, host)
    for window in fault_windows(history):
        span = (window.start_ns, window.healing_ns)
        if _was_gone(history, window) or _was_cut_off(history, window, host):
            away.append(span)
    told = [seen.value for seen in observations(history, "policy_ages") if seen.actor == host]
    ages = (int(told[-1]["max_age_ns"]), int(told[-1]["hard_limit_ns"])) if told else None
    return _Reader(merged(away, history.end_ns), merged(damages(history, host), history.end_ns), ages)


def _was_gone(history: History, window: FaultWindow) -> bool:
    """Tell whether the server really answered nobody."""
    if window.mode not in _GONE.get(window.name, ()):
        return False
    met = link_counts(history, window, window.on)
    said = (*observations(history, "unanswered"), *observations(history, "refused_commands"))
    died = (
        isinstance(event, HostChanged) and event.actor == window.on and event.change == "killed"
        for event in history.between(window.start_ns, window.end_ns)
    )
    until_ns = history.end_ns if window.end_ns is None else window.end_ns
    return (
        met.get("refused", 0) + met.get("reset", 0) > 0
        or any(one.actor == window.on and window.start_ns <= one.time_ns <= until_ns for one in said)
        or any(died)
    )


def _was_cut_off(history: History, window: FaultWindow, host: str) -> bool:
    """Tell whether the host's link really was broken."""
    by, _, dependency = window.on.partition("->")
    if window.name not in _CUT or by != host:
        return False
    lost = toxic_counts(history, window, host, dependency, _TOXICS)
    met = link_counts(history, window, dependency, of=host)
    return any(lost.get(effect) for effect in _LOST) or met.get("refused", 0) + met.get("unreachable", 0) > 0


def _last_outside(windows: Sequence[tuple[int, int]], time_ns: int) -> int:
    """Return the last instant up to then that lies in none of the windows."""
    for start_ns, end_ns in windows:
        if start_ns <= time_ns < end_ns:
            return start_ns
    return time_ns
