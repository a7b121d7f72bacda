"""A flow of messages as a history shows it: who published what, and which group was given it when.

Host programs record a flow in this vocabulary (the names can be chosen, the fields are fixed):

- operation `publish` {key, type, digest}: `key` is the harness's own id, unique and also inside the payload;
  `digest` is of the canonical payload. `Ok` {id}: the id that the bus gave it. `Fail`: rejected for certain.
- observation `deliver` {group, key, type, id, digest}: one call of a consumer's handler.
- observation `overflow` {ids}: the bus ids of acked events which the bus announces to have given up.
- observation `groups` {groups, types}: a consumer states which groups it reads, and which types.
- observation `stats` {mode, buffered, dropped}: a sample of the bus' own figures.

A publisher that was killed may try a key again after its restart, since it never learnt the outcome. All
attempts at one key count as one publish: begun with the first attempt, acked with the first ack.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal, TypeVar

import msgspec

from harness.errors import HistoryError
from harness.history.events import Fields
from harness.history.history import History
from harness.history.query import observations, operations

NO_KEY: Final = "(no key)"
"""Stands for the key of a delivered payload that holds none."""

S = TypeVar("S", bound=msgspec.Struct)


@dataclass(frozen=True, slots=True, kw_only=True)
class Flow:
    """The names under which a history records one flow."""

    publish: str = "publish"
    deliver: str = "deliver"
    overflow: str = "overflow"
    groups: str = "groups"
    stats: str = "stats"


DEFAULT_FLOW: Final = Flow()


class Attempt(msgspec.Struct, frozen=True, gc=False):
    """What a publish operation was asked to publish."""

    key: str
    type: str
    digest: str


class _Acked(msgspec.Struct, gc=False):
    id: str | None  # a target that returns no id is wrong elsewhere, not unreadable


class _Delivered(msgspec.Struct, gc=False):
    group: str
    key: str | None  # None: the payload that arrived had none, so it is none of ours
    type: str
    id: str
    digest: str


class _Overflow(msgspec.Struct):
    ids: list[str]


class _Groups(msgspec.Struct):
    groups: list[str]
    types: list[str]


class _Stats(msgspec.Struct):
    mode: Literal["direct", "fallback", "resync"]
    buffered: int
    dropped: int


class Publish(msgspec.Struct, frozen=True, gc=False):
    """One key's publishing. `ack_ns` and `ack_at` are those of its first ack, None if there was none.

    `*_at` are positions in the history. `ids` are the ids that the bus returned, `attempts` the operations.
    """

    key: str
    producer: str
    start_ns: int
    start_at: int
    ack_ns: int | None
    ack_at: int | None
    attempts: tuple[Attempt, ...]
    ids: tuple[str, ...]

    @property
    def types(self) -> frozenset[str]:
        """The types it was published under: one, unless a retry changed it."""
        return frozenset(attempt.type for attempt in self.attempts)


class Delivery(msgspec.Struct, frozen=True, gc=False):
    """One call of a handler; `at` numbers the deliveries of all groups in their order."""

    at: int
    time_ns: int
    consumer: str
    group: str
    key: str
    type: str
    id: str
    digest: str


@dataclass(frozen=True, slots=True)
class Announcement:
    """The bus said that it gave these up."""

    time_ns: int
    actor: str
    ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Sample:
    """The bus' own figures at one time."""

    time_ns: int
    actor: str
    mode: str
    buffered: int
    dropped: int


@dataclass(frozen=True, slots=True)
class FlowRecord:
    """All that a history tells of one flow.

    `publishes` by key, in order of their beginning; `deliveries` in order; `first[group][key]` is the first
    delivery of a key to a group; `groups_of[type]` are the groups that declared that type.
    """

    publishes: dict[str, Publish]
    groups_of: dict[str, tuple[str, ...]]
    deliveries: tuple[Delivery, ...]
    first: dict[str, dict[str, Delivery]]
    announcements: tuple[Announcement, ...]
    announced: frozenset[str]
    samples: tuple[Sample, ...]

    def owed_to(self, publish: Publish) -> Sequence[str]:
        """Return the groups that must get this event, if it is acked."""
        if len(publish.attempts) == 1:
            return self.groups_of.get(publish.attempts[0].type, ())
        owed = (group for attempt in publish.attempts for group in self.groups_of.get(attempt.type, ()))
        return list(dict.fromkeys(owed))

    def given_up(self, publish: Publish) -> bool:
        """Tell whether the bus announced that it gave this event up."""
        return bool(self.announced) and not self.announced.isdisjoint(publish.ids)


