"""Health monitors with one known defect each: what the scenario of patch 10 must catch.

All but `planned` are the reference with one seam replaced, so that nothing else differs.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeAlias

import httpx

from reference_impl._health.alerts import Alerter, Told
from reference_impl._health.machine import Machine
from reference_impl._health.model import Alert, Change, Options, Reading, Service, State
from reference_impl._health.probe import probe
from reference_impl._health.watch import Watch
from reference_impl.flawed._planned_health import PlannedHealthService
from reference_impl.health_service import HealthService
from reference_impl.health_service import make as make_reference

Factory: TypeAlias = Callable[..., Any]

_NEVER = 1_000_000
_SLOW_SHARE = 0.25
_BODY_REASONS = frozenset({"not_json", "no_status", "says_degraded", "says_down"})
"""Reasons that only an answer with status 200 can have."""


class _Sequential(Watch):
    def start(self) -> None:
        """Check one after the other."""
        self._tasks = [asyncio.get_running_loop().create_task(self._watch_all())]

    async def _watch_all(self) -> None:
        now = asyncio.get_running_loop().time
        while True:
            round_began, pauses = now(), []
            for service in self._services:
                began = now()
                reading = await self._check(service)
                pauses.append(self._take(service, reading, now() - began))
            await asyncio.sleep(max(0.0, round_began + min(pauses) - now()))


class _HealthyByDefault(Machine):
    def state(self, now: float) -> State:
        """Take what is not known for healthy."""
        state = super().state(now)
        return State.HEALTHY if state is State.UNKNOWN else state


class _NeverStale(Machine):
    def state(self, now: float) -> State:
        """Return what was found last, however long ago."""
        del now
        return self._state


class _CachesLastGood(Machine):
    def take(self, reading: Reading, now: float) -> Change | None:
        """Take the last good finding for a check that failed, if there was one."""
        if reading.state is State.CRITICAL and self.state(now) is not State.UNKNOWN:
            reading = Reading(State.HEALTHY)
        return super().take(reading, now)


class _Storming(Alerter):
    def _next(self, name: str, now: float, wall: float) -> Alert | None:
        """Tell of what is down after every check."""
        record = self._records[name]
        if record.told.state is not State.HEALTHY and self._machines[name].state(now) is record.told.state:
            record.told = Told(State.HEALTHY, record.told.number)
        return super()._next(name, now, wall)


class _RepeatsIds(Alerter):
    def _next(self, name: str, now: float, wall: float) -> Alert | None:
        """Give every alert of a service the number of its first."""
        alert = super()._next(name, now, wall)
        record = self._records[name]
        record.told = Told(record.told.state)
        return alert


class _WithoutCauses(Alerter):
    def _is_explained(self, name: str, now: float) -> bool:
        """Look for no cause."""
        del name, now
        return False


class _SequentialMonitor(HealthService):
    watch_type = _Sequential


class _HealthyByDefaultMonitor(HealthService):
    machine_type = _HealthyByDefault


class _NeverStaleMonitor(HealthService):
    machine_type = _NeverStale


class _CachingMonitor(HealthService):
    machine_type = _CachesLastGood


class _StormingMonitor(HealthService):
    alerter_type = _Storming


class _RepeatsIdsMonitor(HealthService):
    alerter_type = _RepeatsIds


class _ConsequencesMonitor(HealthService):
    alerter_type = _WithoutCauses


class _ForgettingMonitor(HealthService):
    async def start(self) -> None:
        """Begin without knowing what was told before."""
        self._path.unlink(missing_ok=True)
        await super().start()


class _TrustingMonitor(HealthService):
    async def start(self) -> None:
        """Begin with the states that the history ends with."""
        await super().start()
        now = asyncio.get_running_loop().time()
        for change in self._record.changes:
            self._machines[change["service"]].take(Reading(State(change["to"])), now)


class _StatusOnlyMonitor(HealthService):
    async def _probe(self, service: Service) -> Reading:
        """Take any 200 for health, whatever it says."""
        reading = await super()._probe(service)
        return Reading(State.HEALTHY) if reading.reason in _BODY_REASONS else reading


class _ImpatientMonitor(HealthService):
    async def _probe(self, service: Service) -> Reading:
        """Take a slow answer for none."""
        now = asyncio.get_running_loop().time
        began = now()
        reading = await super()._probe(service)
        return Reading(State.CRITICAL, "timeout") if now() - began > _SLOW_SHARE * self._options.timeout else reading


class _PatientMonitor(HealthService):
    async def _probe(self, service: Service) -> Reading:
        """Leave timeouts to the client, whose timeouts are for each read."""
        return await probe(self._client, service, Options(interval=_NEVER, timeout=_NEVER))


class _OneConnectionMonitor(HealthService):
    def __init__(self, services: Sequence[Service], history_path: Path, **options: Any) -> None:
        super().__init__(services, history_path, **options)
        self._client = httpx.AsyncClient(timeout=self._options.timeout, limits=httpx.Limits(max_connections=1))


def _factory(monitor_type: type[HealthService] = HealthService, **forced: float) -> Factory:
    def make(**given: Any) -> HealthService:
        return make_reference(**{**given, **forced}, monitor_type=monitor_type)

    return make


planned = PlannedHealthService
sequential_polling = _factory(_SequentialMonitor)
healthy_by_default = _factory(_HealthyByDefaultMonitor)
no_hysteresis = _factory(fall=1, rise=1, flap_changes=_NEVER)
alert_storm = _factory(_StormingMonitor, flap_changes=_NEVER)
caches_last_good = _factory(_CachingMonitor)
ok_status_is_healthy = _factory(_StatusOnlyMonitor)
slow_is_down = _factory(_ImpatientMonitor)
shares_one_connection = _factory(_OneConnectionMonitor)
timeout_per_read = _factory(_PatientMonitor)
needs_ten_good_checks = _factory(rise=10)
tells_consequences = _factory(_ConsequencesMonitor)
forgets_what_it_told = _factory(_ForgettingMonitor)
trusts_its_history = _factory(_TrustingMonitor)
never_stale = _factory(_NeverStaleMonitor)
repeats_alert_ids = _factory(_RepeatsIdsMonitor)

VARIANTS: Mapping[str, Factory] = MappingProxyType(
    {
        "planned": planned,
        "sequential_polling": sequential_polling,
        "healthy_by_default": healthy_by_default,
        "no_hysteresis": no_hysteresis,
        "alert_storm": alert_storm,
        "caches_last_good": caches_last_good,
        "ok_status_is_healthy": ok_status_is_healthy,
        "slow_is_down": slow_is_down,
        "shares_one_connection": shares_one_connection,
        "timeout_per_read": timeout_per_read,
        "needs_ten_good_checks": needs_ten_good_checks,
        "tells_consequences": tells_consequences,
        "forgets_what_it_told": forgets_what_it_told,
        "trusts_its_history": trusts_its_history,
        "never_stale": never_stale,
        "repeats_alert_ids": repeats_alert_ids,
    }
)
"""Factories of the shape of `reference_impl.health_service.make`, by name of the defect."""
