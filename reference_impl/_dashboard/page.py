"""The live page: one HTML document with its own style and script, and nothing from anywhere else.

Its policy allows just these two, and connections to where it came from. Everything that comes over the feed is put
in as text.
"""

import base64
import hashlib
from pathlib import Path
from typing import Final

_HERE: Final = Path(__file__).parent
_CSS: Final = (_HERE / "page.css").read_text(encoding="utf-8")
_SCRIPT: Final = (_HERE / "page.js").read_text(encoding="utf-8")


def _hashed(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


PAGE: Final = (
    (_HERE / "page.html").read_text(encoding="utf-8").replace("{{ css }}", _CSS).replace("{{ script }}", _SCRIPT)
)
CSP: Final = (
    f"default-src 'none'; style-src {_hashed(_CSS)}; script-src {_hashed(_SCRIPT)}; connect-src 'self'; "
    "img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
