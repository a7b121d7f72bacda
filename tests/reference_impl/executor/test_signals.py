"""What is a signal, and what is refused, counted, and changes nothing."""

from decimal import Decimal

import pytest

from reference_impl._executor.signals import MalformedSignalError, parse
from scenarios.signal_mix import POISONS

SYMBOLS = frozenset({"BTCUSDT"})
GOOD = {"id": "a", "symbol": "BTCUSDT", "side": "SELL", "confidence": 0.25, "ttl_s": 1.5}


@pytest.mark.parametrize("confidence", [0, 1, 0.0, 1.0, 0.5, 5e-324])
def test_all_numbers_from_0_to_1_are_confidences(confidence):
    """The bounds belong to it, and whole numbers are numbers."""
    assert parse(GOOD | {"confidence": confidence}, SYMBOLS).confidence == confidence


def test_a_signal_is_taken_as_it_is():
    """Amounts exactly as written, the ttl in nanoseconds."""
    raw = GOOD | {"exit": True, "quantity": Decimal("0.100"), "price": 0.1}
    signal = parse(raw, SYMBOLS)
    assert (signal.id, signal.key, signal.ttl_ns) == ("a", ("BTCUSDT", "SELL"), 1_500_000_000)
    assert (signal.exit, signal.quantity, signal.price) == (True, Decimal("0.100"), Decimal("0.1"))
    assert (parse(GOOD, SYMBOLS).exit, parse(GOOD, SYMBOLS).price) == (False, None)


@pytest.mark.parametrize("ttl_s", [0.001, 1, 3_600, 3_600.0])
def test_bounds_of_the_ttl(ttl_s):
    """A millisecond to an hour."""
    assert parse(GOOD | {"ttl_s": ttl_s}, SYMBOLS).ttl_ns == round(ttl_s * 1e9)


@pytest.mark.parametrize("ttl_s", [0.000_999, 3_600.001])
def test_just_out_of_bounds(ttl_s):
    """Refused."""
    with pytest.raises(MalformedSignalError, match="ttl_s"):
        parse(GOOD | {"ttl_s": ttl_s}, SYMBOLS)


@pytest.mark.parametrize("poison", POISONS)
def test_poison_is_refused_counted_and_changes_nothing_else(new_bench, poison):
    """Whatever is wrong: a typed error of one short line, one more rejected, one announcement, the queue as it was."""
    bench = new_bench(max_queue_size=2)
    bench.offer("a", 0.9)
    bench.offer("b", 0.1, exit=True)
    bench.ended()
    before = (bench.queued, bench.machine.ready_at, bench.machine.stale_at)
    raw = POISONS[poison](GOOD | {"symbol": "S5"})
    with pytest.raises(MalformedSignalError) as caught:
        bench.machine.offer(raw, 0)
    assert caught.value.reason
    assert len(str(caught.value)) < 200
    assert "\n" not in str(caught.value)
    assert bench.machine.offered == 3
    assert {reason: count for reason, count in bench.machine.counts.items() if count} == {"rejected": 1}
    assert [reason for _, reason, _ in bench.ended()] == ["rejected"]
    assert (bench.queued, bench.machine.ready_at, bench.machine.stale_at) == before
    bench.offer("c", 0.95)
    assert bench.queued == ["b", "c"]


@pytest.mark.parametrize(("field", "value"), [("symbol", {}), ("side", []), ("id", ("a",)), ("confidence", object())])
def test_types_that_cannot_be_hashed_or_compared(field, value):
    """They are refused as well, and by us."""
    with pytest.raises(MalformedSignalError):
        parse(GOOD | {field: value}, SYMBOLS)


def test_huge_values_are_not_repeated_in_errors():
    """A megabyte in a log line would be the next incident."""
    for field in ("id", "symbol", "side", "confidence", "x" * 1_000_000):
        with pytest.raises(MalformedSignalError) as caught:
            parse(GOOD | {field: "y" * 1_000_000}, SYMBOLS)
        assert len(str(caught.value)) < 200
