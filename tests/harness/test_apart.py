"""Jobs in processes of their own: the same result whatever hands them over, and every way to lose one is an ERROR."""

from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from harness import apart
from harness.apart import Returned, parcel_of, perform_apart, unpack
from harness.campaign import Limits, Single, conduct, perform
from harness.farm import Farm
from harness.registry import discover
from harness.runner import Order
from harness.targets import choose
from harness.verdict import CRASHED, TIMED_OUT, Verdict
from harness.worker_process import Broken, Overdue
from tests.harness.campaign_log import Log

pytestmark = [pytest.mark.real, pytest.mark.xdist_group("apart")]

SCENARIO = "binance-ban"


@pytest.fixture(scope="module", autouse=True)
def _no_child_is_left():
    yield
    apart.end_children()


def order_of(folder, *wishes, seed=1):
    scenario = discover()[SCENARIO]
    return Order(
        scenario=scenario, profile="short", world="sim", seed=seed, targets=choose(scenario, wishes), folder=folder
    )


def test_a_seed_comes_out_the_same_in_every_process(tmp_path):
    """By threads and by processes, in two children: the same trace to the bit. What was kept is in our run folder."""
    runs = []
    for pool in (ThreadPoolExecutor(1), ProcessPoolExecutor(1)):
        with pool:
            jobs = [Single(order=order_of(tmp_path))]
            runs += conduct(jobs, Limits(), Log(), farm=Farm(executor=pool, width=1)).runs
    assert [one.verdict for one in runs] == [Verdict.PASS] * 2
    assert runs[0].trace_digest == runs[1].trace_digest
    history = Path(runs[0].history)
    assert history.parent == tmp_path / "histories"
    assert history.stat().st_size > 1000


def test_failing_seeds_bring_their_histories_home(tmp_path):
    """A campaign keeps what failed, wherever it was run; what passed and was not to be kept leaves nothing."""
    failing = Single(order=order_of(tmp_path, "binance:planned"), keep_history=False)
    passing = Single(order=order_of(tmp_path), keep_history=False)
    results = [unpack(job, perform_apart(parcel_of(job, None))) for job in (failing, passing)]
    assert [one.verdict for one in results] == [Verdict.FAIL, Verdict.PASS]
    assert results[1].history is None
    assert [path.name for path in (tmp_path / "histories").iterdir()] == [Path(results[0].history).name]


def test_another_build_does_no_work_for_us(tmp_path):
    """Other sources, another Python or library: the run is an ERROR that says what differs, and never a pass."""
    job = Single(order=order_of(tmp_path))
    parcel = parcel_of(job, None)
    for change, text in (
        ({"sources": "0" * 12}, "source of harness, reference_impl, scenarios"),
        ({"python": "CPython 3.99.0"}, "Python CPython 3.99.0 here, CPython 3."),
        ({"harness": "99"}, "harness 99 here, "),
        ({"libraries": (("redis", "0.1"),)}, "redis 0.1 here, "),
    ):
        answer = perform_apart(replace(parcel, build=replace(parcel.build, **change)))
        assert isinstance(answer, Broken)
        assert "its worker has another build" in answer.reason
        assert text in answer.reason


def test_a_job_that_takes_too_long_or_its_process_along_is_lost(tmp_path):
    """Late is said as late, dead as dead, and the next job has a new process."""
    job = Single(order=order_of(tmp_path))
    late = perform_apart(parcel_of(job, 1e-6))
    assert isinstance(late, Overdue)
    died = perform_apart(replace(parcel_of(job, None), job=b"cos\n_exit\n(I7\ntR."))  # pickled: os._exit(7)
    assert isinstance(died, Broken)
    assert died.crashed
    assert "exited with code 7" in died.reason
    assert isinstance(perform_apart(parcel_of(job, None)), Returned)


class Losing(ThreadPoolExecutor):
    """An executor that loses what it is given, in the way that it is told to."""

    def __init__(self, error=None):
        super().__init__(1)
        self.error = error

    def submit(self, function, *arguments):
        future = Future()
        if self.error is not None:
            future.set_exception(self.error)
        return future


def test_what_an_executor_loses_is_an_error_and_never_a_pass(tmp_path):
    """An exception for one job; and an executor from which nothing can come back any more."""
    jobs = [Single(order=order_of(tmp_path, seed=seed)) for seed in (1, 2)]
    done = conduct(jobs, Limits(), Log(), farm=Farm(executor=Losing(OSError("KilledWorker")), width=1))
    assert [(one.verdict, one.lost) for one in done.runs] == [(Verdict.ERROR, CRASHED)] * 2
    assert done.runs[0].errors == (f"{SCENARIO} [sim] seed 1: its executor lost it: OSError: KilledWorker",)

    farm = Farm(executor=Losing(), width=1, gone=lambda: "the cluster has no worker any more")
    done = conduct(jobs, Limits(), Log(), farm=farm)
    assert [(one.verdict, one.lost) for one in done.runs] == [(Verdict.ERROR, CRASHED)] * 2
    assert done.runs[1].errors[0].endswith("seed 2: the cluster has no worker any more")


def test_a_late_job_counts_as_timed_out(tmp_path):
    """As with worker processes of this machine."""
    with ThreadPoolExecutor(1) as pool:
        limits = Limits(run_timeout_s=1e-6)
        done = conduct([Single(order=order_of(tmp_path))], limits, Log(), farm=Farm(executor=pool, width=1))
    assert [one.lost for one in done.runs] == [TIMED_OUT]


def test_a_file_for_outside_the_run_folder_is_not_written(tmp_path):
    """What comes from other machines is not trusted with paths."""
    job = Single(order=order_of(tmp_path / "run"))
    result = perform(replace(job, keep_history=False))
    broken = unpack(job, Returned(result, (("../outside", b""),)))
    assert isinstance(broken, Broken)
    assert not (tmp_path / "outside").exists()
