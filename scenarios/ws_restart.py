"""Patch 6: the server dies while it publishes, loses power, stands still, and is opened anew for a new version."""

from collections.abc import Sequence

from harness.faults import process
from harness.invariants.needs import at_least, observed_at_least
from harness.scenario import Profile, Scenario, between, during
from harness.units import ms, seconds
from harness.world.base import HostSpec
from scenarios.dashboard_hosts import DASHBOARD, dashboard
from scenarios.dashboard_invariants import EXPLORED, OPTIONS, REFERENCE, flawed, invariants
from scenarios.feed_hosts import watchers


def _hosts(*, burst_ns: tuple[int, int], reopen_ns: int) -> Sequence[HostSpec]:
    return (
        watchers("watchers", clients=12, leave_every_ns=seconds(5)),
        watchers("slow", clients=1, pace=(400, ms(250))),
        dashboard(
            burst_ns=burst_ns,
            burst_gap_ns=ms(25),
            keys=24,
            critical_every=4,
            reopen_ns=(reopen_ns,),
            options=OPTIONS,
        ),
    )


SCENARIO = Scenario(
    name="ws-restart",
    title="The server dies while it publishes, loses power, stands still, and is opened anew",
    patch=6,
    priority="P0",
    ports=REFERENCE,
    dependencies=(),
    profiles={
        "full": Profile(
            hosts=tuple(_hosts(burst_ns=(seconds(1), seconds(16)), reopen_ns=seconds(14))),
            schedule=(
                during(
                    between(seconds(3), seconds(4)),
                    between(ms(300), seconds(2)),
                    process.kill_inside(DASHBOARD, "publish"),
                    process.kill(DASHBOARD),
                ),
                during(
                    between(seconds(8), seconds(9)),
                    between(ms(500), seconds(3)),
                    process.power_off(DASHBOARD),
                    process.freeze(DASHBOARD),
                    process.kill_inside(DASHBOARD, "publish"),
                ),
            ),
            settle_ns=seconds(8),
            needs=(
                at_least(300, "publish", outcome="ok"),
                at_least(40, "connect", outcome="ok"),
                observed_at_least(80, "feed"),
            ),
        ),
        "short": Profile(
            hosts=tuple(_hosts(burst_ns=(seconds(1), seconds(9)), reopen_ns=ms(8_000))),
            schedule=(
                during(
                    seconds(2),
                    ms(700),
                    process.kill_inside(DASHBOARD, "publish"),
                    process.kill(DASHBOARD),
                ),
                during(ms(5_500), ms(700), process.freeze(DASHBOARD), process.kill(DASHBOARD)),
            ),
            settle_ns=seconds(4),
            needs=(
                at_least(60, "publish", outcome="ok"),
                at_least(20, "connect", outcome="ok"),
                observed_at_least(25, "feed"),
            ),
        ),
    },
    invariants=invariants("WS1", "WS2", "WS3", "WS4", "WS5", "WS6", "WS8"),
    explore=EXPLORED,
    flawed=(
        flawed("planned", "WS1", "WS5", "WS6"),
        flawed("forgets_on_restart", "WS5", "WS6"),
        flawed("reuses_numbers_after_a_crash", "WS1"),
        flawed("resumes_from_the_wrong_side", "WS5"),
        flawed("repeats_one_at_resume", "WS5"),
        flawed("snapshot_not_atomic", "WS6"),
    ),
)
