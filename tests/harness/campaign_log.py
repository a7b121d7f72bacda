"""Progress of a campaign, for tests to look at."""

from typing import Any


class Log:
    """Progress, written down."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def began(self, job: Any) -> None:
        """Note the start."""
        self.lines.append(f"began {job}")

    def ended(self, job: Any, result: Any) -> None:
        """Note the end."""
        self.lines.append(f"ended {job}")
