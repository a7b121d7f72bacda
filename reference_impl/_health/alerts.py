"""What people are told, and what not. Pure: times are passed in, on any clock that does not step.

- *Once.* What was told last of each service is remembered, over restarts too; only what differs from it is told. A
  monitor that comes back therefore says nothing, unless something changed meanwhile.
- *The cause, not its consequences.* While something that a service depends on is CRITICAL, nothing is told of the
  service: the alert of the cause names it. As both are found out in any order, a service with dependencies waits until
  each of these was checked since, and is not in doubt; and again after one of them changed, until its own next checks
  had time to notice. It does not wait for ever (`_patience`).
- *Damped.* After several alerts of one service within a window there is one more, `flapping`, and then nothing until it
  has been calm for half a window. Its state is shown truthfully all the while.
"""

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from reference_impl._health.machine import Machine
from reference_impl._health.model import Alert, Options, Service, State, causes_of

_KINDS: Final = {State.HEALTHY: "recovered", State.DEGRADED: "degraded", State.CRITICAL: "down"}


@dataclass(frozen=True, slots=True)
class Told:
    """What was told last of a service, and how many alerts there were before: all that a restart has to know."""

    state: State = State.HEALTHY
    number: int = 0


@dataclass(slots=True)
class _Record:
    told: Told
    recent: deque[float] = field(default_factory=deque)
    flapping: bool = False
    explained_at: float = float("-inf")
    """When its cause was last known to be down."""


class Alerter:
    """Decides what is told."""

    def __init__(
        self, services: Sequence[Service], machines: Mapping[str, Machine], options: Options, told: Mapping[str, Told]
    ) -> None:
        by_name = {service.name: service for service in services}
        self._machines = machines
        self._span = options.flap_span
        self._flap_changes = options.flap_changes
        self._own_wait = options.interval + options.timeout
        self._cause_wait = 2 * options.interval + options.timeout
        self._patience = 2 * self._cause_wait
        self._causes = {name: causes_of(name, by_name) for name in by_name}
        self._affected = {name: tuple(other for other in by_name if name in self._causes[other]) for name in by_name}
        self._open: dict[str, None] = {}
        self._records = {name: _Record(told.get(name, Told())) for name in by_name}

    def due(self, checked: str, now: float, wall: float) -> list[Alert]:
        """Return what is to be told now that this service was checked, and take it as told.

        Looked at are this service and those of which something may be left to tell, not all: there may be hundreds.
        """
        alerts = []
        for name in (checked, *(other for other in self._open if other != checked)):
            alert = self._next(name, now, wall)
            if alert is not None:
                alerts.append(alert)
            record = self._records[name]
            if record.flapping or record.told.state is not self._machines[name].state(now):
                self._open[name] = None
            else:
                self._open.pop(name, None)
        return alerts

    def told(self) -> dict[str, Told]:
        """Return what was told of each service."""
        return {name: record.told for name, record in self._records.items()}

    def _next(self, name: str, now: float, wall: float) -> Alert | None:
        record, machine = self._records[name], self._machines[name]
        state = machine.state(now)
        if state is State.UNKNOWN or machine.changed_at is None:
            return None
        if record.flapping:
            if now - machine.changed_at < self._span / 2:
                return None
            record.flapping = False
            record.recent.clear()
        if state is record.told.state:
            return None
        if state is not State.HEALTHY and self._is_explained(name, now):
            return None
        while record.recent and now - record.recent[0] > self._span:
            record.recent.popleft()
        record.flapping = len(record.recent) >= self._flap_changes
        record.recent.append(now)
        record.told = Told(state, record.told.number + 1)
        return Alert(
            id=f"{name}-{record.told.number}",
            service=name,
            kind="flapping" if record.flapping else _KINDS[state],
            state=state,
            reason=machine.reason,
            affected=self._affected[name],
            at=wall,
        )

    def _is_explained(self, name: str, now: float) -> bool:
        """Tell whether the cause lies elsewhere, or may yet turn out to."""
        record = self._records[name]
        causes = [self._machines[cause] for cause in self._causes[name]]
        if any(cause.state(now) is State.CRITICAL for cause in causes):
            record.explained_at = now
            return True
        unexplained = now - max(self._machines[name].changed_at or 0.0, record.explained_at)
        if not causes or unexplained >= self._patience:
            return False
        return unexplained < self._own_wait or any(self._is_open(cause, now) for cause in causes)

    def _is_open(self, cause: Machine, now: float) -> bool:
        recently = cause.changed_at is not None and now - cause.changed_at < self._cause_wait
        return recently or cause.in_doubt
