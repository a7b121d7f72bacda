"""The frames of the feed, both ways: JSON texts. Pure.

Events come encoded, so a frame is put together from texts, and the same batch is put together once for all clients that
are at the same position.
"""

from collections.abc import Iterator, Sequence
from typing import Annotated, Final

import msgspec

from reference_impl._dashboard.model import Batch, Event, Options

SNAPSHOT_CHARS: Final = 32_768
"""A snapshot is cut into frames of about this size."""
_CACHED_MAX: Final = 256

_Seq = Annotated[int, msgspec.Meta(ge=0, le=2**53)]


class Hello(msgspec.Struct, frozen=True, tag_field="type", tag="hello"):
    """A client's first frame."""

    token: str | None = None
    epoch: str | None = None
    last_seq: _Seq | None = None
    critical_seq: _Seq | None = None


class Ping(msgspec.Struct, frozen=True, tag_field="type", tag="ping"):
    """A client is still there."""

    id: str | int | None = None


_decoder: Final = msgspec.json.Decoder(Hello | Ping)


def read(text: str) -> Hello | Ping:
    """Return what a client says. Raises ValueError if it is none of the frames that there are."""
    try:
        message: Hello | Ping = _decoder.decode(text)
    except (msgspec.MsgspecError, RecursionError, UnicodeError) as error:
        raise ValueError("not a frame of this feed") from error
    return message


def welcome(epoch: str, seq: int, base: int, options: Options, *, resumed: bool) -> str:
    """Return the answer to a good hello."""
    fields = {"type": "welcome", "epoch": epoch, "seq": seq, "base": base, "resumed": resumed, "limits": options.shown}
    return msgspec.json.encode(fields).decode()


def snapshot(base: int, events: Sequence[Event], critical_from: int) -> Iterator[str]:
    """Return the frames of a snapshot; there is at least one, and the last says that it is."""
    begin = 0
    while True:
        end, size = begin, 0
        while end < len(events) and size < SNAPSHOT_CHARS:
            size += len(events[end].text)
            end += 1
        more = "true" if end < len(events) else "false"
        state = ",".join([event.text for event in events[begin:end]])
        yield (f'{{"type":"snapshot","seq":{base},"critical_from":{critical_from},"more":{more},"state":[{state}]}}')
        begin = end
        if begin >= len(events):
            return


def heartbeat(through: int, seq: int) -> str:
    """Return what says that there is nothing to say."""
    return f'{{"type":"heartbeat","through":{through},"seq":{seq}}}'


def pong(ping: Ping, seq: int) -> str:
    """Return the answer to a ping."""
    return msgspec.json.encode({"type": "pong", "id": ping.id, "seq": seq}).decode()


class BatchTexts:
    """The latest batches, encoded: most clients are at the same position."""

    def __init__(self) -> None:
        self._texts: dict[tuple[int, ...], str] = {}

    def text(self, batch: Batch) -> str:
        """Return the frame."""
        known = (batch.after, batch.through, batch.conflated, *[event.seq for event in batch.events])
        text = self._texts.get(known)
        if text is None:
            events = ",".join([event.text for event in batch.events])
            text = (
                f'{{"type":"batch","after":{batch.after},"through":{batch.through},"conflated":{batch.conflated},'
                f'"events":[{events}]}}'
            )
            if len(self._texts) >= _CACHED_MAX:
                self._texts.clear()
            self._texts[known] = text
        return text
