"""The document: the policy as Redis and the snapshot hold it, with what it takes to merge two of them. Pure.

Beside the fields it holds, for each writer, the number of the newest update that went into it (`applied`). A writer
numbers its updates upwards and never uses a number twice, and applies them in that order, so one number tells of each
of its updates whether the document contains it: a lost reply is resolved by looking, and of two documents it is plain
what either lacks. The last updates themselves are kept too (`recent`), so that whoever holds a document can apply to
another one what that lacks, also in the name of a writer that is dead. `trimmed` is how far they were forgotten.

A field remembers who last set it (a relative change does not count), for merging: see `merge`.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from types import MappingProxyType
from typing import Any, Final, TypeAlias

from reference_impl._policy.errors import DocumentError, NewerDocumentError
from reference_impl._policy.profiles import PROFILES, Policy

Value: TypeAlias = str | int
SCHEMA: Final = 1
RECENT_MAX: Final = 32
"""Updates kept. What Redis loses is about a second's worth (`appendfsync everysec`), or everything."""
BYTES_MAX: Final = 1 << 20
FIELDS_MAX: Final = 1_000
_WRITERS_MAX: Final = 1_000
_NUMBER_MAX: Final = 1 << 53
_NAME: Final = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_BOUNDS: Final[Mapping[str, tuple[int, int]]] = MappingProxyType(
    {"risk_bps": (1, 300), "drawdown_bps": (1, 800), "leverage": (1, 50)}
)
"""What may be set; the upper ends are AGGRESSIVE's."""
_CAP: Final = "cap:"
_CAP_MAX: Final = 10**12


@dataclass(frozen=True, slots=True)
class Update:
    """One change: fields that are set (None: taken out) and figures that are added. `(writer, seq)` is its id."""

    writer: str
    seq: int
    sets: Mapping[str, Value | None]
    adds: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Field:
    """The value of a field (None: taken out), and the update that last set it."""

    value: Value | None
    writer: str
    seq: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """A version of the policy. `at_ms`: its writer's wall clock, for whoever asks later; it decides nothing."""

    version: int
    at_ms: int = 0
    fields: Mapping[str, Field] = field(default_factory=dict)
    applied: Mapping[str, int] = field(default_factory=dict)
    recent: tuple[Update, ...] = ()
    trimmed: Mapping[str, int] = field(default_factory=dict)

    def contains(self, writer: str, seq: int) -> bool:
        """Tell whether that update, or a later one of its writer, went into this."""
        return self.applied.get(writer, 0) >= seq

    def value(self, name: str) -> Value | None:
        """Return what a field holds."""
        found = self.fields.get(name)
        return None if found is None else found.value

    def policy(self) -> Policy:
        """Return what it says."""
        held = {name: one.value for name, one in self.fields.items() if one.value is not None}
        return Policy(
            profile=str(held.get("profile", "DEFENSIVE")),
            tightened={name: int(held[name]) for name in _BOUNDS if name in held},
            caps={name.removeprefix(_CAP): int(value) for name, value in held.items() if name.startswith(_CAP)},
        )


@lru_cache(maxsize=4096)
def bounds(name: str) -> tuple[int, int] | None:
    """Return the least and the greatest value of a figure; None if there is no such figure."""
    if name.startswith(_CAP) and _NAME.fullmatch(name.removeprefix(_CAP)):
        return (0, _CAP_MAX)
    return _BOUNDS.get(name)


def base(document: Document | None, name: str) -> int:
    """Return the figure that a relative change starts from: what is set, else the profile's, else 0."""
    held = None if document is None else document.value(name)
    if held is not None:
        return int(held)
    profile = None if document is None else document.value("profile")
    return int(getattr(PROFILES[str(profile or "DEFENSIVE")], name, 0))


def problem(name: str, value: Value | None) -> str:
    """Return why a field may not have that value; empty if it may."""
    if name == "profile":
        known = isinstance(value, str) and value in PROFILES
        return "" if known else f"the profile must be one of {', '.join(PROFILES)}"
    allowed = bounds(name)
    if allowed is None:
        return f"there is no field {name[:80]!r}"
    if value is None or (type(value) is int and allowed[0] <= value <= allowed[1]):
        return ""
    return f"{name} must be a whole number from {allowed[0]} to {allowed[1]}"


