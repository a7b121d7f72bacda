"""What the API answers when it cannot do what was asked, in Toxiproxy's words.

Clients match on these texts, so they are part of the protocol. Factories instead of constants: an exception carries
the traceback of the one time that it was raised.
"""

from http import HTTPStatus

from harness.errors import HarnessError


class ApiError(HarnessError):
    """The call failed: `text` is what the answer says, `status` its HTTP status."""

    def __init__(self, text: str, status: int) -> None:
        super().__init__(text)
        self.text = text
        self.status = status


def proxy_not_found() -> ApiError:
    """There is no proxy of that name."""
    return ApiError("proxy not found", HTTPStatus.NOT_FOUND)


def proxy_exists() -> ApiError:
    """A proxy of that name is there already."""
    return ApiError("proxy already exists", HTTPStatus.CONFLICT)


def toxic_not_found() -> ApiError:
    """The proxy has no toxic of that name."""
    return ApiError("toxic not found", HTTPStatus.NOT_FOUND)


def toxic_exists() -> ApiError:
    """The proxy has a toxic of that name already."""
    return ApiError("toxic already exists", HTTPStatus.CONFLICT)


def invalid_type() -> ApiError:
    """No toxic is of that type."""
    return ApiError("invalid toxic type", HTTPStatus.BAD_REQUEST)


def invalid_stream() -> ApiError:
    """A toxic's stream is neither of the two."""
    return ApiError("stream was invalid, can be either upstream or downstream", HTTPStatus.BAD_REQUEST)


def missing_field(name: str) -> ApiError:
    """A field that must be there is not, or is empty; `name` may say where."""
    return ApiError(f"missing required field: {name}", HTTPStatus.BAD_REQUEST)


def bad_body(reason: str) -> ApiError:
    """The body is not what the call takes."""
    return ApiError(f"bad request body: {reason}", HTTPStatus.BAD_REQUEST)


def cannot_listen(reason: str) -> ApiError:
    """The proxy's address cannot be listened on: it is taken, not ours, or not an address."""
    return ApiError(f"listen tcp{reason}", HTTPStatus.INTERNAL_SERVER_ERROR)
