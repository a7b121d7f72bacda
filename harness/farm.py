"""Hands jobs to any `concurrent.futures.Executor`: a pool of this machine, or a cluster by whatever client it has.

Jobs are handed over as places get free, not all at once, so that limits are obeyed and Ctrl-C leaves little behind.
What an executor raises for a job (a worker lost with it, a result that cannot be read) is an ERROR of that job: it says
that nobody knows how the run went. So is everything that is left once `gone` says that nothing can come back any more.
"""

from collections.abc import Callable, Generator, Sequence
from concurrent.futures import FIRST_COMPLETED, CancelledError, Executor, Future, wait
from dataclasses import dataclass
from typing import Final

from harness import interrupts
from harness.apart import Answer, parcel_of, perform_apart, unpack
from harness.jobs import Ended, Job
from harness.worker_process import Broken, one_line

_LOOK_S: Final = 0.5
"""How often it is asked whether to go on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Farm:
    """An executor, how many jobs it does at once, and why nothing can come back from it any more, if that is so."""

    executor: Executor
    width: int
    gone: Callable[[], str] = lambda: ""


def hand_out(
    jobs: Sequence[Job],
    farm: Farm,
    *,
    may_start: Callable[[Job], bool],
    began: Callable[[Job], None],
    limit_s: Callable[[Job], float | None],
) -> Generator[tuple[Job, Ended], None, None]:
    """Do the jobs by the executor; yield results as they come. An interrupt leaves what is under way."""
    waiting = list(reversed(jobs))
    under_way: dict[Future[Answer], Job] = {}
    try:
        while not interrupts.asked():
            while waiting and len(under_way) < farm.width and may_start(waiting[-1]):
                job = waiting.pop()
                began(job)
                try:
                    under_way[farm.executor.submit(perform_apart, parcel_of(job, limit_s(job)))] = job
                except Exception as error:  # noqa: BLE001 - it cannot be pickled, or the executor is shut
                    yield job, Broken(f"cannot be handed to the executor: {one_line(error)}")
            if not under_way:
                return
            ended, _ = wait(under_way, timeout=_LOOK_S, return_when=FIRST_COMPLETED)
            for future in ended:
                job = under_way.pop(future)
                yield job, _outcome(job, future)
            if not ended and (why := farm.gone()):
                for future, job in list(under_way.items()):
                    del under_way[future]
                    future.cancel()
                    yield job, Broken(why, crashed=True)
                for job in reversed(waiting):
                    yield job, Broken(why, crashed=True)
                return
    finally:
        for future in under_way:
            future.cancel()


def _outcome(job: Job, future: "Future[Answer]") -> Ended:
    try:
        return unpack(job, future.result())
    except CancelledError:
        return Broken("its executor gave it up", crashed=True)
    except Exception as error:  # noqa: BLE001 - whatever the executor raises: nobody knows how the run went
        return Broken(f"its executor lost it: {one_line(error)}", crashed=True)
