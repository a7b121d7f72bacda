"""Tallies and spreads: every run counted once, lost ones as neither, no figure that was not observed."""

from hypothesis import given
from hypothesis import strategies as st

from harness.measures import measure_of, spread_of, spreads_of
from harness.tally import tally
from harness.verdict import CRASHED, TIMED_OUT, RunResult, Verdict


def run(seed, verdict=Verdict.PASS, **fields):
    return RunResult(
        scenario="s", title="", patch=1, priority="P0", world="sim", profile="full", seed=seed, target={},
        verdict=verdict, replay=f"harness run s --seed {seed}", **fields,
    )  # fmt: skip


def test_a_lost_run_is_neither_a_pass_nor_a_failure():
    """Two passed, one failed: two of three, whatever was lost, broke or could not be judged beside them."""
    runs = [
        run(1),
        run(2, Verdict.ERROR, lost=TIMED_OUT, metrics={"recovery_s": 99.0}),
        run(3, Verdict.ERROR, lost=CRASHED),
        run(4, Verdict.ERROR),
        run(5, Verdict.INCONCLUSIVE),
        run(7, Verdict.FAIL),
        run(6),
    ]
    told = tally(runs)
    assert (told.passed, told.failed, told.judged, told.rate) == (2, 1, 3, 2 / 3)
    assert (told.crashed, told.timed_out, told.errors, told.inconclusive) == (1, 1, 1, 1)
    assert (round(told.low, 4), round(told.high, 4)) == (0.2077, 0.9385)  # Wilson, 2 of 3
    assert told.spreads == ()


def test_the_lowest_failing_seed_is_told_in_whatever_order_runs_ended():
    """With the command that makes it again; none where none failed."""
    told = tally([run(9, Verdict.FAIL), run(4, Verdict.FAIL), run(2, Verdict.ERROR), run(1)])
    assert (told.lowest_failing, told.replay) == (4, "harness run s --seed 4")
    assert (tally([run(1)]).lowest_failing, tally([run(1)]).replay) == (None, "")


@given(st.lists(st.tuples(st.sampled_from(Verdict), st.sampled_from(["", CRASHED, TIMED_OUT]))))
def test_every_run_is_in_one_count(kinds):
    """Nothing is lost from view and nothing counted twice; a rate is within its interval."""
    runs = [run(at, Verdict.ERROR if lost else verdict, lost=lost) for at, (verdict, lost) in enumerate(kinds)]
    told = tally(runs)
    counts = (told.passed, told.failed, told.inconclusive, told.errors, told.crashed, told.timed_out)
    assert sum(counts) == told.runs == len(runs)
    assert told.rate is None or told.low <= told.rate <= told.high


@given(st.lists(st.one_of(st.none(), st.integers(-1000, 1000))))
def test_a_spread_is_made_of_observed_values(values):
    """Percentiles over seeds are by rank, so each is one seed's value; and it is said how many seeds have it."""
    known = sorted(value for value in values if value is not None)
    told = spread_of("x", values)
    if not known:
        assert told is None
        return
    assert told is not None
    assert told.samples == len(known)
    shown = [one for one in (told.least, told.median, told.p90, told.p99, told.greatest) if one is not None]
    assert shown == sorted(shown)
    assert set(shown) <= set(known)
    assert (told.p90 is None, told.p99 is None) == (len(known) < 10, len(known) < 100)


def test_a_figure_that_some_seeds_lack_is_that_of_the_others():
    """One seed never recovered and another has no such operation: the count of samples says so."""
    told = spreads_of([{"recovery_s": None, "a": 1}, {"recovery_s": 2.0, "a": 3}, {"a": 2}])
    assert [(one.name, one.samples, one.median) for one in told] == [("recovery_s", 1, 2.0), ("a", 3, 2.0)]


def test_which_way_is_better():
    """Slower, later and dropped is worse; more getting through is better; a total says nothing."""
    better = {
        name: getattr(measure_of(name), "less_is_better", None) for name in ("recovery_s", "get_p99_ms", "put_fail")
    }
    assert better == {"recovery_s": True, "get_p99_ms": True, "put_fail": True}
    assert measure_of("put_per_s").less_is_better is False
    assert [measure_of(name) for name in ("events", "put_total", "put_max_ms", "put_ok")] == [None] * 4
