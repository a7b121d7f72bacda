"""Patch 3: ten times the plan's flood, 5,000 signals in 10 s. Nine of ten are given up, and each has to be owned up to.

The queue is full all the time, so this is where dominance and the exits among so many entries are judged.
"""

from harness.invariants.needs import at_least
from scenarios.signal_flood_parts import disposed, flood
from scenarios.signal_hosts import engine
from scenarios.signal_invariants import flawed

SCENARIO = flood(
    name="signal-flood-10x",
    title="5,000 signals in 10 s, for two executions a second",
    full=engine(count=5_000, per_s=500, exits=3, halt_at=(4_000, 4_400), halt_ms=(1_000, 2_500)),
    full_needs=(at_least(5_000, "offer"), disposed(200, "rejected"), disposed(1_000, "dropped")),
    short=engine(count=3_800, per_s=500, exits=3, halt_at=(3_000, 3_200), halt_ms=(700, 1_000)),
    short_needs=(at_least(3_800, "offer"), disposed(100, "rejected")),
    variants=(
        flawed("deque_maxlen_silently_drops_oldest", "SF3"),
        flawed("nan_confidence_wins", "SF3", "SF4"),
        flawed("drop_newest", "SF4"),
        flawed("drops_exits", "SF5"),
    ),
)
