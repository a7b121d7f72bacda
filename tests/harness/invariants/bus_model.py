"""A model of a correct event bus, as histories: plain data that a test can break in one place.

Times are integer milliseconds here. A `Message` is one publish, a `Handed` one delivery; `history` renders them.
"""

from dataclasses import dataclass, replace

from hypothesis import strategies as st

from harness.history.events import SCHEMA, FaultBegan, FaultHealed, Invoke, Observation, Ok, RunEnded
from harness.history.events import RunStarted as Started
from harness.history.history import History
from harness.units import MILLISECOND

GROUPS = ("risk", "books")
OUTAGE = (10_000, 20_000)
END = 45_000
CAPACITY = 3


@dataclass(frozen=True)
class Message:
    """One publish; `ack` is None if it never returned."""

    key: str
    producer: str
    type: str
    start: int
    ack: int | None

    @property
    def digest(self):
        return f"d-{self.key}"

    @property
    def id(self):
        return f"id-{self.key}"


@dataclass(frozen=True)
class Handed:
    """One delivery."""

    time: int
    group: str
    message: Message
    digest: str = ""
    type: str = ""


@dataclass(frozen=True)
class Bus:
    """What happened on a bus. `given_up`: keys that overflow dropped, announced at the outage's end."""

    messages: tuple[Message, ...]
    handed: tuple[Handed, ...]
    given_up: tuple[str, ...] = ()
    dropped: int = 0
    samples: tuple[tuple[int, int], ...] = ()
    capacity: int = 10_000

    def history(self):
        """Render it; the order of events within an instant is publishes, deliveries, the rest."""
        events = [Started(0, "harness", 1, SCHEMA, "0", "s", "full", "sim", 7, {}, [])]
        events += [Observation(0, "consumer", 1, "groups", {"groups": list(GROUPS), "types": ["x", "y"]})]
        events += [FaultBegan(_ns(OUTAGE[0]), "harness", 1, 1, "redis.outage", "hang", "redis")]
        events += [FaultHealed(_ns(OUTAGE[1]), "harness", 1, 1)]
        for op, message in enumerate(self.messages):
            value = {"key": message.key, "type": message.type, "digest": message.digest}
            events.append(Invoke(_ns(message.start), message.producer, 1, op, "publish", value))
            if message.ack is not None:
                events.append(Ok(_ns(message.ack), message.producer, 1, op, {"id": message.id}))
        for one in self.handed:
            value = {
                "group": one.group,
                "key": one.message.key,
                "type": one.type or one.message.type,
                "id": one.message.id,
                "digest": one.digest or one.message.digest,
            }
            events.append(Observation(_ns(one.time), "consumer", 1, "deliver", value))
        if self.given_up:
            ids = [f"id-{key}" for key in self.given_up]
            events.append(Observation(_ns(OUTAGE[1]), "p0", 1, "overflow", {"ids": ids}))
        for time, buffered in (*self.samples, (END - 1, 0)):
            dropped = self.dropped if time >= OUTAGE[1] else 0
            value = {"mode": "direct", "buffered": buffered, "dropped": dropped}
            events.append(Observation(_ns(time), "p0", 1, "stats", value))
        return History.of([*events, RunEnded(_ns(END), "harness", 1, None, len(events))])


@st.composite
def buses(draw, overflow=None):
    """Draw a correct bus: one or two producers, concurrent publishes, an outage; `overflow`: surely, not, or maybe."""
    overflow = draw(st.booleans()) if overflow is None else overflow
    drawn = draw(
        st.lists(
            st.tuples(
                st.integers(0, 40_000), st.integers(0, 200), st.sampled_from("xy"), st.sampled_from(["p0", "p1"])
            ),
            min_size=2,
            max_size=14,
        )
    )
    # Something before, in and after the outage, so that no invariant is left without anything to judge.
    drawn += [(5_000, 10, "x", "p0"), (5_500, 10, "x", "p0"), (15_000, 10, "x", "p0")]
    drawn += [(30_000, 10, "x", "p0"), (31_000, 10, "x", "p0")]
    if overflow:
        drawn += [(11_000 + number, 10, "y", "p0") for number in range(CAPACITY)]
    messages = [
        Message(f"{producer}-{number:03d}", producer, kind, start, start + took)
        for number, (start, took, kind, producer) in enumerate(sorted(drawn))
    ]
    waiting = [message for message in messages if message.producer == "p0" and OUTAGE[0] <= message.ack < OUTAGE[1]]
    gone = waiting[:-CAPACITY] if overflow and len(waiting) > CAPACITY else []
    buffered = min(len(waiting), CAPACITY) if overflow else len(waiting)
    delays = draw(st.lists(st.integers(0, 300), min_size=len(messages), max_size=len(messages)))
    return Bus(
        messages=tuple(messages),
        handed=tuple(_hand_out([message for message in messages if message not in gone], delays)),
        given_up=tuple(message.key for message in gone),
        dropped=len(gone),
        samples=((OUTAGE[1] - 1, buffered),),
        capacity=CAPACITY if overflow else 10_000,
    )


def _hand_out(messages, delays):
    """Deliver in the order of acks: at once, or when the outage is over, each a little later than the one before."""
    for group in GROUPS:
        last = 0
        for message, delay in zip(sorted(messages, key=lambda one: (one.ack, one.start)), delays, strict=False):
            ready = OUTAGE[1] if OUTAGE[0] <= message.ack < OUTAGE[1] else message.ack
            last = max(last, ready + delay)
            yield Handed(last, group, message)


def moved_behind(bus, early, late):
    """Give the delivery `early` the place right behind `late`, and its time."""
    rest = [one for one in bus.handed if one is not early]
    at = rest.index(late) + 1
    return replace(bus, handed=(*rest[:at], replace(early, time=late.time), *rest[at:]))


def _ns(time_ms):
    return time_ms * MILLISECOND
