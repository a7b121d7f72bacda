"""The book by itself: what is taken is gone, comes back in time, and never was more than there."""

import json
from decimal import Decimal
from fractions import Fraction

from hypothesis import given, settings
from hypothesis import strategies as st

from harness.dependencies.binance.market.book import Book, Side
from harness.dependencies.binance.market.symbols import INSTRUMENTS, Instrument

REFILL_MS = 200
EVERY = [what for listed in INSTRUMENTS.values() for what in listed.values()]
STEPS = st.tuples(
    st.sampled_from(["BUY", "SELL"]), st.sampled_from([1, 400, 416, 1_000, 4_000]), st.sampled_from([0, 1, 199, 200])
)


@settings(deadline=None)  # the machine may be busy
@given(steps=st.lists(STEPS, max_size=12))
def test_levels_run_out_and_come_back(steps: list[tuple[Side, int, int]]) -> None:
    """Against a model that knows only the whole levels: per level, what was taken since and when it is back."""
    book = Book(INSTRUMENTS["futures"]["BTCUSDT"], REFILL_MS)
    whole = {side: book.plan(side, Decimal(100), None) for side in ("BUY", "SELL")}
    taken: dict[tuple[Side, int], tuple[Fraction, int]] = {}
    now_ms = 0
    for side, thousandths, wait_ms in steps:
        now_ms += wait_ms
        taken = {key: (gone, back_ms) for key, (gone, back_ms) in taken.items() if back_ms > now_ms}
        wanted, expected = Fraction(thousandths, 1_000), []
        for level in whole[side]:
            gone, back_ms = taken.get((side, level.level), (Fraction(0), now_ms + REFILL_MS))
            some = min(Fraction(level.quantity) - gone, wanted)
            if some > 0:
                expected.append((level.price, some))
                taken[side, level.level] = (gone + some, back_ms)
                wanted -= some
        book.advance(now_ms)
        plan = book.plan(side, Decimal(thousandths) / 1_000, None)
        book.take(side, plan, now_ms)
        assert [(take.price, Fraction(take.quantity)) for take in plan] == expected


@settings(deadline=None)  # the machine may be busy
@given(what=st.sampled_from(EVERY), share=st.integers(1, 100_000))
def test_any_price_gives_a_book(what: Instrument, share: int) -> None:
    """Whatever the price is set to: levels on the tick, in steps, best first, with the bids below the asks."""
    book = Book(what, REFILL_MS)
    book.set_price(what.price * share / 1_000)
    sides = {side: json.loads(f"[{book.depth(side, 50, (), None)}]") for side in ("BUY", "SELL")}
    assert len(sides["BUY"]) == 50
    assert Decimal(sides["SELL"][0][0]) < Decimal(sides["BUY"][0][0])
    for side, sign in (("SELL", -1), ("BUY", 1)):
        prices = [sign * Decimal(price) for price, _ in sides[side]]
        assert prices == sorted(set(prices))
        assert all(Decimal(price) > 0 and Decimal(price) % what.tick == 0 for price, _ in sides[side])
        assert all(Decimal(each) > 0 and Decimal(each) % what.step == 0 for _, each in sides[side])


def test_a_thin_book_has_its_share_of_every_level() -> None:
    """Rounded down to whole steps; its levels take as long to come back as was said, and it ends whole."""
    book = Book(INSTRUMENTS["futures"]["BTCUSDT"], REFILL_MS)
    book.thin(Decimal("0.05"), 5_000)
    plan = book.plan("BUY", Decimal("0.05"), None)
    assert [str(take.quantity) for take in plan] == ["0.020", "0.030"]
    book.take("BUY", plan, 0)
    book.advance(4_999)
    assert book.plan("BUY", Decimal("0.001"), None)[0].level == 1
    book.advance(5_000)
    assert book.plan("BUY", Decimal("0.001"), None)[0].level == 0
    book.restore()
    assert str(book.plan("BUY", Decimal(1), None)[0].quantity) == "0.416"


def test_a_barrier_hides_the_levels_that_would_cross_it() -> None:
    """Makers do not quote at or through a client's resting order."""
    book = Book(INSTRUMENTS["futures"]["BTCUSDT"], REFILL_MS)
    assert book.best("BUY", Decimal("60006.10")) == Decimal("60012.10")
    assert book.best("SELL", Decimal("59994.00")) == Decimal("59988.00")
    assert book.best("BUY", Decimal("60000.00")) == Decimal("60000.10")
