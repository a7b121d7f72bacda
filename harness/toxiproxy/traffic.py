"""What went through a proxy, counted where it happens."""

from dataclasses import dataclass, field

from harness.toxics.base import Direction


@dataclass(slots=True)
class Flow:
    """Bytes of one direction: `received` from the sender, `sent` on to the receiver (toxics may keep some)."""

    received: int = 0
    sent: int = 0


@dataclass(slots=True)
class Traffic:
    """Counts of a proxy since it was created; a restart does not begin anew."""

    connections: int = 0
    """Connections accepted."""
    unreached: int = 0
    """Connections that ended because upstream could not be reached."""
    flows: dict[Direction, Flow] = field(default_factory=lambda: {"upstream": Flow(), "downstream": Flow()})
