"""How everything is at one moment: what the API, the page and the figures show."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from reference_impl._health.machine import Machine
from reference_impl._health.model import Service, State, causes_of, overall


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceView:
    """One service. `since` is wall-clock time, `age` seconds since its last check ended; None: never.

    `because` names what it depends on that is CRITICAL, if it is not healthy itself.
    """

    name: str
    state: State
    reason: str
    critical: bool
    depends_on: tuple[str, ...]
    because: tuple[str, ...]
    since: float | None
    age: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """All services at wall-clock time `at`, in seconds."""

    at: float
    overall: State
    services: tuple[ServiceView, ...]

    @property
    def is_complete(self) -> bool:
        """True if something is known of every service."""
        return all(service.state is not State.UNKNOWN for service in self.services)

    def as_json(self) -> dict[str, Any]:
        """Return what `/api/health` answers."""
        return {
            "status": self.overall,
            "at": round(self.at, 3),
            "services": {
                one.name: {
                    "state": one.state,
                    "reason": one.reason,
                    "critical": one.critical,
                    "depends_on": list(one.depends_on),
                    "because": list(one.because),
                    "since": None if one.since is None else round(one.since, 3),
                    "age": None if one.age is None else round(one.age, 3),
                }
                for one in self.services
            },
        }


def take_snapshot(services: Sequence[Service], machines: Mapping[str, Machine], now: float, wall: float) -> Snapshot:
    """Return how everything is now, on the machines' clock; the same moment is `wall` on the wall clock."""
    states = {name: machine.state(now) for name, machine in machines.items()}
    by_name = {service.name: service for service in services}
    views = []
    for service in services:
        machine, state = machines[service.name], states[service.name]
        causes = () if state is State.HEALTHY else causes_of(service.name, by_name)
        views.append(
            ServiceView(
                name=service.name,
                state=state,
                reason="not_checked" if state is State.UNKNOWN else machine.reason,
                critical=service.critical,
                depends_on=service.depends_on,
                because=tuple(name for name in causes if states[name] is State.CRITICAL),
                since=None if machine.changed_at is None else wall - (now - machine.changed_at),
                age=None if machine.checked_at is None else now - machine.checked_at,
            )
        )
    return Snapshot(at=wall, overall=overall(states, services), services=tuple(views))