def read_flow(history: History, flow: Flow) -> FlowRecord:
    """Return what the history tells of the flow; raises `HistoryError` if a record lacks a field."""
    return history.once(("flow", flow), lambda: _read(history, flow))


def _read(history: History, flow: Flow) -> FlowRecord:
    deliveries = _deliveries(history, flow)
    first: dict[str, dict[str, Delivery]] = {}
    for delivery in deliveries:
        first.setdefault(delivery.group, {}).setdefault(delivery.key, delivery)
    announcements = tuple(
        Announcement(seen.time_ns, seen.actor, tuple(_typed(seen.value, _Overflow, flow.overflow).ids))
        for seen in observations(history, flow.overflow)
    )
    return FlowRecord(
        publishes=_publishes(history, flow),
        groups_of=_groups_of(history, flow),
        deliveries=deliveries,
        first=first,
        announcements=announcements,
        announced=frozenset(event_id for announcement in announcements for event_id in announcement.ids),
        samples=_samples(history, flow),
    )


def _publishes(history: History, flow: Flow) -> dict[str, Publish]:
    publishes: dict[str, Publish] = {}
    records = operations(history, flow.publish)
    attempts = _all_typed([record.value for record in records], Attempt, flow.publish)
    acks = iter(_all_typed([record.result or {} for record in records if record.outcome == "ok"], _Acked, flow.publish))
    for record, attempt in zip(records, attempts, strict=True):
        acked = record.outcome == "ok"
        bus_id = next(acks).id if acked else None
        ids = () if bus_id is None else (bus_id,)
        ack_ns, ack_at = (record.end_ns, record.end_at) if acked else (None, None)
        before = publishes.get(attempt.key)
        if before is None:
            publish = Publish(
                attempt.key, record.actor, record.start_ns, record.start_at, ack_ns, ack_at, (attempt,), ids
            )
        else:
            if before.ack_at is not None and (ack_at is None or before.ack_at < ack_at):
                ack_ns, ack_at = before.ack_ns, before.ack_at
            publish = Publish(
                before.key,
                before.producer,
                before.start_ns,
                before.start_at,
                ack_ns,
                ack_at,
                (*before.attempts, attempt),
                before.ids + ids,
            )
        publishes[attempt.key] = publish
    return publishes


def _deliveries(history: History, flow: Flow) -> tuple[Delivery, ...]:
    deliveries = []
    every = observations(history, flow.deliver)
    values = _all_typed([seen.value for seen in every], _Delivered, flow.deliver)
    for number, (seen, value) in enumerate(zip(every, values, strict=True)):
        key = NO_KEY if value.key is None else value.key
        deliveries.append(
            Delivery(number, seen.time_ns, seen.actor, value.group, key, value.type, value.id, value.digest)
        )
    return tuple(deliveries)


def _groups_of(history: History, flow: Flow) -> dict[str, tuple[str, ...]]:
    groups_of: dict[str, dict[str, None]] = {}
    for seen in observations(history, flow.groups):
        value = _typed(seen.value, _Groups, flow.groups)
        for event_type in value.types:
            groups_of.setdefault(event_type, {}).update(dict.fromkeys(value.groups))
    return {event_type: tuple(groups) for event_type, groups in groups_of.items()}


def _samples(history: History, flow: Flow) -> tuple[Sample, ...]:
    samples = []
    for seen in observations(history, flow.stats):
        value = _typed(seen.value, _Stats, flow.stats)
        samples.append(Sample(seen.time_ns, seen.actor, value.mode, value.buffered, value.dropped))
    return tuple(samples)


def _typed(value: Fields, kind: type[S], name: str) -> S:
    return _all_typed([value], kind, name)[0]


def _all_typed(values: Sequence[Fields], kind: type[S], name: str) -> list[S]:
    """Check all values of one kind in one call: of tens of thousands, each call would cost more than its check."""
    try:
        return msgspec.convert(values, list[kind])  # type: ignore[valid-type] # it is a value to mypy
    except msgspec.ValidationError as error:
        raise HistoryError(f"a record of {name!r} is not what the flow's vocabulary says: {error}") from error
