"""The executor: what it takes in is executed and announced, and what is malformed is refused."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from harness.trial import Trial
from scenarios.ports.executor import Disposal, Executor

_SIGNAL: Mapping[str, Any] = {"id": "s-1", "symbol": "BTCUSDT", "side": "BUY", "confidence": 0.9, "ttl_s": 30.0}

_FLAWS: Sequence[Mapping[str, Any]] = ({"confidence": 2.0}, {"symbol": "NOSUCH"}, {"ttl_s": 0})


async def talk(trial: Trial) -> None:
    """Offer a signal, a malformed one, and one for a symbol that there is not."""
    executed: list[str] = []
    ended: list[tuple[str, str]] = []

    async def execute(signal: Any) -> None:
        executed.append(signal.id)

    def disposed(one: Disposal) -> None:
        ended.append((one.id, one.reason))

    executor: Executor = trial.make(
        execute=execute, may_trade=lambda: True, symbols=("BTCUSDT",), directory=trial.disk, name="trial"
    )
    executor.on_disposed(disposed)
    working = asyncio.ensure_future(executor.process_queue())
    await trial.call("handle_signal()", executor.handle_signal, _SIGNAL)
    await trial.expect("`execute` was called", lambda: executed == ["s-1"], after="handle_signal()")
    await trial.expect("on_disposed told of it", lambda: ("s-1", "executed") in ended, after="the execution")
    for number, flaw in enumerate(_FLAWS):
        signal = {**_SIGNAL, "id": f"m-{number}", **flaw}
        error = await trial.refused(f"handle_signal() with {flaw}", executor.handle_signal, signal)
        trial.true(
            "its error bears a reason",
            otherwise=f"the error {type(error).__name__} of a malformed signal bears no `reason`",
            when=bool(getattr(error, "reason", "")),
        )
    stats = executor.stats()
    trial.equal("stats().offered", 4, stats.offered)
    trial.equal("stats().executed", 1, stats.executed)
    trial.equal("stats().rejected", 3, stats.rejected)
    await trial.call("close()", executor.close)
    await trial.expect("process_queue() ended", working.done, after="close()")
