"""What happened to services, and what a monitor of them said: read from a history, for HM1 to HM6.

*The truth* about a service does not come from the monitor. It is ill while

- it is not running or stands still (the world's own record of its host) or `leaves`, as the run told it to; or
- a fault of the link from the monitor to it holds, or of the link to a service that it depends on, and the link's own
  record shows an effect: what is only said to happen makes nobody ill; or
- a service that it depends on, its *cause* then, is not running or stands still.

Faults in `harmless` (latency below the timeout, say) make nobody ill; under one in `restless` (it flaps, or
its link loses a share of the exchanges) it is ill now and well then, and nothing is demanded of what is shown.

*What the monitor says* is what others see of it: `look` operations of whoever asks it (`states` by service), and the
`alert` observations of its host. *That it checks* is what services see: their `health` operations. When it could work
at all: from the end of its host's `watch` operation, which names interval, timeout and dependencies, to the end of
that life, except while frozen.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from harness.history.history import History
from harness.history.query import (
    FaultWindow,
    Lifetime,
    OperationRecord,
    fault_windows,
    lifetimes,
    link_counts,
    observations,
    operations,
    toxic_counts,
)
from harness.units import ms, seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Watching:
    """How to read it: who monitors, which faults are harmless and which restless, what a world may add to any time."""

    monitor: str = "monitor"
    harmless: tuple[str, ...] = ("network.latency", "network.slice")
    restless: tuple[str, ...] = ("service.flaps", "network.drop_http_reply", "network.reset_http")
    slack_ns: int = ms(150)
    real_slack_ns: int = seconds(2)


DEFAULT_WATCHING: Final = Watching()


@dataclass(frozen=True, slots=True)
class Span:
    """From (inclusive) until (exclusive), in nanoseconds."""

    start_ns: int
    end_ns: int

    def meets(self, start_ns: int, end_ns: int) -> bool:
        """Tell whether any instant of these is one of its own."""
        return self.start_ns < end_ns and start_ns < self.end_ns


@dataclass(frozen=True, slots=True)
class Illness:
    """Why and when a service was ill. `cause` is the service that it was ill for; its own name otherwise."""

    service: str
    span: Span
    cause: str
    restless: bool
    what: str

    @property
    def is_own(self) -> bool:
        """True if the cause is no other service."""
        return self.cause == self.service


@dataclass(frozen=True, slots=True)
class AlertSeen:
    """One alert, as it was handed on."""

    time_ns: int
    service: str
    kind: str

    @property
    def is_clear(self) -> bool:
        """True if it says that all is well again."""
        return self.kind == "recovered"


@dataclass(frozen=True, slots=True)
class HealthRecord:
    """All of it. Times by service are in order. `awake`: when the monitor could work; `lives`: its lives."""

    interval_ns: int
    timeout_ns: int
    slack_ns: int
    depends_on: Mapping[str, tuple[str, ...]]
    awake: tuple[Span, ...]
    lives: tuple[Span, ...]
    illnesses: Mapping[str, tuple[Illness, ...]]
    harmless: Mapping[str, tuple[Span, ...]]
    checks: Mapping[str, tuple[OperationRecord, ...]]
    looks: tuple[OperationRecord, ...]
    alerts: Mapping[str, tuple[AlertSeen, ...]]

    @property
    def detection_ns(self) -> int:
        """What it may take until an outage shows: two intervals and a timeout."""
        return 2 * self.interval_ns + self.timeout_ns + self.slack_ns

    @property
    def recovery_ns(self) -> int:
        """What it may take until health shows: two intervals."""
        return 2 * self.interval_ns + self.slack_ns

    @property
    def alert_ns(self) -> int:
        """What it may take until an outage is told, looking for its cause included: twice the detection."""
        return 2 * (2 * self.interval_ns + self.timeout_ns) + self.slack_ns

    def well(self, service: str, *, within: Span, causes: bool = True) -> tuple[Span, ...]:
        """Return when the service was well; without `causes`, as far as it depends on itself."""
        ill = [one.span for one in self.illnesses.get(service, ()) if causes or one.is_own]
        return without(within, ill)

    def seen(self, span: Span) -> tuple[OperationRecord, ...]:
        """Return the answered looks that began and ended within that span."""
        return tuple(
            look for look in self.looks if look.start_ns >= span.start_ns and (look.end_ns or 0) <= span.end_ns
        )


def state_in(look: OperationRecord, service: str) -> str:
    """Return what the look saw of that service: `absent` if it was not named at all."""
    states = (look.result or {}).get("states", {})
    return str(states.get(service, "absent"))


def without(whole: Span, taken: list[Span]) -> tuple[Span, ...]:
    """Return what is left of a span without others."""
    left, start_ns = [], whole.start_ns
    for span in sorted(taken, key=lambda one: one.start_ns):
        if span.start_ns > start_ns:
            left.append(Span(start_ns, min(span.start_ns, whole.end_ns)))
        start_ns = max(start_ns, span.end_ns)
        if start_ns >= whole.end_ns:
            break
    if start_ns < whole.end_ns:
        left.append(Span(start_ns, whole.end_ns))
    return tuple(span for span in left if span.start_ns < span.end_ns)


def read_health(history: History, watching: Watching = DEFAULT_WATCHING) -> HealthRecord | None:
    """Return the record; None if no monitor ever began to watch."""
    return history.once(("health", watching), lambda: _read(history, watching))


def _read(history: History, watching: Watching) -> HealthRecord | None:
    begun = [one for one in operations(history, "watch") if one.actor == watching.monitor and one.outcome == "ok"]
    if not begun:
        return None
    value = begun[0].value
    depends_on = {str(name): tuple(causes) for name, causes in value["depends_on"].items()}
    alerts: dict[str, list[AlertSeen]] = {}
    for seen in observations(history, "alert"):
        service = str(seen.value.get("service"))
        alerts.setdefault(service, []).append(AlertSeen(seen.time_ns, service, str(seen.value.get("kind"))))
    checks: dict[str, list[OperationRecord]] = {}
    for check in operations(history, "health"):
        checks.setdefault(check.actor, []).append(check)
    return HealthRecord(
        interval_ns=int(value["interval_ns"]),
        timeout_ns=int(value["timeout_ns"]),
        slack_ns=watching.slack_ns if history.header.world == "sim" else watching.real_slack_ns,
        depends_on=depends_on,
        awake=_awake(history, watching.monitor, begun),
        lives=tuple(there for _, there in _lives(history, watching.monitor)),
        illnesses={name: _illnesses(history, watching, name, depends_on[name]) for name in depends_on},
        harmless={name: _harmless(history, watching, name) for name in depends_on},
        checks={name: tuple(ones) for name, ones in checks.items()},
        looks=tuple(look for look in operations(history, "look") if look.outcome == "ok"),
        alerts={name: tuple(ones) for name, ones in alerts.items()},
    )


def _awake(history: History, monitor: str, begun: list[OperationRecord]) -> tuple[Span, ...]:
    spans: list[Span] = []
    ready = {one.incarnation: one.end_ns for one in begun}
    for life, there in _lives(history, monitor):
        start_ns = ready.get(life.incarnation)
        if start_ns is not None and start_ns < there.end_ns:
            spans += without(Span(start_ns, there.end_ns), _frozen(history, life))
    return tuple(spans)


def _lives(history: History, host: str) -> list[tuple[Lifetime, Span]]:
    """Return each life of a host, and when it was there for others: until it died, or left."""
    left_ns = {seen.incarnation: seen.time_ns for seen in observations(history, "leaves") if seen.actor == host}
    found = []
    for life in lifetimes(history):
        if life.name == host:
            end_ns = history.end_ns if life.end_ns is None else life.end_ns
            found.append((life, Span(life.start_ns, min(end_ns, left_ns.get(life.incarnation, end_ns)))))
    return found


def _frozen(history: History, life: Lifetime) -> list[Span]:
    return [Span(from_ns, history.end_ns if until_ns is None else until_ns) for from_ns, until_ns in life.frozen]


def _illnesses(history: History, watching: Watching, name: str, causes: tuple[str, ...]) -> tuple[Illness, ...]:
    found: list[Illness] = []
    for cause in (name, *causes):
        found += [Illness(name, span, cause, restless=False, what="down") for span in _down(history, cause)]
    links = {f"{watching.monitor}->{name}", *(f"{name}->{cause}" for cause in causes)}
    for window in fault_windows(history):
        if window.on in links and window.name not in watching.harmless and _has_bitten(history, window):
            what = f"{window.name} ({window.mode})"
            found.append(Illness(name, _span(history, window), name, window.name in watching.restless, what))
    return tuple(sorted(found, key=lambda one: one.span.start_ns))


def _has_bitten(history: History, window: FaultWindow) -> bool:
    """Tell whether the link has any effect of that time on record."""
    host, _, to = window.on.partition("->")
    met = link_counts(history, window, to, of=host)
    if met.get("refused") or met.get("unreachable"):
        return True
    types = {str(seen.value.get("type")) for seen in observations(history, "toxic")}
    return bool(toxic_counts(history, window, host, to, types))


def _down(history: History, host: str) -> list[Span]:
    """Return when the host did not run, or stood still."""
    lives = _lives(history, host)
    frozen = [span for life, _ in lives for span in _frozen(history, life)]
    return [*without(Span(0, history.end_ns), [there for _, there in lives]), *frozen]


def _harmless(history: History, watching: Watching, name: str) -> tuple[Span, ...]:
    on = f"{watching.monitor}->{name}"
    return tuple(
        _span(history, window)
        for window in fault_windows(history)
        if window.name in watching.harmless and window.on == on
    )


def _span(history: History, window: FaultWindow) -> Span:
    return Span(window.start_ns, history.end_ns if window.end_ns is None else window.end_ns)
