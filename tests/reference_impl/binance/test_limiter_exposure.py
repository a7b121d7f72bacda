"""How many requests may be out at once: below what a storm could turn into a ban, whatever happened before."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reference_impl._binance.exposure import Exposure

BAN = 10
"""Refusals within a minute that earn a ban of the emulated exchange."""


def places(exposure: Exposure, now: float, *, risk: bool = False, half_open: bool = False) -> int:
    """Return how many requests may be out before the next one has to wait for an answer, or for time."""
    out = 0
    while exposure.earliest(out, now, risk=risk, half_open=half_open) <= now:
        out += 1
    return out


def struck(times: int, max_in_flight: int = 5) -> Exposure:
    """Return the exposure after so many refusals at 0."""
    exposure = Exposure(max_in_flight)
    for _ in range(times):
        exposure.strike(0.0)
    return exposure


@pytest.mark.parametrize(
    ("strikes", "normal", "risk"),
    [(0, 5, 8), (1, 4, 7), (2, 3, 6), (4, 1, 4), (5, 1, 4), (7, 1, 2), (8, 0, 1), (9, 0, 0), (12, 0, 0)],
)
def test_refusals_take_places(strikes: int, normal: int, risk: int) -> None:
    """The more refusals, the fewer at once; the last places are kept for cancels and reduce-only orders."""
    assert (places(struck(strikes), 1.0), places(struck(strikes), 1.0, risk=True)) == (normal, risk)


def test_a_probe_has_little_company() -> None:
    """While nobody knows whether a storm is over, three risk orders at most find out."""
    assert places(struck(0), 1.0, risk=True, half_open=True) == 3
    assert places(struck(8), 1.0, risk=True, half_open=True) == 1


def test_places_come_back_with_time() -> None:
    """If nothing is out, the wait ends when enough refusals are over; else an answer may end it before."""
    exposure = Exposure(5)
    for at in range(9):
        exposure.strike(float(at))
    assert exposure.earliest(0, 10.0, risk=False, half_open=False) == 62.0
    assert exposure.earliest(0, 10.0, risk=True, half_open=False) == 61.0
    assert exposure.earliest(1, 10.0, risk=True, half_open=False) == math.inf
    assert places(exposure, 62.0) == 1
    assert places(exposure, 70.0) == 5


def test_risk_orders_jitter_once_refusals_are_many() -> None:
    """From the fifth on."""
    assert [struck(times).many for times in (0, 4, 5, 9)] == [False, False, True, True]


@given(
    steps=st.lists(st.tuples(st.sampled_from(["send", "risk", "refused", "fine"]), st.floats(0, 20)), max_size=200),
    most=st.integers(1, 50),
)
def test_no_storm_earns_a_ban(steps: list[tuple[str, float]], most: int) -> None:
    """Whatever is sent when allowed, and refused at any time, all of it if need be: never ten within a minute."""
    exposure, now, out = Exposure(most), 0.0, 0
    refusals: list[float] = []
    for what, pause in steps:
        now += pause
        if what in ("send", "risk"):
            out += exposure.earliest(out, now, risk=what == "risk", half_open=False) <= now
        elif out:
            out -= 1
            if what == "refused":
                exposure.strike(now)
                refusals.append(now)
        refusals = [at for at in refusals if at > now - 60]
        assert len(refusals) + out < BAN
