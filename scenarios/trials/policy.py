"""The policy store: what is updated is in force, for readers as well, and has a version."""

from harness.trial import Trial
from scenarios.ports.policy import PolicyStore, PolicyView


async def talk(trial: Trial) -> None:
    """Update the policy, and read it back."""
    told: list[PolicyView] = []
    store: PolicyStore = trial.make(
        redis_url=trial.endpoints["redis"],
        directory=trial.disk,
        name="trial",
        max_age=600.0,
        hard_limit=900.0,
        poll=1.0,
    )
    await trial.call("start()", store.start)
    store.on_update(told.append)
    view = await trial.call("update()", store.update, {"profile": "DEFENSIVE", "cap:BTCUSDT": 7}, adds={"cap:total": 5})
    trial.equal("profile of what update() returned", "DEFENSIVE", view.policy.profile)
    trial.equal("its caps", {"BTCUSDT": 7, "total": 5}, dict(view.policy.caps))
    limits = view.limits
    trial.equal("its limits", (100, 300, 10), (limits.risk_bps, limits.drawdown_bps, limits.leverage))
    await trial.expect("readers get that version", lambda: store.get().version >= view.version, after="update()")
    trial.equal("stale, of what was just read", False, store.get().stale)  # noqa: FBT003
    trial.equal("source of it", "redis", store.get().source)
    await trial.expect("on_update told of it", lambda: bool(told), after="update()")
    await trial.call("refresh()", store.refresh)
    await trial.call("close()", store.close)
