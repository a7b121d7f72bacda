"""The emergency stop: armed, orders go out; tripped, none does, and the trail and the API say so."""

from typing import Any

import httpx

from harness.trial import DoesNotWorkError, Trial
from scenarios.ess_http import OPERATORS
from scenarios.ports.ess import EmergencyStop, Gate


async def talk(trial: Trial) -> None:
    """Arm it, send an order, trip it, be refused."""
    cancelled: list[str] = []
    published: list[str] = []

    async def cancel_all() -> None:
        cancelled.append("all")

    async def publish(event_type: str, payload: Any) -> None:
        published.append(str(payload["to"]) if "to" in payload else event_type)

    ess: EmergencyStop = trial.make(
        directory=trial.disk,
        name="trial",
        cancel_all=cancel_all,
        publish=publish,
        tokens=dict(OPERATORS),
        cooldown_s=2.0,
        metrics_max_age_s=600.0,
        checkpoint_s=1.0,
    )
    await trial.call("start()", ess.start)
    await trial.call("update_metrics()", ess.update_metrics, daily_drawdown=0.0, open_loss=0.0)
    trial.equal("status().state of a new one", "DISABLED", ess.status().state)
    await trial.call("arm()", ess.arm, operator="alice", reason="trial")
    trial.equal("status().state once armed", "ARMED", ess.status().state)
    trial.equal("can_execute_orders() once armed", True, ess.can_execute_orders())  # noqa: FBT003
    await trial.call("an order through the gate", _order, ess.gate)
    await trial.call("record_execution()", ess.record_execution, ok=True)
    await trial.call("trip()", ess.trip, "trial", actor="alice")
    trial.equal("can_execute_orders() once tripped", False, ess.can_execute_orders())  # noqa: FBT003
    await trial.refused("an order through the gate, once tripped,", _order, ess.gate)
    await trial.expect("cancel_all was called", lambda: bool(cancelled), after="trip()")
    await trial.expect("TRIPPED was published", lambda: "TRIPPED" in published, after="trip()")
    trail = await trial.call("audit()", ess.audit)
    trial.true(
        "the trail tells of the trip",
        otherwise="audit() does not tell of the transition to TRIPPED",
        when=any(row.target == "TRIPPED" for row in trail),
    )
    await _ask(trial, ess)
    await trial.call("close()", ess.close)


async def _order(gate: Gate) -> None:
    async with gate.order():
        pass


async def _ask(trial: Trial, ess: EmergencyStop) -> None:
    transport = httpx.ASGITransport(app=ess.app())
    headers = {"Authorization": f"Bearer {OPERATORS['alice']}"}
    async with httpx.AsyncClient(transport=transport, base_url="http://trial") as client:
        told = await trial.call("GET /api/ess/status", client.get, "/api/ess/status", headers=headers)
        stranger = await trial.call("POST without a token", client.post, "/api/ess/trigger", json={"reason": "x"})
    if told.status_code != httpx.codes.OK or "state" not in told.json():
        raise DoesNotWorkError([f"GET /api/ess/status answered {told.status_code}, without a `state`"])
    trial.equal("POST /api/ess/trigger without a token", httpx.codes.UNAUTHORIZED.value, stranger.status_code)
