"""Bearer tokens of operators."""

import hashlib
import hmac
from collections.abc import Mapping, Sequence
from typing import Final

TOKEN_BYTES_MIN: Final = 16
"""Below this a token could be guessed: 128 bits, if its characters are drawn from all bytes."""


class Tokens:
    """Who is who, by token. Holds digests only, so that neither a traceback nor a `repr` can show a token.

    Raises `ValueError` for a token that is too short, not ASCII, or held by two operators; the text names the operator.
    """

    def __init__(self, tokens: Mapping[str, str]) -> None:
        self._digests: dict[str, bytes] = {}
        for operator, token in tokens.items():
            if not operator:
                raise ValueError("an operator without a name")
            if len(token) < TOKEN_BYTES_MIN or not token.isascii() or not token.isprintable() or " " in token:
                raise ValueError(
                    f"the token of {operator} must have at least {TOKEN_BYTES_MIN} printable ASCII characters, no space"
                )
            digest = _digest(token.encode())
            if digest in self._digests.values():
                raise ValueError(f"the token of {operator} is another operator's, too: nobody could tell who called")
            self._digests[operator] = digest

    def operator(self, authorization: Sequence[bytes]) -> str | None:
        """Return whose token the `Authorization` headers of a call bear; None if there is not one valid one.

        Every token is compared, in constant time, whichever matches: the time tells neither a prefix nor who it was.
        """
        if len(authorization) != 1:
            return None
        scheme, _, token = authorization[0].partition(b" ")
        offered = _digest(token.strip(b" "))
        found: str | None = None
        for operator, digest in self._digests.items():
            if hmac.compare_digest(digest, offered):
                found = operator
        return found if scheme.lower() == b"bearer" else None


def _digest(token: bytes) -> bytes:
    return hashlib.sha256(token).digest()
