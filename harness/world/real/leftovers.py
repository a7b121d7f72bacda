"""What runs left behind whose harness and guard were both killed: finding it, and ending it.

`harness doctor` shows what `find` returns, `harness doctor --clean` gives it to `clean`. A process is a
leftover if its environment carries a run's marker and the harness that the marker names (pid and start time)
is not alive. That is looked at again, together with the process's own start time, right before it is ended.
Runs that are still going, also those of other terminals, are never touched.
"""

from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import psutil

from harness.world.real import guard
from harness.world.real.process import records_directory
from harness.world.real.secrets_mask import masked

_DEATH_S_MAX = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftProcess:
    """A process that outlived its run. `started_s` is its start in seconds since 1970, as psutil gives it."""

    pid: int
    started_s: float
    command: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftRun:
    """What is left of one run: processes, temporary directories, and its record if there is one.

    `proxies` are those it made at a toxiproxy-server that is not ours; they may be gone by now, if the server is.
    """

    run_id: str
    processes: tuple[LeftProcess, ...]
    directories: tuple[Path, ...]
    record: Path | None
    proxies: tuple[str, ...] = ()


def find() -> list[LeftRun]:
    """Return the runs of which something is left, in the order of their ids."""
    processes = _marked_processes()
    records = {path.stem: path for path in records_directory().glob("*.run")}
    return [
        LeftRun(
            run_id=run_id,
            processes=tuple(processes.get(run_id, ())),
            directories=_directories(records.get(run_id), run_id),
            record=records.get(run_id),
            proxies=_proxies(records.get(run_id)),
        )
        for run_id in sorted(processes.keys() | records.keys())
        if not is_going(run_id)
    ]


def clean(found: list[LeftRun]) -> list[LeftProcess]:
    """End the processes, remove the directories and records; return the processes that could not be ended."""
    surviving: list[LeftProcess] = []
    for run in found:
        if is_going(run.run_id):
            continue
        left = _end(run)
        surviving += left
        if run.record is not None and not left:
            record = guard.read_record(str(run.record))
            guard.remove_directories(record, run.run_id)
            if not guard.delete_proxies(record, run.run_id):
                run.record.unlink(missing_ok=True)
    return surviving


def is_going(run_id: str) -> bool:
    """Return whether the harness process that owns this run is alive."""
    pid, _, rest = run_id.partition(".")
    start, _, _ = rest.partition(".")
    if not (pid.isdigit() and start.isdigit()):
        return True  # not a marker of ours, so not ours to judge
    owner = guard.status_of(int(pid))
    return owner is not None and not owner.zombie and owner.start == int(start)


def _marked_processes() -> dict[str, list[LeftProcess]]:
    marked: dict[str, list[LeftProcess]] = defaultdict(list)
    for process in psutil.process_iter(["environ", "create_time", "cmdline", "name"]):
        run_id = (process.info["environ"] or {}).get(guard.MARKER)
        if run_id:
            command = " ".join(process.info["cmdline"] or [process.info["name"] or "?"])
            marked[run_id].append(
                LeftProcess(pid=process.pid, started_s=process.info["create_time"], command=masked(command)[:200])
            )
    return marked


def _directories(record: Path | None, run_id: str) -> tuple[Path, ...]:
    if record is None:
        return ()
    named = guard.read_record(str(record)).directories
    return tuple(path for path in map(Path, named) if run_id in path.name and path.is_dir())


def _proxies(record: Path | None) -> tuple[str, ...]:
    if record is None:
        return ()
    named = guard.read_record(str(record)).proxies
    return tuple(f"{name} at http://{host}:{port}" for name, (host, port) in named.items())


def _end(run: LeftRun) -> list[LeftProcess]:
    """End the processes of a run; a frozen one dies of SIGKILL like any other."""
    dying: dict[psutil.Process, LeftProcess] = {}
    for left in run.processes:
        try:
            process = psutil.Process(left.pid)
            if process.create_time() == left.started_s and process.environ().get(guard.MARKER) == run.run_id:
                dying[process] = left
                process.kill()
        except psutil.NoSuchProcess:
            continue
        except psutil.AccessDenied:
            dying.setdefault(process, left)
    _, alive = psutil.wait_procs(list(dying), timeout=_DEATH_S_MAX)
    return [dying[process] for process in alive]
