"""The snapshot: a JSON file that survives the process, and Redis.

It holds the newest document, when that was last confirmed, and this store's name as a writer with the numbers that its
updates may have used. It is written to a temporary name, synced and renamed, and the directory is synced, so that a
crash leaves the old one or the new one; a SHA-256 tells what is damaged all the same. Such a file is set aside
(`.damaged`) and reported, never used: the store then has a new name as a writer, as nobody can tell which numbers the
old one has used.
"""

import contextlib
import hashlib
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reference_impl._policy.document import Document, as_json, from_json
from reference_impl._policy.errors import DocumentError


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """What is saved. `confirmed_at` is on the clock of that `boot`; numbers up to `reserved` may have been used."""

    writer: str
    reserved: int
    document: Document | None
    confirmed_at: float | None
    boot: str


def encode(state: State, saved_at_ms: int) -> bytes:
    """Return the file's content. The wall clock in it is for persons, and is not read again."""
    body = {
        "writer": state.writer,
        "reserved": state.reserved,
        "document": None if state.document is None else as_json(state.document),
        "confirmed_at": state.confirmed_at,
        "boot": state.boot,
        "saved_at_ms": saved_at_ms,
    }
    text = _canonical(body)
    return b'{"sha256":"%b","state":%b}' % (_digest(text).encode(), text)


def decode(content: bytes) -> State:
    """Return what was saved. Raises `DocumentError` if the content is damaged."""
    try:
        found = json.loads(content)
        body = found["state"]
        whole = found["sha256"] == _digest(_canonical(body))
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise DocumentError("not a snapshot") from error
    if not whole:
        raise DocumentError("the checksum does not fit")
    try:
        document = body["document"]
        return State(
            writer=body["writer"],
            reserved=body["reserved"],
            document=None if document is None else from_json(document),
            confirmed_at=body["confirmed_at"],
            boot=body["boot"],
        )
    except (KeyError, TypeError) as error:
        raise DocumentError("something is missing") from error


def load(path: Path) -> State | None:
    """Return what was saved; None if nothing ever was. Raises `DocumentError`, after setting the file aside."""
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise DocumentError(f"it cannot be read: {error}") from error
    try:
        return decode(content)
    except DocumentError:
        with contextlib.suppress(OSError):  # on a full or read-only disk it stays where it is
            path.replace(path.with_name(f"{path.name}.damaged"))
        raise


def save(path: Path, content: bytes) -> None:
    """Put the content in its place; durable when this returns. Raises `OSError`."""
    path.parent.mkdir(parents=True, exist_ok=True)
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


def _canonical(body: Any) -> bytes:
    return json.dumps(body, separators=(",", ":"), sort_keys=True).encode()


def _digest(text: bytes) -> str:
    return hashlib.sha256(text).hexdigest()
