"""The options of a policy store, and the figures it gives of itself."""

from dataclasses import dataclass

from reference_impl._policy.freshness import Source


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """All in seconds, but for the names in Redis.

    Attributes:
        max_age: A policy that was not confirmed for longer is flagged stale (the plan's 10 minutes).
        hard_limit: One that was not confirmed for longer is not relied on: DEFENSIVE.
        poll: Mean pause between two questions whether there is a newer version; each is drawn from half to one and a
            half of it. Notifications only make it sooner.
        timeout: Of one conversation with Redis, connecting included.
        retry_max: The longest pause after a conversation failed; each is drawn from half to all of a ceiling that
            doubles.
        update_timeout: How long an update is tried.
        save_every: How old a snapshot's word on the age may get; after a restart the age may be that much too high.

    """

    max_age: float = 600.0
    hard_limit: float = 900.0
    poll: float = 2.0
    timeout: float = 0.8
    retry_max: float = 2.0
    update_timeout: float = 3.0
    save_every: float = 15.0
    key: str = "policy"
    channel: str = "policy.updated"

    def __post_init__(self) -> None:
        """Refuse limits that make no sense. Raises ValueError."""
        durations = (self.poll, self.timeout, self.retry_max, self.update_timeout, self.save_every, self.max_age)
        if not all(one > 0 for one in durations):
            raise ValueError("every duration must be positive")
        if self.hard_limit < self.max_age:
            raise ValueError(
                f"a hard limit of {self.hard_limit} s is below the age of {self.max_age} s it is to follow"
            )


@dataclass(slots=True)
class Counters:
    """What a store did since it was started."""

    refreshes: int = 0
    unreachable: int = 0
    updates: int = 0
    refused_documents: int = 0
    repairs: int = 0
    merges_with_loss: int = 0
    snapshot_failures: int = 0
    subscriptions: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyStats:
    """The figures of one moment. `snapshot_problem` is why the snapshot found at the start was not used; else empty."""

    version: int
    age: float | None
    stale: bool
    defensive: bool
    source: Source
    snapshot_problem: str
    refreshes: int
    unreachable: int
    updates: int
    refused_documents: int
    repairs: int
    merges_with_loss: int
    snapshot_failures: int
    subscriptions: int
