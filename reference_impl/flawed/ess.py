"""Emergency stops with one known defect each: what the scenarios of patch 7 must catch.

All but `planned` are the reference with one seam replaced, so that nothing else differs.
"""

import asyncio
import contextlib
import math
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeAlias

from fastapi import FastAPI

from reference_impl._ess.gate import OrderGate, Pass
from reference_impl._ess.keeper import Keeper
from reference_impl._ess.machine import Decision, Event, MetricsSeen, ResetAsked, Tick, decide
from reference_impl._ess.model import SYSTEM, Incident, Limits, OrdersStoppedError, Reading, Standing, State, Transition
from reference_impl._ess.outbox import Outbox
from reference_impl._ess.routes import Stop, application
from reference_impl._ess.shell import Shell
from reference_impl._ess.stopping import Stopping
from reference_impl._ess.store import Commit, Opened, Store
from reference_impl._http.tokens import Tokens
from reference_impl.ess import EmergencyStopSystem
from reference_impl.flawed._planned_ess import PlannedEss

Factory: TypeAlias = Callable[..., Any]

_RISK_CHECK = 0.1  # seconds between the check and the order that it allowed
_WRITE_BEHIND = 2.0  # seconds between the ack and the commit that it promised
_PATIENCE = 0.05  # seconds given to one attempt to publish


def _ignores_breaches(standing: Standing, event: Event, now: float, limits: Limits) -> Decision:
    """Arm whatever the figures say."""
    if isinstance(event, MetricsSeen) or standing.state is State.ARMED:
        return decide(standing, event, now, limits)
    decision = decide(replace(standing, reading=Reading((), now)), event, now, limits)
    return replace(decision, standing=replace(decision.standing, reading=standing.reading))


def _resets_whatever_trip(standing: Standing, event: Event, now: float, limits: Limits) -> Decision:
    """Take any reset for one of the last trip."""
    if isinstance(event, ResetAsked):
        event = replace(event, trip=standing.trip)
    return decide(standing, event, now, limits)


class _WallClock:
    """Has the cooldown end at a time of the wall clock."""

    def __init__(self) -> None:
        self._ends = math.inf

    def __call__(self, standing: Standing, event: Event, now: float, limits: Limits) -> Decision:
        if standing.state is State.COOLING_DOWN and isinstance(event, MetricsSeen | Tick):
            over = time.time() >= self._ends
            standing = replace(standing, cooled_s=limits.cooldown_s if over else 0.0, since=now)
        decision = decide(standing, event, now, limits)
        if decision.transition is not None and decision.transition.target is State.COOLING_DOWN:
            self._ends = time.time() + limits.cooldown_s
        return decision


class _Unhurried(Pass):
    async def __aenter__(self) -> None:
        """Check, think about it, and go."""
        if not self.gate.allows():
            raise OrdersStoppedError("orders are stopped")
        await asyncio.sleep(_RISK_CHECK)
        self.go_in()


class _ChecksThenActs(OrderGate):
    pass_type = _Unhurried


class _LetsFinish(OrderGate):
    def shut(self) -> None:
        """Let nobody in any more, and leave alone whoever is inside."""
        self.is_shut = True

    async def drained(self) -> None:
        """Wait for nobody."""


class _Fresh(Store):
    def open(self) -> Opened:
        """Begin anew at each start."""
        self._files.database.unlink(missing_ok=True)
        return self._create(None)


class _TrustsNothingFound(Store):
    def open(self) -> Opened:
        """Take a file that cannot be read for none."""
        opened = super().open()
        if opened.missed is not None:
            self._files.permit()
        return replace(opened, missed=None)


class _PersonsOnly(Store):
    def trail(self) -> Sequence[Transition]:
        """Tell of what persons did."""
        return [row for row in super().trail() if row.actor != SYSTEM]


class _WritesBehind(Keeper):
    async def write(self, standing: Standing, transition: Transition | None) -> None:
        """Have it written in a while, with what comes until then."""
        self._unwritten.append(Commit(standing=standing, transition=transition))
        asyncio.get_running_loop().call_later(_WRITE_BEHIND, self._later)

    async def write_trip(self, standing: Standing, transition: Transition) -> None:
        """Treat a trip as everything else."""
        await self.write(standing, transition)

    def _later(self) -> None:
        self._writing = asyncio.ensure_future(self.retry())


class _ForgetsNonces(Keeper):
    async def use_nonce(self, operator: str, nonce: str) -> bool:
        """Take each id for a new one."""
        del operator, nonce
        return True


class _KeepsNoRefusals(Keeper):
    async def note(self, incident: Incident) -> None:
        """Keep what went wrong here, not what was refused to others."""
        if incident.kind != "refused_call":
            await super().note(incident)


class _FiresAndForgets(Outbox):
    _started = False

    def add(self, transitions: Iterable[Transition]) -> None:
        """Publish once; what an earlier life left, which is what is added first, is forgotten."""
        if self._started:
            for transition in transitions:
                self._sending = asyncio.ensure_future(self._send(transition))
        self._started = True

    async def _send(self, transition: Transition) -> None:
        with contextlib.suppress(Exception):
            async with asyncio.timeout(_PATIENCE):
                await self._publish(transition.event_type, transition.payload())


