"""The ids of calls that change something: each is good for one call.

What they are against: a call that arrives a second time, as a proxy's retry or a person's replay of a log has it. Who
knows a valid token can make up new calls, and no nonce is against that. Of each operator the newest are remembered, so
storage is bounded, and nobody without a token of theirs can push an operator's ids out.
"""

import re
from collections import OrderedDict
from typing import Final, Protocol

KEPT_PER_OPERATOR: Final = 10_000
_FORM: Final = re.compile(r"[A-Za-z0-9._:-]{8,64}")


class Nonces(Protocol):
    """Remembers ids. One that forgets over a restart takes replays for new calls."""

    async def use(self, operator: str, nonce: str) -> bool:
        """Remember it, durably before this returns; return whether it is new.

        What it raises refuses the call (503). Whether a call may go on that could not be remembered is the service's
        to say: a stop must, whatever the disk does.
        """


def well_formed(nonce: str) -> bool:
    """Say whether that may be an id: 8 to 64 letters, digits and `._:-`, as UUIDs and ULIDs are."""
    return _FORM.fullmatch(nonce) is not None


class RecentNonces:
    """The newest ids of each operator, in memory. Pure."""

    def __init__(self, kept: int = KEPT_PER_OPERATOR) -> None:
        self._kept = kept
        self._used: dict[str, OrderedDict[str, None]] = {}

    def use(self, operator: str, nonce: str) -> bool:
        """Remember it; return whether it is new."""
        used = self._used.setdefault(operator, OrderedDict())
        if nonce in used:
            return False
        used[nonce] = None
        if len(used) > self._kept:
            used.popitem(last=False)
        return True
