"""Experiments that failed once, kept in Hypothesis' example database and tried first the next time.

The database is Hypothesis' own, a folder of small files that can be shared or thrown away; what is in it is whole
experiments rather than Hypothesis' own records of its choices, which mean nothing once a strategy has changed.
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

import msgspec

from harness.experiment import Experiment


class Failures:
    """The failures of one scenario against one set of targets. Without a folder, nothing is kept."""

    def __init__(self, folder: Path | None, scenario: str, targets: Mapping[str, str]) -> None:
        self._key = hashlib.blake2b(json.dumps([scenario, sorted(targets.items())]).encode()).digest()[:16]
        self._database = None
        if folder is not None:
            from hypothesis.database import DirectoryBasedExampleDatabase  # noqa: PLC0415 - half of the start-up time

            self._database = DirectoryBasedExampleDatabase(folder)

    def kept(self) -> list[Experiment]:
        """Return what is kept, the simplest first; what cannot be read any more is removed."""
        if self._database is None:
            return []
        found: list[Experiment] = []
        for text in sorted(self._database.fetch(self._key), key=lambda text: (len(text), text)):
            try:
                found.append(Experiment.decoded(text))
            except (ValueError, msgspec.DecodeError):
                self._database.delete(self._key, text)
        return found

    def keep(self, experiment: Experiment) -> None:
        """Keep a failure."""
        if self._database is not None:
            self._database.save(self._key, experiment.encoded())

    def forget(self, experiment: Experiment) -> None:
        """Let go of one that does not fail any more."""
        if self._database is not None:
            self._database.delete(self._key, experiment.encoded())
