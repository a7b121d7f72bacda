"""What the dashboard's feed raises to whoever publishes.

FeedError
├── PublishError      the topic, key or value cannot be carried; nothing was published
├── KeysFullError     a new key beyond `keys_max`; nothing was published
├── StorageError      the store failed: a critical event is delivered, but would not survive a restart
└── FeedClosedError   the feed was not started, or is closed; nothing was published
"""


class FeedError(Exception):
    """Base of all errors of the feed."""


class PublishError(FeedError, ValueError):
    """The event cannot be carried: no valid topic or key, not JSON, NaN in it, too large."""


class KeysFullError(FeedError):
    """All places for keys are taken: who makes up keys without end would take the memory of everybody."""


class StorageError(FeedError):
    """The store could not write: disk full, I/O error, file taken over by another server."""


class FeedClosedError(FeedError):
    """The feed was not started, or is closed."""
