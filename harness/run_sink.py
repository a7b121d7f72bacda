"""Where a run's events go while it goes on: into memory, and in the real world onto the disk as well."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from harness.director import Alarm
from harness.history.events import Event, HostChanged, RunStarted
from harness.history.store import Store, partial_path


class RunSink:
    """Holds a run's events, and in the real world also streams them to disk, so that they survive the harness."""

    def __init__(self, header: RunStarted, path: Path) -> None:
        self._path = path
        self._store: Store | None = None
        self.events: list[Event] = [header]
        self.alarm = Alarm()

    def record(self, event: Event) -> None:
        """Append one event."""
        self.events.append(event)
        if type(event) is HostChanged:
            self.alarm.hear(event)
        if self._store is not None:
            self._store.record(event)

    @contextmanager
    def streaming(self, *, to_disk: bool) -> Iterator[None]:
        """Have what is recorded inside reach the disk as it comes."""
        if not to_disk:
            yield
            return
        self._store = store = Store(self._path)
        for event in self.events:
            store.record(event)
        try:
            yield
        finally:
            store.flush()

    def save(self) -> None:
        """Put the whole history in its place."""
        store = self._store
        if store is None:
            store = Store(self._path)
            store.record_all(self.events)
        store.close()
        self._store = None

    def discard(self) -> None:
        """Leave nothing behind of what was streamed."""
        if self._store is not None:
            self._store.abandon()
            partial_path(self._path).unlink(missing_ok=True)
            self._store = None