class _CancelsNothing(Stopping):
    async def _stop(self, trip: str) -> None:
        await self._gate.drained()
        await self._done(trip)


class _CancelsNothingShell(Shell):
    stopping_type = _CancelsNothing


class _BelievesAll(Tokens):
    def operator(self, authorization: Sequence[bytes]) -> str | None:
        """Take everybody for an operator."""
        return super().operator(authorization) or next(iter(self._digests))


def _open_application(stop: Stop, tokens: Mapping[str, str]) -> FastAPI:
    return application(stop, tokens, who=_BelievesAll(tokens))


class _IgnoresBreaches(EmergencyStopSystem):
    decide = staticmethod(_ignores_breaches)


class _ResetsWhateverTrip(EmergencyStopSystem):
    decide = staticmethod(_resets_whatever_trip)


class _WallClockStop(EmergencyStopSystem):
    def __init__(self, *args: Any, **options: Any) -> None:
        self.decide = _WallClock()  # one of its own, as it remembers
        super().__init__(*args, **options)


class _NanIsNothing(EmergencyStopSystem):
    async def update_metrics(self, *, daily_drawdown: float, open_loss: float) -> State:
        """Compare with the limits: what is no number is above none of them."""
        figures = [value if math.isfinite(value) else 0.0 for value in (daily_drawdown, open_loss)]
        return await super().update_metrics(daily_drawdown=figures[0], open_loss=figures[1])


class _RacyStop(EmergencyStopSystem):
    gate_type = _ChecksThenActs


class _LetsFinishStop(EmergencyStopSystem):
    gate_type = _LetsFinish


class _FreshStop(EmergencyStopSystem):
    store_type = _Fresh


class _CarelessStop(EmergencyStopSystem):
    store_type = _TrustsNothingFound


class _PersonsOnlyStop(EmergencyStopSystem):
    store_type = _PersonsOnly


class _WritesBehindStop(EmergencyStopSystem):
    keeper_type = _WritesBehind


class _ReplayableStop(EmergencyStopSystem):
    keeper_type = _ForgetsNonces


class _DiscreetStop(EmergencyStopSystem):
    keeper_type = _KeepsNoRefusals


class _ForgetfulStop(EmergencyStopSystem):
    outbox_type = _FiresAndForgets


class _CancelsNothingStop(EmergencyStopSystem):
    shell_type = _CancelsNothingShell


class _OpenStop(EmergencyStopSystem):
    api = staticmethod(_open_application)


def _make(stop_type: type[EmergencyStopSystem], *, directory: Path, name: str, **options: Any) -> EmergencyStopSystem:
    return stop_type(directory, name, **options)


VARIANTS: Mapping[str, Factory] = MappingProxyType(
    {
        "planned": PlannedEss,
        "resets_to_armed_while_breached": partial(_make, _IgnoresBreaches),
        "forgets_on_restart": partial(_make, _FreshStop),
        "wall_clock_cooldown": partial(_make, _WallClockStop),
        "check_then_act_race": partial(_make, _RacyStop),
        "acks_before_cancelling_in_flight": partial(_make, _LetsFinishStop),
        "unauthenticated_reset": partial(_make, _OpenStop),
        "accepts_replayed_calls": partial(_make, _ReplayableStop),
        "late_reset_resets_any_trip": partial(_make, _ResetsWhateverTrip),
        "refused_calls_not_audited": partial(_make, _DiscreetStop),
        "nan_never_trips": partial(_make, _NanIsNothing),
        "publishes_without_outbox": partial(_make, _ForgetfulStop),
        "audit_lost": partial(_make, _PersonsOnlyStop),
        "cools_down_without_cancelling": partial(_make, _CancelsNothingStop),
        "acks_before_commit": partial(_make, _WritesBehindStop),
        "unreadable_is_a_fresh_start": partial(_make, _CarelessStop),
    }
)
"""Factories of the shape of `reference_impl.ess.make`, by name of the defect."""

planned = VARIANTS["planned"]
resets_to_armed_while_breached = VARIANTS["resets_to_armed_while_breached"]
forgets_on_restart = VARIANTS["forgets_on_restart"]
wall_clock_cooldown = VARIANTS["wall_clock_cooldown"]
check_then_act_race = VARIANTS["check_then_act_race"]
acks_before_cancelling_in_flight = VARIANTS["acks_before_cancelling_in_flight"]
unauthenticated_reset = VARIANTS["unauthenticated_reset"]
accepts_replayed_calls = VARIANTS["accepts_replayed_calls"]
late_reset_resets_any_trip = VARIANTS["late_reset_resets_any_trip"]
refused_calls_not_audited = VARIANTS["refused_calls_not_audited"]
nan_never_trips = VARIANTS["nan_never_trips"]
publishes_without_outbox = VARIANTS["publishes_without_outbox"]
audit_lost = VARIANTS["audit_lost"]
cools_down_without_cancelling = VARIANTS["cools_down_without_cancelling"]
acks_before_commit = VARIANTS["acks_before_commit"]
unreadable_is_a_fresh_start = VARIANTS["unreadable_is_a_fresh_start"]
