"""Patch 8: a policy store that knows how old its policy is, and loses no update."""

from collections.abc import Callable, Mapping
from typing import Any, Literal, Protocol

from harness.ports import Port


class Policy(Protocol):
    """What is in force."""

    @property
    def profile(self) -> str:
        """`NORMAL`, `DEFENSIVE` or `AGGRESSIVE`."""

    @property
    def caps(self) -> Mapping[str, int]:
        """Caps on positions by name."""


class Limits(Protocol):
    """What may be risked under a policy."""

    @property
    def risk_bps(self) -> int:
        """Of one trade, in basis points of equity."""

    @property
    def drawdown_bps(self) -> int:
        """Of one day, in basis points of equity."""

    @property
    def leverage(self) -> int:
        """The most."""


class PolicyView(Protocol):
    """What a reader gets."""

    @property
    def policy(self) -> Policy:
        """The policy to go by."""

    @property
    def limits(self) -> Limits:
        """Its limits: 2 % / 5 % / 30x for NORMAL, 1 % / 3 % / 10x for DEFENSIVE, 3 % / 8 % / 50x for AGGRESSIVE."""

    @property
    def version(self) -> int:
        """Of the newest policy known, growing; 0 if none was ever known."""

    @property
    def age(self) -> float | None:
        """Seconds since it was known to be the newest, counted from the question, not from the answer.

        None if nobody can tell.
        """

    @property
    def stale(self) -> bool:
        """It may be outdated."""

    @property
    def source(self) -> Literal["redis", "snapshot", "none"]:
        """Where it came from."""


class PolicyStore(Protocol):
    """Patch 8. The factory is `make(*, redis_url: str, directory: Path, name: str, **options) -> PolicyStore`.

    `directory` survives a kill, `name` is stable over restarts; `directory / "*.policy.json"` is the snapshot. Options
    in use: `max_age` (600 by default), after which a policy is stale, `hard_limit` (900), after which it is not relied
    on, and `poll`, the mean pause between two looks for a newer version, all in seconds.
    """

    async def start(self) -> None:
        """Begin to follow Redis; must succeed while Redis is down."""

    def get(self) -> PolicyView:
        """Return the policy and how it stands; never waits, never fails."""

    async def refresh(self) -> Any:
        """Ask Redis now; who asks while a question is under way shares its answer. Raises if there is none in time."""

    async def update(self, sets: Mapping[str, Any], *, adds: Mapping[str, int]) -> PolicyView:
        """Set fields (`profile`, `leverage`, `cap:<name>`) and add to figures; return what is then in force.

        Returns once that can no longer be lost. Raises in bounded time otherwise; an error whose `unchanged` is true
        says that certainly nothing was changed, any other that the update may have been made or not.
        """

    def on_update(self, callback: Callable[[Any], None]) -> None:
        """Have `callback` told of each new version that readers get (`policy.updated`)."""

    async def close(self) -> None:
        """Stop cleanly: no task is left."""


PORT = Port(
    name="policy",
    shape=PolicyStore,
    keywords=(
        "redis_url",
        "directory",
        "name",
        "max_age",
        "hard_limit",
        "poll",
    ),
    trial="scenarios.trials.policy:talk",
    dependencies=("redis",),
)
