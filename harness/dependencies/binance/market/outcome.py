"""What a call came to."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a call came to. `payload`: JSON-able, or `bytes` that are JSON already (cached answers).

    - `order_id`, `client_id`: the order that it placed, changed or cancelled (of several, the first).
    - `executed`: it took effect on orders.
    - `fills`: how many fills it made; `worse`: a thin book or a price move made them worse, or left the order short.
    """

    payload: Any
    order_id: int = 0
    client_id: str = ""
    executed: bool = False
    fills: int = 0
    worse: bool = False
