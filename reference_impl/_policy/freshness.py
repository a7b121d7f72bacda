"""How old the policy is, and what readers are therefore told. Pure: every instant is passed in.

Age counts from the last moment at which Redis held the policy to be the newest one: when the question was sent that it
answered, not when the answer came. It is measured on a clock that runs through restarts and suspends and that nobody
sets (`clock`). A snapshot says when that moment was; found after a reboot it says nothing (the clock began anew), so
its age is unknown, and unknown is too old.

    fresh ── age > max_age ──▶ stale ── age > hard_limit ──▶ defensive
      ▲                          │                              │
      └────────── confirmed ─────┴──────────────────────────────┘
"""

from dataclasses import dataclass
from typing import Literal, TypeAlias

from reference_impl._policy.document import Document
from reference_impl._policy.profiles import SAFE, Limits, Policy

Source: TypeAlias = Literal["redis", "snapshot", "none"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyView:
    """What a reader gets.

    Attributes:
        policy: What to go by. Under `defensive` it is the last known one at DEFENSIVE's limits or stricter.
        version: Of the last known policy; 0 if none was ever known.
        age: Seconds since it was known to be the newest; None if nobody can tell.
        stale: It may be outdated: its age is unknown or above `max_age`.
        defensive: It is too old to be relied on: the age is unknown or above `hard_limit`.
        source: Where it came from; `none`: nothing was ever known.

    """

    policy: Policy
    version: int
    age: float | None
    stale: bool
    defensive: bool
    source: Source

    @property
    def limits(self) -> Limits:
        """What may be risked."""
        return self.policy.limits


@dataclass(slots=True)
class Freshness:
    """The policy of one store and its age. `max_age` and `hard_limit` in seconds."""

    max_age: float
    hard_limit: float
    document: Document | None = None
    confirmed_at: float | None = None
    source: Source = "none"
    _policy: Policy = SAFE
    _defensive: Policy = SAFE

    @property
    def version(self) -> int:
        """The version that readers get."""
        return 0 if self.document is None else self.document.version

    def loaded(self, document: Document, confirmed_at: float | None) -> None:
        """A snapshot was found; it was confirmed at that time, or nobody can tell when."""
        assert self.document is None, "a snapshot is loaded first of all"
        self._hold(document, "snapshot")
        self.confirmed_at = confirmed_at

    def confirmed(self, document: Document, asked_at: float) -> bool:
        """Redis held this document when it was asked; return whether it is a new version."""
        assert self.document is None or document.version >= self.version, "a version never goes backwards"
        new = document.version != self.version
        if document is not self.document or self.source != "redis":
            self._hold(document, "redis")
        self.confirmed_at = asked_at if self.confirmed_at is None else max(asked_at, self.confirmed_at)
        return new

    def age(self, now: float) -> float | None:
        """Return the age in seconds; None if it is unknown."""
        return None if self.confirmed_at is None else max(0.0, now - self.confirmed_at)

    def view(self, now: float) -> PolicyView:
        """Return what a reader gets now."""
        age = self.age(now)
        defensive = self.document is None or age is None or age > self.hard_limit
        return PolicyView(
            policy=self._defensive if defensive else self._policy,
            version=self.version,
            age=age,
            stale=defensive or age is None or age > self.max_age,
            defensive=defensive,
            source=self.source,
        )

    def _hold(self, document: Document, source: Source) -> None:
        self.document, self.source = document, source
        self._policy = document.policy()
        self._defensive = self._policy.defensive()
