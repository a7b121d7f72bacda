"""The retained tail."""

from reference_impl._event_bus.model import Event
from reference_impl._event_bus.tail import Tail


def event(number: int) -> Event:
    return Event(f"p:1:{number}", "t", "{}", 0.0)


def test_age_is_counted_from_the_newest_confirmation() -> None:
    """Only what is older than the newest confirmation by more than the limit is forgotten."""
    tail = Tail(seconds=5.0, limit=100)
    tail.confirmed([event(1)], 10.0)
    tail.confirmed([event(2)], 15.0)
    assert [event(1), event(2)] == tail.events()
    tail.confirmed([event(3)], 15.1)
    assert [event(2), event(3)] == tail.events()


def test_number_is_bounded() -> None:
    """Whatever the rate, memory stays bounded; the oldest go first."""
    tail = Tail(seconds=5.0, limit=3)
    tail.confirmed([event(number) for number in range(10)], 0.0)
    assert [event(7), event(8), event(9)] == tail.events()


def test_confirmed_again_is_young_again() -> None:
    """After a replay into a new Redis the whole tail counts from that moment."""
    tail = Tail(seconds=5.0, limit=100)
    tail.confirmed([event(1), event(2)], 0.0)
    tail.confirmed_again(100.0)
    tail.confirmed([event(3)], 104.0)
    assert len(tail) == 3
