"""What the event bus raises.

EventBusError
├── PayloadError          not a JSON object that survives a round trip; nothing was published
├── BusClosedError        the bus is not open; nothing was published
├── PublishTimeoutError   too many publishers were waiting; nothing was published
└── BufferRefusedError    Redis did not confirm the event and the buffer did not take it
    ├── BufferFullError          `overflow="reject"` and no room
    ├── BufferUnavailableError   disk full, I/O error, corrupt file
    └── BufferSupersededError    another bus has opened the same buffer since
"""


class EventBusError(Exception):
    """Base of all errors of the event bus."""


class PayloadError(EventBusError, ValueError):
    """The event type or payload cannot be carried: not a JSON object, NaN in it, keys that are no strings, too big."""


class BusClosedError(EventBusError):
    """The bus was not started, or is closed."""


class PublishTimeoutError(EventBusError, TimeoutError):
    """The bounded queue of waiting publishers stayed full for the whole deadline; nothing was published."""


class BufferRefusedError(EventBusError):
    """The event is not acked: Redis did not confirm it and the fallback buffer did not take it.

    If Redis had been sent the event before it went silent, it may still appear in the stream.
    """


class BufferFullError(BufferRefusedError):
    """The fallback buffer is at its capacity and `overflow="reject"` is in force."""


class BufferUnavailableError(BufferRefusedError):
    """The fallback buffer could not write: disk full, I/O error, corrupt file."""


class BufferSupersededError(BufferRefusedError):
    """Another bus opened this buffer later; two writers would break the order, so the older one stops."""
