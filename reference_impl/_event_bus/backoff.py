"""Pauses between attempts: full jitter, so that the clients of a Redis that comes back do not arrive as one herd."""

import random
from dataclasses import dataclass


@dataclass(slots=True)
class Backoff:
    """Pauses drawn uniformly from 0 to `first * 2 ** attempts`, at most `cap`; in seconds."""

    first: float
    cap: float
    attempts: int = 0

    def pause(self) -> float:
        """Return the next pause."""
        ceiling = min(self.cap, self.first * 2.0 ** min(self.attempts, 30))
        self.attempts += 1
        return random.uniform(0, ceiling)  # noqa: S311 - spreads load, protects nothing

    def reset(self) -> None:
        """Start from the shortest pause again."""
        self.attempts = 0
