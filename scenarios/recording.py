"""One call of a target as one operation of the history."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from harness.history.recorder import OperationLog


async def recorded(
    log: OperationLog, name: str, value: dict[str, Any], call: Callable[[], Awaitable[dict[str, Any]]]
) -> dict[str, Any] | None:
    """Do one operation; return its result, or None after an error.

    An error with a `reason` is a typed one, and the operation failed; after any other nobody knows what it did.
    """
    operation = log.begin(name, value)
    try:
        result = await call()
    except asyncio.CancelledError:
        operation.info("cancelled")
        raise
    except Exception as error:  # noqa: BLE001 - whatever the target raises is its answer
        reason = getattr(error, "reason", None)
        text = " ".join(f"{type(error).__name__}: {error}".split())[:200]
        if isinstance(reason, str) and reason:
            operation.fail(f"{reason}: {text}")
        else:
            operation.info(text)
        return None
    operation.ok(**result)
    return result
