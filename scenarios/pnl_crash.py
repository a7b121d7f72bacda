"""Patch 5: the portfolio dies in the middle of whatever it does, and finds its snapshot damaged, or its disk full."""

from harness.experiment import Exploring
from harness.faults import disk, process
from harness.invariants.needs import at_least
from harness.scenario import Profile, Scenario, between, during
from harness.units import ms, seconds
from scenarios.portfolio_hosts import keeper
from scenarios.portfolio_invariants import REFERENCE, flawed, invariants

SCENARIO = Scenario(
    name="pnl-crash",
    title="The portfolio dies while it writes, and finds its snapshot damaged",
    patch=5,
    priority="P0",
    ports=REFERENCE,
    dependencies=(),
    profiles={
        "full": Profile(
            hosts=(keeper(trades=1_000, batch=6, gap_ns=ms(180), snapshot_every=4),),
            schedule=(
                during(between(seconds(3), seconds(5)), seconds(2), process.kill_inside("keeper", "apply")),
                during(between(seconds(8), seconds(9)), seconds(3), process.kill_inside("keeper", "snapshot")),
                during(
                    between(seconds(14), seconds(15)), between(ms(200), seconds(2)), disk.damage("keeper", "*snapshot*")
                ),
                during(between(seconds(19), seconds(20)), between(seconds(1), seconds(2)), disk.disk_full("keeper")),
                during(
                    between(seconds(24), seconds(25)),
                    seconds(2),
                    process.kill_inside("keeper", "apply"),
                    process.kill_inside("keeper", "snapshot"),
                    process.power_off("keeper"),
                ),
            ),
            settle_ns=seconds(8),
            needs=(at_least(120, "apply", outcome="ok"), at_least(5, "reload", outcome="ok")),
        ),
        "short": Profile(
            hosts=(keeper(trades=700, batch=6, gap_ns=ms(80), snapshot_every=4),),
            schedule=(
                during(ms(800), ms(900), process.kill_inside("keeper", "apply")),
                during(ms(3_000), ms(1_200), process.kill_inside("keeper", "snapshot")),
                during(ms(5_500), ms(300), disk.damage("keeper", "*snapshot*")),
                during(ms(7_500), ms(1_500), disk.disk_full("keeper")),
            ),
            settle_ns=seconds(2),
            needs=(at_least(40, "apply", outcome="ok"), at_least(4, "reload", outcome="ok")),
        ),
    },
    invariants=invariants(),
    explore=Exploring(add=(disk.damage("keeper", "*snapshot*"),)),
    flawed=(
        flawed("planned", "PF1", "PF2", "PF3", "PF4", "PF5"),
        flawed("snapshot_not_atomic", "PF5"),
        flawed("acks_before_commit", "PF5"),
        flawed("forgets_ids_on_restart", "PF3"),
    ),
)
