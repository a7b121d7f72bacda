"""429 to 418: when a ban begins, how long it is, when it ends; against a model that keeps all strikes for ever."""

import hypothesis.strategies as st
from hypothesis import settings as hypothesis_settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from harness.dependencies.binance.gate.guard import Ban, Guard

NOON_MS = 1_700_000_040_000
BANS_MS = (1_000, 3_000, 10_000)


def guard(strikes: int = 3, bans_ms: tuple[int, ...] = BANS_MS) -> Guard:
    """A guard that bans quickly."""
    return Guard(strikes=strikes, strike_window_ms=500, bans_ms=bans_ms)


def test_a_few_refusals_are_forgiven() -> None:
    """Fewer strikes than needed within the span earn nothing, however many there are in all."""
    made = guard()
    assert [made.strike(NOON_MS + 250 * each) for each in range(20)] == [None] * 20
    assert not made.banned(NOON_MS + 5_000)


def test_enough_strikes_within_the_span_earn_a_ban() -> None:
    """The last of them begins it."""
    made = guard()
    assert made.strike(NOON_MS) is None
    assert made.strike(NOON_MS + 1) is None
    assert made.strike(NOON_MS + 499) == Ban(length_ms=1_000, until_ms=NOON_MS + 1_499, earned=True, strikes=3)
    assert made.banned(NOON_MS + 1_498)
    assert not made.banned(NOON_MS + 1_499)


def test_bans_grow_up_to_the_longest() -> None:
    """Repeat offenders are banned for longer; after the last length it is that one again."""
    made = guard(strikes=1)
    at_ms = [NOON_MS, NOON_MS + 50_000, NOON_MS + 100_000, NOON_MS + 150_000]
    assert [made.strike(each).length_ms for each in at_ms] == [1_000, 3_000, 10_000, 10_000]


def test_requests_during_a_ban_make_it_longer() -> None:
    """Whoever goes on while banned earns the next length, from then on."""
    made = guard()
    for _ in range(3):
        made.strike(NOON_MS)
    for _ in range(2):
        assert made.strike(NOON_MS + 900) is None
    assert made.strike(NOON_MS + 900) == Ban(length_ms=3_000, until_ms=NOON_MS + 3_900, earned=True, strikes=3)


def test_an_imposed_ban_is_no_mark_on_the_record() -> None:
    """It is nobody's fault: the first earned ban after it has the first length, and lifting ends it at once."""
    made = guard(strikes=1)
    assert made.impose(NOON_MS + 60_000, NOON_MS) == Ban(
        length_ms=60_000, until_ms=NOON_MS + 60_000, earned=False, strikes=0
    )
    assert made.banned(NOON_MS + 59_999)
    made.impose(0, NOON_MS)
    assert not made.banned(NOON_MS)
    assert made.strike(NOON_MS).length_ms == 1_000


def test_lifting_spares_no_earned_ban() -> None:
    """Also when it was earned during the imposed one."""
    made = guard(strikes=1)
    made.impose(NOON_MS + 60_000, NOON_MS)
    made.strike(NOON_MS)
    made.impose(0, NOON_MS)
    assert (made.until_ms, made.banned(NOON_MS + 999)) == (NOON_MS + 1_000, True)


def test_a_later_ban_never_ends_an_earlier_one() -> None:
    """Also if settings say that later bans are shorter."""
    made = guard(strikes=1, bans_ms=(5_000, 10))
    made.strike(NOON_MS)
    assert made.strike(NOON_MS + 1) == Ban(length_ms=10, until_ms=NOON_MS + 5_000, earned=True, strikes=1)


class GuardAgainstHistory(RuleBasedStateMachine):
    """The model remembers every strike and every ban, and answers by looking through them."""

    @initialize(strikes=st.integers(1, 4), bans_ms=st.lists(st.integers(1, 9_000), min_size=1, max_size=4))
    def begin(self, strikes: int, bans_ms: list[int]) -> None:
        self.guard = guard(strikes, tuple(bans_ms))
        self.bans_ms = bans_ms
        self.needed = strikes
        self.now_ms = NOON_MS
        self.strikes: list[int] = []
        self.earned: list[tuple[int, int]] = []
        self.imposed: int | None = None

    @rule(ms=st.one_of(st.integers(0, 600), st.integers(900, 12_000)))
    def wait(self, ms: int) -> None:
        self.now_ms += ms

    @rule()
    def strike(self) -> None:
        self.strikes.append(self.now_ms)
        recent = [at_ms for at_ms in self.strikes if at_ms > self.now_ms - 500]
        ban = self.guard.strike(self.now_ms)
        if len(recent) < self.needed:
            assert ban is None
            return
        length_ms = [*self.bans_ms, *[self.bans_ms[-1]] * len(self.earned)][len(self.earned)]
        self.earned.append((self.now_ms, length_ms))
        self.strikes.clear()
        assert ban is not None
        assert (ban.length_ms, ban.strikes, ban.earned) == (length_ms, self.needed, True)
        assert ban.until_ms == max(at_ms + length for at_ms, length in self.earned)

    @rule(ms=st.integers(1, 20_000))
    def impose(self, ms: int) -> None:
        self.guard.impose(self.now_ms + ms, self.now_ms)
        self.imposed = self.now_ms + ms

    @rule()
    def lift(self) -> None:
        self.guard.impose(0, self.now_ms)
        self.imposed = None

    @invariant()
    def bans_agree(self) -> None:
        if not hasattr(self, "guard"):
            return
        ends = [at_ms + length_ms for at_ms, length_ms in self.earned] + ([self.imposed] if self.imposed else [])
        assert self.guard.banned(self.now_ms) == any(self.now_ms < end for end in ends)
        assert self.guard.until_ms == max(ends, default=0)


TestGuardAgainstHistory = GuardAgainstHistory.TestCase
TestGuardAgainstHistory.settings = hypothesis_settings(max_examples=60, stateful_step_count=40, deadline=None)
