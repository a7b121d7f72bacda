"""What a scenario says of its load, and what a person may choose of it. Data only."""

from dataclasses import dataclass
from typing import Final

USERS_MAX: Final = 100_000
"""More in one run is a slip of the finger: a Locust process carries about a thousand WebSockets."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LocustLoad:
    """A load by Locust: its locustfile (a module's name, or a path), so many users, `spawn_rate` more each second.

    `host` names the dependency or serving host that becomes Locust's `--host`, for locustfiles of plain `HttpUser`s.
    """

    locustfile: str
    users: int
    spawn_rate: float
    host: str | None = None

    def __post_init__(self) -> None:
        if not 1 <= self.users <= USERS_MAX:
            raise ValueError(f"a load of {self.users} users; there are 1 to {USERS_MAX:,}")
        if not self.spawn_rate > 0:
            raise ValueError(f"a spawn rate of {self.spawn_rate} users a second; it must be above 0")


@dataclass(frozen=True, slots=True, kw_only=True)
class Crew:
    """Which processes make the load: one (`workers` = 0), or a master with `workers` here and `elsewhere` more.

    The master listens at `bind_host:bind_port`; port 0 is one that the system chooses, of no use to workers elsewhere.
    With `master`, host and port of one that is not ours, the workers join that one. Proxies listen at `bind_host` too.
    """

    workers: int = 0
    elsewhere: int = 0
    bind_host: str = "127.0.0.1"
    bind_port: int = 0
    master: tuple[str, int] | None = None

    def __post_init__(self) -> None:
        if self.master is not None and not self.workers:
            raise ValueError("a master that is not ours needs a worker that is")

    @property
    def alone(self) -> bool:
        """Is there one process, which does everything?"""
        return self.workers + self.elsewhere == 0

    @property
    def whole(self) -> bool:
        """Are all of its processes ours, so that a signal meets all of them?"""
        return self.elsewhere == 0 and self.master is None

    @property
    def shared(self) -> bool:
        """Is there something that two runs at a time would both want?"""
        return self.bind_port != 0 or self.master is not None

    @property
    def begin_s_max(self) -> float:
        """How long it may take until every worker has come. People start those elsewhere."""
        return 300.0 if self.elsewhere else 45.0
