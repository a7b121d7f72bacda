"""Applying updates to documents, and making one of two. Pure.

There is one document in Redis, changed by compare-and-set; two documents differ otherwise only if Redis has lost the
end of its data (or all of it) and was then written to again. So of two that have diverged the one in Redis is always
the later branch: what it lacks was lost, and is applied to it again; but a field that it has set since stays, as that
was set later. If the other has forgotten updates that would be needed, those that Redis has and it lacks are applied
to it instead: they are the later ones. What comes out has a version above both, so that no reader sees a version twice
with two meanings, or one go backwards.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from reference_impl._policy.document import FIELDS_MAX, RECENT_MAX, Document, Field, Update, base, bounds, problem
from reference_impl._policy.errors import PolicyInvalidError

UPDATE_MAX: Final = 100
"""Fields of one update, so that a document with all it remembers stays below its size limit."""


@dataclass(frozen=True, slots=True)
class Merged:
    """What should be in Redis. `lost`: neither document remembers all that the other lacks."""

    document: Document | None
    lost: bool = False


def check_form(update: Update) -> None:
    """Refuse an update that makes no sense, whatever the policy. Raises `PolicyInvalidError`."""
    if not update.sets and not update.adds:
        raise PolicyInvalidError("nothing to change")
    if len(update.sets) + len(update.adds) > UPDATE_MAX:
        raise PolicyInvalidError(f"more than {UPDATE_MAX} fields at once")
    if both := set(update.sets) & set(update.adds):
        raise PolicyInvalidError(f"set and added to at once: {', '.join(sorted(both))}")
    for name, value in update.sets.items():
        if wrong := problem(name, value):
            raise PolicyInvalidError(wrong)
    for name, by in update.adds.items():
        if bounds(name) is None or type(by) is not int:
            raise PolicyInvalidError(f"nothing whole can be added to {name[:80]!r}")


def check(document: Document | None, update: Update) -> None:
    """Refuse an update whose result would be out of bounds. Raises `PolicyInvalidError`."""
    for name, by in update.adds.items():
        least, most = bounds(name) or (0, 0)
        if not least <= base(document, name) + by <= most:
            raise PolicyInvalidError(f"{name} would leave {least} to {most}")
    held = {} if document is None else document.fields
    if len({*held, *update.sets, *update.adds}) > FIELDS_MAX:
        raise PolicyInvalidError(f"more than {FIELDS_MAX} fields")


def apply(
    document: Document | None,
    update: Update,
    version: int,
    *,
    at_ms: int | None = None,
    unknown_to: Document | None = None,
) -> Document:
    """Return the document with an update in it, as that version.

    With `unknown_to` the update is one that was lost: fields that updates set which that document does not contain are
    left as they are, and figures stay within their bounds.
    """
    document = document or Document(version=0)
    fields = dict(document.fields)

    def is_later(name: str) -> bool:
        held = fields.get(name)
        if unknown_to is None or held is None or not held.seq:
            return False
        return not unknown_to.contains(held.writer, held.seq)

    for name, value in update.sets.items():
        if not is_later(name):
            fields[name] = Field(value, update.writer, update.seq)
    for name, by in update.adds.items():
        if not is_later(name):
            least, most = bounds(name) or (0, 0)
            held = fields.get(name) or Field(None, update.writer, 0)
            fields[name] = replace(held, value=min(max(base(document, name) + by, least), most))
    recent = (*document.recent, update)
    forgotten = {one.writer: one.seq for one in recent[:-RECENT_MAX]}
    return Document(
        version=version,
        at_ms=document.at_ms if at_ms is None else at_ms,
        fields=fields,
        applied={**document.applied, update.writer: update.seq},
        recent=recent[-RECENT_MAX:],
        trimmed={**document.trimmed, **forgotten},
    )


def merge(mine: Document | None, theirs: Document | None) -> Merged:
    """Return what should be in Redis, given what this store knows (`mine`) and what is there (`theirs`)."""
    if mine is None or theirs is None or mine == theirs:
        return Merged(theirs if mine is None else mine)
    they_lack, i_lack = _lacks(theirs, mine), _lacks(mine, theirs)
    if they_lack and i_lack:
        return _diverged(mine, theirs)
    if they_lack or (not i_lack and mine.version > theirs.version):
        return Merged(_above(mine, theirs.version) if they_lack else mine)
    return Merged(_above(theirs, mine.version))


def _above(document: Document, version: int) -> Document:
    return document if document.version > version else replace(document, version=version + 1)


def _diverged(mine: Document, theirs: Document) -> Merged:
    version = max(mine.version, theirs.version) + 1
    if _remembers(mine, theirs):
        return Merged(_replay(theirs, mine, version))
    if _remembers(theirs, mine):
        return Merged(_continue(mine, theirs, version))
    newest = _replay(theirs, mine, version) if theirs.version >= mine.version else _continue(mine, theirs, version)
    return Merged(newest, lost=True)


def _lacks(document: Document, other: Document) -> Mapping[str, int]:
    """Return the newest update of each writer of which the document lacks some that the other has."""
    return {writer: seq for writer, seq in other.applied.items() if not document.contains(writer, seq)}


def _remembers(document: Document, other: Document) -> bool:
    """Tell whether the document still holds every update that the other lacks."""
    return all(other.contains(writer, seq) for writer, seq in document.trimmed.items())


def _missing(document: Document, other: Document) -> list[Update]:
    """Return the updates that the other still holds and the document lacks, in the order of their application."""
    return [update for update in other.recent if not document.contains(update.writer, update.seq)]


def _replay(theirs: Document, mine: Document, version: int) -> Document:
    """Apply what was lost to what is in Redis."""
    merged = theirs
    for update in _missing(theirs, mine):
        merged = apply(merged, update, version, unknown_to=mine)
    return replace(merged, version=version, applied=_joined(merged.applied, mine.applied))


def _continue(mine: Document, theirs: Document, version: int) -> Document:
    """Apply what happened in Redis to what this store knows."""
    merged = mine
    for update in _missing(mine, theirs):
        merged = apply(merged, update, version)
    return replace(merged, version=version, applied=_joined(merged.applied, theirs.applied))


def _joined(one: Mapping[str, int], other: Mapping[str, int]) -> Mapping[str, int]:
    return {writer: max(one.get(writer, 0), other.get(writer, 0)) for writer in {**one, **other}}
