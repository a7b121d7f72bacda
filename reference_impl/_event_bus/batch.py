"""How events travel together: one XADD alone, several as MULTI/EXEC, and what counts as a confirmation. Pure.

Several events in a plain pipeline would be executed one by one: if the second were refused (-OOM) and the third not,
the third would have overtaken the second. In MULTI/EXEC all are appended, or none.
"""

from collections.abc import Callable, Sequence

import msgspec

from reference_impl._event_bus.encoding import EXEC, MULTI, Reply
from reference_impl._event_bus.model import Event


class Packed(msgspec.Struct, frozen=True):
    """Bytes to send, and how many replies they have."""

    data: bytes
    replies: int


def pack_batch(events: Sequence[Event], xadd: Callable[[Event], bytes]) -> Packed:
    """Pack one or more events so that they are appended in order, all or none."""
    if len(events) == 1:
        return Packed(xadd(events[0]), 1)
    return Packed(b"".join([MULTI, *map(xadd, events), EXEC]), len(events) + 2)


def refusal(replies: Sequence[Reply], events: int) -> str | None:
    """Return None if the replies confirm so many events, else what Redis said instead."""
    outcome = replies[-1]
    if events == 1 and type(outcome) is bytes:  # nearly always, and then this is the quickest way to tell
        return None
    ids = [outcome] if events == 1 else outcome
    if isinstance(ids, list) and len(ids) == events and all(isinstance(entry, bytes) for entry in ids):
        return None
    culprits = [*replies, *(ids if isinstance(ids, list) else ())]
    return next(
        (f"Redis refused: {reply}" for reply in culprits if isinstance(reply, Exception)), "Redis did not confirm"
    )
