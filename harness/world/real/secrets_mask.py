"""Keeps credentials out of logs and histories."""

import re
from typing import Final

_USERINFO: Final = re.compile(r"(\b[a-z][a-z0-9+.-]*://)[^\s/?#\"'<>]*@", re.IGNORECASE)
_QUERY: Final = re.compile(
    r"([?&](?:password|passwd|token|secret|signature|api_?key|listen_?key)=)[^&\s\"']+", re.IGNORECASE
)


def masked(text: str) -> str:
    """Return the text with user, password and secret query values of every URL in it replaced by `***`."""
    return _QUERY.sub(r"\1***", _USERINFO.sub(r"\1***@", text))
