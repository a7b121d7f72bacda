"""The control surface of a Redis server, the same in both worlds; faults and scenarios see nothing else of it.

Every method returns once the new condition is in force: after `accept`, `thaw` and `restart` the server answers PING,
after `refuse` and `crash` a connection is refused.
"""

from typing import Literal, Protocol, TypeAlias

from harness.world.base import Dependency

Refusal: TypeAlias = Literal["LOADING", "READONLY", "OOM", "NOAUTH"]
"""Why a server answers errors: it loads its data, is a replica, has no memory left, or wants a password."""

Keep: TypeAlias = Literal["all", "window", "nothing"]
"""What a restart finds: every write, all but those of the last second or so, or an empty server."""


class RedisControl(Dependency, Protocol):
    """A running Redis server. Methods raise `WorldError` when the server does not do what was asked."""

    async def refuse(self) -> None:
        """Close the port and reset every connection; the process lives on with its data and run id."""

    async def accept(self) -> None:
        """Open the port again."""

    async def freeze(self) -> None:
        """SIGSTOP: connections are accepted by the kernel, nothing is answered."""

    async def thaw(self) -> None:
        """SIGCONT, after an `unanswered` observation of what was sent to it meanwhile."""

    async def crash(self) -> None:
        """SIGKILL: connections are reset, nothing listens any more."""

    async def restart(self, *, keep: Keep) -> None:
        """Start the crashed server again, as a new incarnation with a new run id."""

    async def refuse_commands(self, refusal: Refusal) -> None:
        """Answer commands with that error from now on, for the reason that the error gives.

        `OOM` hits commands that may take memory, `READONLY` those that write, `NOAUTH` and `LOADING` nearly all.
        `READONLY` also sends blocked clients away, `NOAUTH` everybody (who comes back is not let in, also not with the
        password of the URL), and `LOADING` is a SIGKILL and a restart with all that was persisted. One refusal at a
        time; a crash ends it.
        """

    async def serve_commands(self) -> None:
        """Serve again, after a `refused_commands` {refusal, count} observation of the errors given meanwhile.

        The count is the server's own (`INFO errorstats`). Does nothing if nothing is refused.
        """
