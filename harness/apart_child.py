"""The child of apart.py: does one job after the other, from its stdin to its stdout, until that is closed."""

import os
import pickle
import tempfile
import zlib
from dataclasses import replace
from pathlib import Path
from typing import IO, TYPE_CHECKING, Final

from harness.worker_process import Broken, one_line
from harness.world.sim.identity import ensure_stable_interpreter

if TYPE_CHECKING:
    from harness.apart import Answer, Parcel
    from harness.jobs import Job

LOG_NAME: Final = "harness-errors.log"


def main() -> None:
    """Serve. Whatever code under test prints goes to stderr: stdout belongs to the parent."""
    ensure_stable_interpreter(["-m", "harness.apart_child"])
    with os.fdopen(os.dup(0), "rb") as into, os.fdopen(os.dup(1), "wb") as out:
        os.dup2(2, 1)
        with Path(os.devnull).open("rb") as nothing:
            os.dup2(nothing.fileno(), 0)
        while _serve_one(into, out):
            pass


def _serve_one(into: IO[bytes], out: IO[bytes]) -> bool:
    """Do one job; return whether there is somebody who may want another."""
    from harness.apart import Parcel, receive, send  # noqa: PLC0415 - after the interpreter was started anew

    try:
        parcel = receive(into)
        assert isinstance(parcel, Parcel)
        job = _opened(parcel)
        send(out, None)
        send(out, job if isinstance(job, Broken) else _done(job))
    except (EOFError, BrokenPipeError):
        return False
    return True


def _opened(parcel: "Parcel") -> "Job | Broken":
    """Return the job, or why it is not done here."""
    from harness.build import build_of  # noqa: PLC0415

    try:
        if difference := parcel.build.differs_from(build_of(parcel.build.packages)):
            return Broken(f"its worker has another build: {difference}")
        job: Job = pickle.loads(parcel.job)  # noqa: S301 - from the harness that asks
    except Exception as error:  # noqa: BLE001 - opening it imports whatever it is made of
        return Broken(f"it cannot be opened by its worker: {one_line(error)}")
    return job


def _done(job: "Job") -> "Answer":
    from harness.apart import Returned  # noqa: PLC0415
    from harness.campaign import perform  # noqa: PLC0415

    with tempfile.TemporaryDirectory(prefix="harness-apart-") as name:
        folder = Path(name)
        try:
            result = perform(replace(job, order=replace(job.order, folder=folder)))
            kept = [*sorted(folder.glob("histories/*.jsonl")), *folder.glob(LOG_NAME)]
            files = tuple((str(path.relative_to(folder)), zlib.compress(path.read_bytes())) for path in kept)
        except Exception as error:  # noqa: BLE001 - it is the parent's to judge, in one line
            return Broken(one_line(error))
        return Returned(result, files)


if __name__ == "__main__":
    main()
