"""What a restarted trader knows of its earlier lives: the part of its history in which they began things."""

from typing import Any

from harness.history.events import Fail, Info, Invoke, Ok
from harness.world.base import Host


class Past:
    """What earlier incarnations of the host began and did not end."""

    def __init__(self, host: Host) -> None:
        begun: dict[tuple[int, int], Invoke] = {}
        resting: dict[str, tuple[str, str]] = {}
        self.intents: dict[str, dict[str, Any]] = {}
        self.numbers: dict[str, int] = {}
        for event in host.past:
            if isinstance(event, Invoke):
                begun[event.incarnation, event.op] = event
                self._count(event)
                if event.name == "execute":
                    self.intents[event.value["key"]] = event.value
                elif event.name == "cancel":
                    resting.pop(event.value["client_id"], None)
            elif isinstance(event, Ok | Fail | Info):
                done = begun[event.incarnation, event.op]
                if done.name == "execute":
                    self.intents.pop(done.value["key"], None)
                elif done.name == "place" and isinstance(event, Ok):
                    resting[event.value["client_id"]] = (done.value["symbol"], event.value["client_id"])
        self.resting = tuple(resting.values())

    def _count(self, event: Invoke) -> None:
        stem, _, number = str(event.value.get("key", "")).rpartition("-")
        if number.isdecimal():
            self.numbers[stem] = max(self.numbers.get(stem, -1), int(number))

    def number(self, stem: str) -> int:
        """Return the next number of keys with that stem, which no earlier life used."""
        self.numbers[stem] = self.numbers.get(stem, -1) + 1
        return self.numbers[stem]