def encode(document: Document) -> bytes:
    """Return the document as JSON, the same bytes for the same content."""
    return json.dumps(as_json(document), separators=(",", ":"), sort_keys=True).encode()


def as_json(document: Document) -> dict[str, Any]:
    """Return the document as plain JSON values."""
    return {
        "schema": SCHEMA,
        "version": document.version,
        "at_ms": document.at_ms,
        "fields": {name: [one.value, one.writer, one.seq] for name, one in document.fields.items()},
        "applied": dict(document.applied),
        "recent": [[one.writer, one.seq, dict(one.sets), dict(one.adds)] for one in document.recent],
        "trimmed": dict(document.trimmed),
    }


def decode(raw: bytes) -> Document:
    """Return the document that these bytes are.

    Raises:
        NewerDocumentError: Its schema is of a later version of this software.
        DocumentError: It is none.

    """
    if len(raw) > BYTES_MAX:
        raise DocumentError(f"{len(raw)} bytes are no policy document")
    try:
        found = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise DocumentError("not JSON") from error
    return from_json(found)


def from_json(found: Any) -> Document:
    """Return the document that these JSON values are. Raises as `decode` does."""
    _need(isinstance(found, dict), "not an object")
    schema = found.get("schema")
    _need(type(schema) is int and schema >= 1, "no schema")
    if schema > SCHEMA:
        raise NewerDocumentError(f"schema {schema} is newer than {SCHEMA}")
    fields, recent = found.get("fields"), found.get("recent")
    _need(_is_number(found.get("version")), "the version is no number from 1 up")
    _need(isinstance(fields, dict) and len(fields) <= FIELDS_MAX, "the fields are none, or too many")
    _need(isinstance(recent, list) and len(recent) <= RECENT_MAX, "the recent updates are none, or too many")
    at_ms = found.get("at_ms")
    _need(type(at_ms) is int and abs(at_ms) < _NUMBER_MAX, "no time")
    return Document(
        version=found["version"],
        at_ms=at_ms,
        fields={name: _field(name, one) for name, one in fields.items()},
        applied=_numbers(found.get("applied")),
        recent=tuple(_update(one) for one in recent),
        trimmed=_numbers(found.get("trimmed")),
    )


def _need(condition: bool, text: str) -> None:
    if not condition:
        raise DocumentError(text)


def _is_number(value: object) -> bool:
    return type(value) is int and 1 <= value < _NUMBER_MAX


def _is_name(value: object) -> bool:
    return isinstance(value, str) and _NAME.fullmatch(value) is not None


def _numbers(found: Any) -> Mapping[str, int]:
    _need(isinstance(found, dict) and len(found) <= _WRITERS_MAX, "no numbers by writer")
    _need(all(_is_name(name) and _is_number(value) for name, value in found.items()), "numbers by writer are wrong")
    return dict(found)


def _field(name: str, found: Any) -> Field:
    _need(isinstance(found, list) and len(found) == 3, f"field {name[:80]!r} is wrong")  # noqa: PLR2004 - a triple
    value, writer, seq = found
    _need(_is_name(writer) and type(seq) is int and 0 <= seq < _NUMBER_MAX, f"field {name[:80]!r} has no writer")
    wrong = problem(name, value)
    _need(not wrong, wrong)
    return Field(value, writer, seq)


def _update(found: Any) -> Update:
    _need(isinstance(found, list) and len(found) == 4, "an update is wrong")  # noqa: PLR2004 - writer, seq, sets, adds
    writer, seq, sets, adds = found
    _need(_is_name(writer) and _is_number(seq), "an update has no id")
    _need(isinstance(sets, dict) and isinstance(adds, dict), "an update changes nothing")
    for name, value in sets.items():
        wrong = problem(name, value)
        _need(not wrong, wrong)
    _need(all(bounds(name) and type(value) is int for name, value in adds.items()), "an update adds to no figure")
    return Update(writer, seq, dict(sets), dict(adds))
