"""The guard's rules for what has no audit trail of its own: refusals are logged, and ids remembered in memory."""

import logging
from collections.abc import Mapping

from reference_impl._http.audit import RefusalLog
from reference_impl._http.guard import Rules
from reference_impl._http.nonces import RecentNonces
from reference_impl._http.refusals import Refused
from reference_impl._http.tokens import Tokens

log = logging.getLogger(__name__)


class _Nonces:
    """Ids of calls, as long as the process lives: a change of policy names the version it is based on besides."""

    def __init__(self) -> None:
        self._recent = RecentNonces()

    async def use(self, operator: str, nonce: str) -> bool:
        """Remember it; return whether it is new."""
        return self._recent.use(operator, nonce)


async def _note(refused: Refused) -> None:
    log.warning("refused %s %s: %s, %d times", refused.method, refused.path, refused.code, refused.count)


def rules(tokens: Mapping[str, str]) -> Rules:
    """Return rules for those tokens, by whose they are."""
    return Rules(tokens=Tokens(tokens), nonces=_Nonces(), refusals=RefusalLog(_note))
