"""The other end of `conftest.Driver`: takes steps as lines of JSON, answers each with a line, until its input ends.

A line `{"step": name, "arguments": {...}}` is answered by `{"told": ...}` or, if the client raised, by `{"raised":
{"class", "bases", "attributes", "text"}}`; `warnings` holds what was logged or warned meanwhile, as some clients only
log what they could not read. Runs inside the client's own environment, so it imports nothing but the standard library.
"""

import asyncio
import inspect
import json
import logging
import os
import sys
import traceback
from collections.abc import Awaitable, Callable, Mapping
from decimal import Decimal
from typing import Any

Step = Callable[..., Any]


class _Kept(logging.Handler):
    """Keeps what is logged as a warning or worse."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(f"{record.name}: {record.getMessage()}")

    def take(self) -> list[str]:
        taken, self.lines = self.lines, []
        return taken


def serve(steps: Mapping[str, Step]) -> None:
    """Take steps of a client without a loop."""
    out, kept = _prepare()
    for line in sys.stdin:
        asked = json.loads(line)
        try:
            reply: dict[str, Any] = {"told": steps[asked["step"]](**asked["arguments"])}
        except Exception as error:  # noqa: BLE001 - the client's own errors are what is asked for
            reply = {"raised": _describe(error)}
        _answer(out, reply, kept)


async def serve_async(steps: Mapping[str, Callable[..., Awaitable[Any]]]) -> None:
    """Take steps of a client that lives in a loop; it goes on while the next line is awaited."""
    out, kept = _prepare()
    while line := await asyncio.to_thread(sys.stdin.readline):
        asked = json.loads(line)
        try:
            reply: dict[str, Any] = {"told": await steps[asked["step"]](**asked["arguments"])}
        except Exception as error:  # noqa: BLE001 - the client's own errors are what is asked for
            reply = {"raised": _describe(error)}
        _answer(out, reply, kept)


def steps_of(client: object) -> dict[str, Step]:
    """Return the public methods of an object as steps."""
    return {name: method for name, method in inspect.getmembers(client, callable) if not name.startswith("_")}


def text(value: Any) -> str:
    """Return an amount as plain text, never in the `1e-05` form."""
    return format(Decimal(repr(value)), "f") if isinstance(value, float) else str(value)


def _prepare() -> tuple[Any, _Kept]:
    """Keep stdout for the answers alone: whatever a library prints goes to stderr."""
    out = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    kept = _Kept()
    logging.getLogger().addHandler(kept)
    logging.captureWarnings(capture=True)
    return out, kept


def _answer(out: Any, reply: dict[str, Any], kept: _Kept) -> None:
    out.write(json.dumps({**reply, "warnings": kept.take()}, default=str) + "\n")


def _describe(error: Exception) -> dict[str, Any]:
    traceback.print_exception(error)
    attributes = {name: value for name, value in vars(error).items() if isinstance(value, str | int | type(None))}
    return {
        "class": type(error).__name__,
        "bases": [base.__name__ for base in type(error).__mro__],
        "attributes": attributes,
        "text": str(error),
    }
