"""A refused call: the answer that its caller gets, and the record of it that people get.

The answer is `{"error": {"code", "message", "fields"}}`. Its texts are all written in this package or by a service's
routes: nothing that a caller sent and no exception's text is repeated in one.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

UNKNOWN_FIELD: Final = "is not a field of this call"
_PROBLEMS: Final[Mapping[str, str]] = {
    "missing": "is missing",
    "extra_forbidden": UNKNOWN_FIELD,
    "string_type": "must be a string",
    "string_too_short": "is too short",
    "string_too_long": "is too long",
    "string_pattern_mismatch": "has characters or a form that it may not have",
    "json_invalid": "is not JSON",
    "model_attributes_type": "must be an object",
    "dict_type": "must be an object",
    "int_type": "must be an integer",
    "int_parsing": "must be an integer",
    "float_type": "must be a number",
    "float_parsing": "must be a number",
    "finite_number": "must be finite",
    "enum": "is none of the allowed values",
    "literal_error": "is none of the allowed values",
}


class Refusal(Exception):  # noqa: N818 - the field's word for it; routes raise it as their answer
    """A call is refused: an HTTP status, a code for programs, a message for people, and what is wrong by field."""

    def __init__(self, status: int, code: str, message: str, *, fields: Sequence[tuple[str, str]] = ()) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.fields = tuple(fields)

    def answer(self) -> dict[str, Any]:
        """Return the body of the answer."""
        fields = [{"field": field, "problem": problem} for field, problem in self.fields]
        return {"error": {"code": self.code, "message": self.message, "fields": fields}}


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """The record of a refused call. `who` is an operator's name, or None without a valid token; never a token.

    `count` calls are told of: more than one if there were so many that they are told of together; `code` is then
    `flood`, and the other fields are those of the last of them.
    """

    who: str | None
    source: str
    method: str
    path: str
    status: int
    code: str
    count: int = 1


def invalid(errors: Sequence[Any]) -> Refusal:
    """Return the refusal of a body or a query of a wrong form, from what pydantic found."""
    return Refusal(
        422, "invalid", "The call is not of the form that is wanted.", fields=[_field(one) for one in errors]
    )


def _field(error: Mapping[str, Any]) -> tuple[str, str]:
    kind = str(error["type"])
    place = list(error["loc"])
    if kind in {"extra_forbidden", "json_invalid"}:  # the last part is what the caller wrote, or where it ends
        place = place[:-1] or place
    return ".".join(map(str, place)), _PROBLEMS.get(kind, "is not valid")
