"""From payloads to bytes on the wire and back: canonical JSON, Redis commands, stream entries. Pure.

A stream entry has the fields `event_id`, `payload` (JSON) and `timestamp` (Unix seconds). Commands are packed here
rather than by redis-py because one XADD is the cost of one publish: its fixed part is packed once per event type. JSON
is msgspec's, several times faster; what only `json` accepts goes through `json` first.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias

import msgspec

from reference_impl._event_bus.errors import PayloadError
from reference_impl._event_bus.model import DeliveredEvent, Event

Reply: TypeAlias = Any  # RESP is untyped: None, int, bytes, an exception, or a list of replies

STREAM_PREFIX = "events:"
MULTI = b"*1\r\n$5\r\nMULTI\r\n"
EXEC = b"*1\r\n$4\r\nEXEC\r\n"
EVENT_TYPE_BYTES_MAX = 256

_FIELDS = [b"event_id", b"payload", b"timestamp"]

_encode = msgspec.json.Encoder(order="deterministic").encode
_decode = msgspec.json.Decoder().decode


class EventKey(NamedTuple):
    """The identity of an event, taken apart. Within one producer, publish order is the order of `(epoch, seq)`."""

    producer: str
    epoch: int
    seq: int


def format_event_id(producer: str, epoch: int, seq: int) -> str:
    """Return the text form of an identity."""
    return f"{producer}:{epoch}:{seq}"


def parse_event_id(event_id: str) -> EventKey:
    """Take an event id apart.

    Raises:
        ValueError: It is not of the form `producer:epoch:seq`.

    """
    producer, epoch, seq = event_id.rsplit(":", 2)
    return tuple.__new__(EventKey, (producer, int(epoch), int(seq)))  # as for `Event`


def stream_of(event_type: str) -> str:
    """Return the name of the stream that carries this type."""
    return STREAM_PREFIX + event_type


def check_event_type(event_type: str) -> None:
    """Refuse a type that cannot name a stream.

    Raises:
        PayloadError: Not a string, empty, too long, or not encodable as UTF-8.

    """
    try:
        if isinstance(event_type, str) and 0 < len(event_type.encode()) <= EVENT_TYPE_BYTES_MAX:
            return
    except UnicodeEncodeError:
        pass
    raise PayloadError(f"an event type is a non-empty string of at most {EVENT_TYPE_BYTES_MAX} bytes of UTF-8")


def encode_payload(payload: Mapping[str, Any], max_bytes: int) -> str:
    """Return the canonical JSON of a payload: sorted keys, no spaces.

    Raises:
        PayloadError: It is not a JSON object, contains NaN or infinity, would not come back equal (tuples, keys that
            are no strings), is not UTF-8, or is larger than `max_bytes`.

    """
    try:
        plain = payload if type(payload) is dict else dict(payload)
        try:
            encoded = _encode(plain)
        except TypeError:  # perhaps a subclass of str or int, which msgspec does not take
            encoded = _encode(json.loads(json.dumps(plain, allow_nan=False)))
        faithful = _decode(encoded) == payload  # NaN became null, a tuple a list, a number as key a string
    except (TypeError, ValueError, RecursionError, AttributeError, msgspec.MsgspecError) as error:
        raise PayloadError(f"the payload is not a JSON object: {error}") from error
    if len(encoded) > max_bytes:
        raise PayloadError(f"the payload has {len(encoded)} bytes, more than {max_bytes}")
    if not faithful:
        raise PayloadError("the payload would not come back equal: use JSON's own types, with strings as keys")
    return encoded.decode()


def pack(*args: bytes | str | int) -> bytes:
    """Pack one command in RESP."""
    encoded = [arg if isinstance(arg, bytes) else str(arg).encode() for arg in args]
    return b"*%d\r\n" % len(encoded) + b"".join([b"$%d\r\n%b\r\n" % (len(arg), arg) for arg in encoded])


def appender(maxlen: int) -> Callable[[Event], bytes]:
    """Return a function that packs the XADD of an event to its stream, trimmed to about `maxlen` entries."""
    heads: dict[str, bytes] = {}
    approximate = str(maxlen).encode()

    def xadd(event: Event) -> bytes:
        head = heads.get(event.event_type)
        if head is None:
            fixed = pack("XADD", stream_of(event.event_type), "MAXLEN", "~", approximate, "*")
            head = heads[event.event_type] = b"*12" + fixed[2:] + b"$8\r\nevent_id\r\n"
        event_id, payload, timestamp = event[0].encode(), event[2].encode(), repr(event[3]).encode()
        return b"%b$%d\r\n%b\r\n$7\r\npayload\r\n$%d\r\n%b\r\n$9\r\ntimestamp\r\n$%d\r\n%b\r\n" % (
            head,
            len(event_id),
            event_id,
            len(payload),
            payload,
            len(timestamp),
            timestamp,
        )

    return xadd


def acker(stream: bytes, group: str) -> Callable[[Sequence[bytes]], bytes]:
    """Return a function that packs the XACK of entries of a stream."""
    fixed = pack("XACK", stream, group).partition(b"\r\n")[2]

    def xack(entry_ids: Sequence[bytes]) -> bytes:
        ids = b"".join([b"$%d\r\n%b\r\n" % (len(entry_id), entry_id) for entry_id in entry_ids])
        return b"*%d\r\n%b%b" % (len(entry_ids) + 3, fixed, ids)

    return xack


def decode_entry(stream: str, fields: Sequence[bytes]) -> DeliveredEvent:
    """Turn the fields of a stream entry into what a handler receives.

    Raises:
        ValueError: The entry was not written by an event bus, or is damaged.

    """
    try:
        if fields[::2] != _FIELDS:
            fields = _in_our_order(fields)
        _, event_id, _, encoded, _, timestamp = fields
        try:
            payload = _decode(encoded)
        except msgspec.DecodeError:  # not written by this encoder: `json` takes more
            payload = json.loads(encoded)
        event_type = stream.removeprefix(STREAM_PREFIX)
        event = DeliveredEvent(event_id.decode(), event_type, payload, float(timestamp))
    except (KeyError, ValueError) as error:
        raise ValueError(f"not an event: {error!r}") from error
    if not isinstance(payload, dict):
        raise ValueError("not an event: its payload is not an object")  # noqa: TRY004 - the data is wrong, not the code
    return event


def _in_our_order(fields: Sequence[bytes]) -> Sequence[bytes]:
    """Pick ours from fields in another order, or among others."""
    values = dict(zip(fields[::2], fields[1::2], strict=True))
    return [part for name in _FIELDS for part in (name, values[name])]
