"""User data streams: listen keys, and which session hears what; pure, the shell owns the sockets.

A session is one WebSocket; the shell names it (any unique text) and passes on what its client says. Everything for the
client goes out through `StreamOut`, by that name.
"""

from typing import Protocol


class StreamOut(Protocol):
    """Where messages go: the shell, which knows the sockets."""

    def send(self, key: str, text: str) -> None:
        """Send one text message to the session `key`."""

    def close(self, key: str, code: int) -> None:
        """Close the session `key` with that WebSocket code."""
