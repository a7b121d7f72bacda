"""Patch 3: an executor of trading signals that a flood of them cannot overrun."""

from collections.abc import Callable, Mapping
from typing import Any, Literal, Protocol

from harness.ports import Port


class Signal(Protocol):
    """A signal as the executor hands it to the callable that executes it."""

    @property
    def id(self) -> str:
        """The id that it was offered under."""


class Disposal(Protocol):
    """How one signal ended, as it is announced."""

    @property
    def id(self) -> str:
        """The signal's id; empty where what was rejected has none."""

    @property
    def reason(self) -> Literal["executed", "dropped", "expired", "superseded", "rejected", "closed"]:
        """`executed`: its execution ended, well or not; `dropped`: the queue was full; `closed`: it still waited."""

    @property
    def detail(self) -> str:
        """Of `superseded` the id of the signal that took its place; else free."""


class ExecutorStats(Protocol):
    """Counts since the start of this life: `offered` is the sum of the others, at every moment.

    `executed` counts from the beginning of an execution; `queued` are those that wait.
    """

    @property
    def offered(self) -> int:
        """Calls of `handle_signal`, refused ones included."""

    @property
    def queued(self) -> int:
        """Waiting."""

    @property
    def executed(self) -> int:
        """Begun to execute."""

    @property
    def dropped(self) -> int:
        """Given up because the queue was full."""

    @property
    def expired(self) -> int:
        """Gone stale before they were executed."""

    @property
    def superseded(self) -> int:
        """A newer one, or an exit, stands for the same symbol and side."""

    @property
    def rejected(self) -> int:
        """Malformed."""

    @property
    def closed(self) -> int:
        """Waiting when the executor was closed."""


class Executor(Protocol):
    """Patch 3. The factory is `make(*, execute, may_trade, symbols, directory, name, **options) -> Executor`.

    `execute(signal)` is async, may be slow, hang or raise; what it is given bears the `id` of the signal. A signal
    counts as executed from the call. `may_trade()` says whether trading is allowed now. `directory` survives a kill,
    `name` is stable over restarts. At most 100 signals wait, at most two executions begin in any second (what an
    earlier life did just before is not known), exits first, then the highest confidence, ties oldest first; of each
    symbol and side one signal is live, the newest, but no entry takes the place of an exit. An exit that takes that of
    an exit keeps its turn. What may begin, begins at once: while fewer than eight are under way, no signal waits
    longer than the rate, or a halt, has it wait.
    """

    @property
    def dropped_signals(self) -> int:
        """As `stats().dropped`."""

    def on_disposed(self, callback: Callable[[Any], None]) -> None:
        """Have `callback` given a `Disposal` for each signal, once, as it ends."""

    async def handle_signal(self, signal: Mapping[str, Any]) -> object:
        """Take in a dict: `id`, `symbol`, `side`, `confidence`, `ttl_s` (seconds), `exit` (False if it is missing).

        What is malformed raises an error that bears a `reason`, a short text: a field missing or unknown, not a number
        in [0, 1], a symbol, side or ttl (1 ms to 1 h) that is none, an id that is empty, longer than 64 characters or
        was taken in before. So does an exit that finds 100 other exits waiting.
        """

    async def process_queue(self) -> None:
        """Execute what waits until closed; run as a task of its own."""

    def stats(self) -> ExecutorStats:
        """Return the present figures."""

    async def close(self) -> None:
        """Stop: what waits is disposed of, what executes may end within its time limit."""


PORT = Port(
    name="executor",
    shape=Executor,
    keywords=(
        "execute",
        "may_trade",
        "symbols",
        "directory",
        "name",
    ),
    trial="scenarios.trials.executor:talk",
)
