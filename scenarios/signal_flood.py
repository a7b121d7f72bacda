"""Patch 3, the plan's own test: 500 signals in 10 s, and no more than two executions a second.

While they come, the exchange is slow or silent, then refuses, the executor is killed, and trading is halted. Then it is
quiet, and what waits is executed or goes stale.
"""

from harness.invariants.needs import at_least
from scenarios.signal_flood_parts import disposed, flood
from scenarios.signal_hosts import engine
from scenarios.signal_invariants import flawed

SCENARIO = flood(
    name="signal-flood",
    title="500 signals in 10 s, for two executions a second",
    full=engine(count=500, per_s=50, exits=30, halt_at=(400, 440), halt_ms=(1_000, 2_500)),
    full_needs=(at_least(500, "offer"), disposed(20, "rejected"), disposed(8, "dropped")),
    short=engine(count=380, per_s=50, exits=30, halt_at=(300, 320), halt_ms=(700, 1_000)),
    short_needs=(at_least(380, "offer"), disposed(10, "rejected")),
    variants=(
        flawed("unbounded", "SF1"),
        flawed("rate_limit_skipped_on_error", "SF2"),
        flawed("forgets_rate_on_restart", "SF2"),
        flawed("counts_by_the_clock", "SF2"),
        flawed("counts_replacements_as_accepted", "SF3"),
        flawed("first_come_first_served", "SF4"),
        flawed("exits_wait_their_turn", "SF5"),
        flawed("exits_yield_to_entries", "SF5"),
        flawed("executes_after_ttl", "SF6"),
        flawed("never_supersedes", "SF6"),
        flawed("ignores_halt", "SF7"),
        flawed("keeps_places", "SF8"),
        flawed("half_the_rate", "SF8"),
    ),
)
