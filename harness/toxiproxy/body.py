"""JSON bodies as Toxiproxy reads and writes them.

Reading: keys in any case, unknown keys ignored, null leaves the default, whatever follows the first value ignored; a
field of the wrong kind is refused, and so is a fraction where an integer belongs. Writing: no spaces, `<`, `>` and `&`
escaped, numbers as a 32-bit float prints shortest (toxicity is one). Clients in typed languages depend on these.
"""

import json
import math
import struct
from typing import Any, Final

from harness.toxiproxy.errors import bad_body

_SPACE: Final = " \t\r\n"
_FLOAT_DIGITS_MAX: Final = 9
_FLOAT_LARGE: Final = 1e21
_KINDS: Final = {dict: "object", list: "array", str: "string", bool: "bool", int: "number", float: "number"}
_ESCAPES: Final = {ord(sign): f"\\u{ord(sign):04x}" for sign in "<>&\u2028\u2029"}


def decode(body: bytes) -> Any:
    """Return the first JSON value of a body. Raises `ApiError` (400)."""
    text = body.decode("utf-8", "replace").lstrip(_SPACE)
    if not text:
        raise bad_body("EOF")
    try:
        value, _ = _DECODER.raw_decode(text)
    except json.JSONDecodeError as problem:
        raise bad_body(f"{problem.msg[:1].lower()}{problem.msg[1:]} at character {problem.pos + 1}") from None
    except RecursionError:
        raise bad_body("exceeded max depth") from None
    except ValueError as problem:  # an integer of thousands of digits, a constant that is none of JSON's
        raise bad_body(str(problem)) from None
    return value


def encode(value: Any) -> bytes:
    """Return a value as compact JSON."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return text.translate(_ESCAPES).encode("utf-8", "replace")


class Fields:
    """The fields of a JSON object by lower-case name; each getter takes the default and refuses other kinds."""

    __slots__ = ("_values",)

    def __init__(self, value: Any) -> None:
        """Raises `ApiError` (400) if the value is neither an object nor null."""
        if value is not None and not isinstance(value, dict):
            raise bad_body(f"json: cannot unmarshal {_kind(value)} into an object")
        self._values = {name.lower(): item for name, item in (value or {}).items() if item is not None}

    def text(self, name: str, default: str) -> str:
        """Return a string."""
        value: str = self._get(name, default, str, "string")
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")

    def flag(self, name: str, *, default: bool) -> bool:
        """Return a truth value."""
        value: bool = self._get(name, default, bool, "bool")
        return value

    def number(self, name: str, default: float) -> float:
        """Return a number that fits a 32-bit float, rounded to one."""
        value = self._values.get(name, default)
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise _wrong(name, value, "float32")
        try:
            rounded: float = struct.unpack("f", struct.pack("f", value))[0]
        except (OverflowError, struct.error):
            raise _wrong(name, value, "float32") from None
        if not math.isfinite(rounded):
            raise _wrong(name, value, "float32")
        return shortest(rounded)

    def fields(self, name: str) -> dict[str, Any]:
        """Return an object, empty if there is none."""
        return dict(self._get(name, {}, dict, "object"))

    def _get(self, name: str, default: Any, kind: type, kind_name: str) -> Any:
        value = self._values.get(name, default)
        if type(value) is not kind:
            raise _wrong(name, value, kind_name)
        return value


def shortest(value: float) -> float:
    """Return the shortest decimal that is the same 32-bit float, as a number; an integer where it is one."""
    for digits in range(1, _FLOAT_DIGITS_MAX + 1):
        near = float(f"{value:.{digits}g}")
        if struct.pack("f", near) == struct.pack("f", value):
            break
    return int(near) if near.is_integer() and abs(near) < _FLOAT_LARGE else near


def _wrong(name: str, value: Any, kind: str) -> Exception:
    shown = f"number {value}" if isinstance(value, float) else _kind(value)
    return bad_body(f"json: cannot unmarshal {shown} into field {name} of type {kind}")


def _kind(value: Any) -> str:
    return _KINDS.get(type(value), "null")


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"invalid character {name[0]!r} looking for beginning of value")


_DECODER: Final = json.JSONDecoder(parse_constant=_refuse_constant)
