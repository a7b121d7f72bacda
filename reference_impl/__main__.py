"""`python -m reference_impl`: the whole stack on this machine, to be looked at, and to be broken.

It starts an emulated exchange, a Redis server and the five services on loopback, each as a process of its own, says
where they are, and ends them all on Ctrl-C. A service that is killed is started again, and goes on from its directory.
"""

import argparse
import asyncio
import contextlib
import signal
import sys
import tempfile
from pathlib import Path
from typing import Final

from reference_impl._stack.launcher import NotReadyError, Stack
from reference_impl._stack.programs import MissingError

SCREEN: Final = """\
The stack is up. Look at it:
  dashboard  {dashboard}/#token={dashboard_token}
  health     {health}/
  models     {strategy}/api/dashboard/ml_metrics
  exchange   {binance}  (redis: {redis})

Break something, and watch the dashboard:
  # prices lose a fifth within three seconds; and, with the name that the answer has, are back
  curl -d '{{"kind": "price_fall", "options": {{"bps": 2000}}}}' {binance}/__control__/arm
  curl -d '{{"name": "NAME"}}' {binance}/__control__/disarm
  # the exchange bans this address for twenty seconds
  curl -d '{{"kind": "ban", "options": {{"ms": 20000}}}}' {binance}/__control__/arm
{redis_lines}\
  # a service dies (it comes back by itself)
  kill -9 {portfolio_pid}    # portfolio; execution is {execution_pid}, dashboard {dashboard_pid}
  # stop all orders; and arm again, with the trip that the answer names
  curl -H 'Authorization: Bearer {operator_token}' -H "X-Request-Id: $(date +%s%N)" \\
    -H 'Content-Type: application/json' -d '{{"reason": "to see it"}}' {execution}/api/ess/trigger
  curl -H 'Authorization: Bearer {operator_token}' -H "X-Request-Id: $(date +%s%N)" \\
    -H 'Content-Type: application/json' -d '{{"reason": "seen", "trip": "TRIP"}}' {execution}/api/ess/reset

State and logs are in {directory}. Ctrl-C ends it all."""
_REDIS: Final = """\
  # Redis hangs; and goes on
  kill -STOP {pid}
  kill -CONT {pid}
"""


def screen(stack: Stack) -> str:
    """Return what a person needs to know."""
    pids = {f"{name}_pid": child.pid for name, child in stack.children.items()}
    redis = stack.children.get("redis")
    return SCREEN.format(
        **{name: stack.url(name) for name in ("dashboard", "health", "strategy", "execution")},
        **pids,
        binance=stack.binance_url,
        redis=stack.redis_url if redis else "given",
        redis_lines="" if redis is None else _REDIS.format(pid=redis.pid),
        dashboard_token=stack.dashboard_token,
        operator_token=stack.operator_token,
        directory=stack.directory,
    )


async def run(stack: Stack) -> None:
    """Run it until SIGINT or SIGTERM."""
    over = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, over.set)
    ending = asyncio.create_task(over.wait())
    starting = asyncio.create_task(stack.start())
    try:
        await asyncio.wait({starting, ending}, return_when=asyncio.FIRST_COMPLETED)
        if starting.done():
            starting.result()
            sys.stdout.write(screen(stack) + "\n")
            sys.stdout.flush()
            await ending
    finally:
        for task in (starting, ending):
            task.cancel()
        await asyncio.wait({starting, ending})
        await stack.close()


def main() -> int:
    """Parse the command line, and run."""
    parser = argparse.ArgumentParser(prog="python -m reference_impl", description="Runs the whole stack on loopback.")
    parser.add_argument("--redis-url", default="", help="a Redis of yours; without it, one is started")
    parser.add_argument("--binance-url", default="", help="an emulated exchange of yours; without it, one is started")
    parser.add_argument("--directory", type=Path, help="where state is kept; without it, it goes with the stack")
    given = parser.parse_args()
    with contextlib.ExitStack() as stack:
        folder = given.directory or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="reference-stack-")))
        try:
            asyncio.run(run(Stack(folder.resolve(), given.redis_url, given.binance_url)))
        except (MissingError, NotReadyError) as error:
            sys.stderr.write(f"reference_impl: {error}\n")
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
