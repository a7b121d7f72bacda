"""Whether Redis can be reached, as far as one bus knows: while it cannot, recovery knocks and the consumers wait.

Connecting is dear, and every part of a bus would find out the same. Recovery tries at least every second while
publishing is not direct; what it finds out is kept here. If it knows of no trouble (a single connection was lost), or
says nothing for long, a consumer tries by itself.
"""

import asyncio

_SILENCE_MAX = 2.0  # seconds that a consumer relies on recovery


class Reach:
    """What recovery knows, and the consumers that wait for better news. Belongs to one event loop."""

    def __init__(self) -> None:
        self._away = False
        self._waiting: list[asyncio.Future[None]] = []

    def missed(self) -> None:
        """No connection could be made."""
        self._away = True

    def found(self) -> None:
        """A connection was made."""
        self._away = False
        self.release()

    def release(self) -> None:
        """Let everybody who waits go on."""
        waiting, self._waiting = self._waiting, []
        for waiter in waiting:
            if not waiter.done():
                waiter.set_result(None)

    async def pause(self, seconds: float) -> None:
        """Wait so long before trying again or, while Redis is known to be away, until it is found."""
        if not self._away:
            await asyncio.sleep(seconds)
            return
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(waiter)
        await asyncio.wait([waiter], timeout=_SILENCE_MAX)
        waiter.cancel()
