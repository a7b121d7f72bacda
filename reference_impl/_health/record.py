"""What was: the changes and alerts of late, bounded, in a JSON file that survives the monitor.

The file is written to a temporary name, synced and renamed, so that a crash leaves the old one or the new one. One that
is damaged is set aside (`.damaged`) and reported; what was told is then unknown, and told again. It holds nothing that
decides how a service is: that is found out anew.
"""

import contextlib
import json
import logging
import math
import os
from collections import deque
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from reference_impl._health.alerts import Told
from reference_impl._health.model import Alert, Change, State

log = logging.getLogger(__name__)

_VERSION: Final = 1


class Record:
    """The record in memory. `changes` and `alerts` are JSON objects, the oldest first."""

    def __init__(self, limit: int) -> None:
        self.changes: deque[dict[str, Any]] = deque(maxlen=limit)
        self.alerts: deque[dict[str, Any]] = deque(maxlen=limit)
        self.told: dict[str, Told] = {}

    def changed(self, change: Change, wall: float) -> None:
        """Remember a change, made at that wall-clock time in seconds."""
        fields = {"service": change.service, "from": change.before, "to": change.after, "reason": change.reason}
        self.changes.append({"at": round(wall, 3), **fields})

    def alerted(self, alert: Alert) -> None:
        """Remember an alert."""
        self.alerts.append({**asdict(alert), "at": round(alert.at, 3), "affected": list(alert.affected)})

    def encode(self) -> bytes:
        """Return the file's content."""
        told = {name: [one.state, one.number] for name, one in self.told.items()}
        body = {"version": _VERSION, "told": told, "changes": list(self.changes), "alerts": list(self.alerts)}
        return json.dumps(body, allow_nan=False).encode()

    def restore(self, content: bytes) -> None:
        """Take what the file holds. Raises ValueError, and takes nothing, if it is no such file."""
        try:
            body = json.loads(content)
            if body["version"] != _VERSION:
                raise ValueError(f"version {body['version']!r}")
            told = {str(name): Told(State(state), int(number)) for name, (state, number) in body["told"].items()}
            changes = [_checked(one, "from", "to") for one in body["changes"]]
            alerts = [_checked(one, "id", "kind") for one in body["alerts"]]
        except (KeyError, TypeError, AttributeError, RecursionError) as error:
            raise ValueError(f"something is missing ({type(error).__name__})") from error
        self.told = told
        self.changes.extend(changes)
        self.alerts.extend(alerts)


def _checked(entry: Mapping[str, Any], *names: str) -> dict[str, Any]:
    """Return an entry with the fields that readers rely on. Raises KeyError, TypeError or ValueError."""
    for name in ("service", "reason", *names):
        if not isinstance(entry[name], str):
            raise TypeError(name)
    at = float(entry["at"])
    if not math.isfinite(at):
        raise ValueError("at")
    return {**entry, "at": at}


def load(path: Path, record: Record) -> None:
    """Fill the record from the file, if there is one that can be read."""
    try:
        record.restore(path.read_bytes())
    except FileNotFoundError:
        return
    except OSError as error:
        log.error("the health history cannot be read (%s): starting without", type(error).__name__)  # noqa: TRY400
    except ValueError:
        log.error("the health history is damaged: set aside, starting without")  # noqa: TRY400
        with contextlib.suppress(OSError):  # on a full or read-only disk it stays where it is
            path.replace(path.with_name(f"{path.name}.damaged"))


def save(path: Path, content: bytes) -> None:
    """Put the content in its place; durable when this returns. Raises `OSError`."""
    beside = path.with_name(f"{path.name}.new")
    with beside.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)
    directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
