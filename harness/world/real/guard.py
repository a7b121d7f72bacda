"""The guard of a run: a process that outlives the harness just long enough to end everything the run started.

A harness can be killed in a way that leaves it no time to clean up. So each run has a guard beside it, in a
session of its own (a terminal's Ctrl-C does not reach it), deaf to polite signals, doing nothing until the
harness is gone. It learns that in two ways, either of which is enough: end of file on a pipe whose write end
only the harness holds, and the harness's pidfd (a forked copy of the harness may hold the pipe open, but not
the pid). Then it sweeps:

1. every process of a session that the run started (each child leads a session of its own), frozen ones too;
2. every process that carries the run's marker in its environment: that finds grandchildren that moved to a
   session
   of their own, and a child started in the very instant in which the harness died, before it was written
   down;

until two sweeps in a row find nothing, then removes the proxies that the run made at a toxiproxy-server which is not
its own, its temporary directories and its record.

What the guard goes by is the *run record*, an append-only text file of one fact a line (see `Record`),
written by the harness as it goes; `harness doctor --clean` reads the same file if even the guard was killed.
A file survives SIGKILL of its writer, so no protocol between the two is needed. Every process is identified
by pid *and* start time and ended through a pidfd, so that a recycled pid is never hit.

Run as a script under `python -I -S`, hence standard library only: it must start in milliseconds.
"""

import os
import select
import signal
import sys
from collections.abc import Iterable, Iterator
from contextlib import suppress

# ruff: noqa: PTH108, PTH119, PTH123, PTH208 -- pathlib would double the time to start

MARKER = "HARNESS_RUN"

_DEAF_TO = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGPIPE)
_SWEEPS_MAX = 100
_QUIET_SWEEPS = 2
_PAUSE_MS = 25
_DEATH_MS_MAX = 2_000
_HTTP_S_MAX = 2.0


class Record:
    """What a run wrote down about itself.

    Lines: `child PID START NAME`, `gone PID`, `directory PATH`, `proxy HOST PORT NAME`, `deleted NAME`. START is the
    start time in clock ticks since boot, as in `/proc/PID/stat`. A torn last line is ignored.
    """

    __slots__ = ("children", "directories", "proxies")

    def __init__(self, text: str) -> None:
        self.children: dict[int, int] = {}
        self.directories: list[str] = []
        self.proxies: dict[str, tuple[str, int]] = {}
        for line in text.split("\n")[:-1]:
            word, _, rest = line.partition(" ")
            if word == "child":
                pid, start, _ = rest.split(" ", 2)
                self.children[int(pid)] = int(start)
            elif word == "gone":
                self.children.pop(int(rest), None)
            elif word == "directory":
                self.directories.append(rest)
            elif word == "proxy":
                host, port, name = rest.split(" ", 2)
                self.proxies[name] = (host, int(port))
            elif word == "deleted":
                self.proxies.pop(rest, None)


class Status:
    """One process as `/proc` shows it: `start` in clock ticks since boot, `still` if a signal stopped it."""

    __slots__ = ("pid", "session", "start", "still", "zombie")

    def __init__(self, pid: int, stat: str) -> None:
        # The command name is in parentheses and may hold anything, spaces and parentheses too.
        fields = stat[stat.rindex(")") + 2 :].split()
        self.pid = pid
        self.still = fields[0] == "T"
        self.zombie = fields[0] in "ZX"
        self.session = int(fields[3])
        self.start = int(fields[19])


def status_of(pid: int) -> Status | None:
    """Return what is known of a process, or None if there is none of that pid."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
            return Status(pid, file.read())
    except (FileNotFoundError, ProcessLookupError):
        return None


def is_marked(pid: int, run_id: str) -> bool:
    """Return whether the process carries that run's marker; False if its environment may not be read."""
    try:
        with open(f"/proc/{pid}/environ", "rb") as file:
            return f"{MARKER}={run_id}".encode() in file.read().split(b"\0")
    except OSError:
        return False


def processes() -> Iterator[Status]:
    """Yield every living process of this machine."""
    for name in os.listdir("/proc"):
        if name.isdigit():
            status = status_of(int(name))
            if status is not None and not status.zombie:
                yield status


def of_run(record: Record, run_id: str) -> list[Status]:
    """Return the living processes of a run: those of its sessions, and those that carry its marker."""
    alive = {status.pid: status for status in processes()}

    def is_ours(status: Status) -> bool:
        start = record.children.get(status.session)
        if start is not None:
            # A session keeps its number from being reused while it has members, though its leader be gone.
            leader = alive.get(status.session)
            if leader is None or leader.start == start:
                return True
        return is_marked(status.pid, run_id)

    return [status for status in alive.values() if status.pid != os.getpid() and is_ours(status)]


def end(victims: Iterable[Status]) -> None:
    """SIGKILL these processes and wait until they are dead; one that was replaced meanwhile is left alone."""
    dying = select.poll()
    handles: set[int] = set()
    waiting: set[int] = set()
    try:
        for victim in victims:
            with suppress(ProcessLookupError, PermissionError):
                handle = os.pidfd_open(victim.pid)
                handles.add(handle)
                now = status_of(victim.pid)
                if now is not None and now.start == victim.start:
                    signal.pidfd_send_signal(handle, signal.SIGKILL)
                    dying.register(handle, select.POLLIN)
                    waiting.add(handle)
        while waiting and (dead := dying.poll(_DEATH_MS_MAX)):
            for handle, _ in dead:
                dying.unregister(handle)
                waiting.discard(handle)
    finally:
        for handle in handles:
            os.close(handle)


def sweep(record: Record, run_id: str) -> None:
    """End every process of a run, and those that they start meanwhile."""
    quiet = 0
    for _ in range(_SWEEPS_MAX):
        victims = of_run(record, run_id)
        end(victims)
        quiet = 0 if victims else quiet + 1
        if quiet == _QUIET_SWEEPS:
            return
        select.poll().poll(_PAUSE_MS)  # a process between fork and exec does not carry the marker yet


def remove_directories(record: Record, run_id: str) -> None:
    """Remove the run's temporary directories: those whose name bears its id, whatever the record says."""
    import shutil  # noqa: PLC0415 - slow to import, and needed only at the very end

    for path in record.directories:
        if run_id in os.path.basename(path):  # and rmtree itself refuses to follow a link
            shutil.rmtree(path, ignore_errors=True)


def delete_proxies(record: Record, run_id: str) -> list[str]:
    """Delete what the run made at toxiproxy-servers: what bears its id. Return the proxies that may still be there."""
    return [name for name, place in record.proxies.items() if run_id in name and not _deleted(name, place)]


def _deleted(name: str, place: tuple[str, int]) -> bool:
    """Ask for it by hand, as http.client takes longer to import than all else here together.

    A server that is gone took its proxies along: they were in its memory.
    """
    import socket  # noqa: PLC0415 - slow to import, and seldom needed

    request = f"DELETE /proxies/{name} HTTP/1.1\r\nHost: toxiproxy\r\nConnection: close\r\n\r\n"
    try:
        with socket.create_connection(place, _HTTP_S_MAX) as connection:
            connection.sendall(request.encode())
            answer = connection.recv(64).split(b" ")
        return len(answer) > 1 and answer[1] in (b"204", b"404")
    except ConnectionRefusedError:
        return True
    except OSError:
        return False


def read_record(path: str) -> Record:
    """Return what a run record says; an empty one if the file is gone."""
    try:
        with open(path, encoding="utf-8", errors="surrogateescape") as file:
            return Record(file.read())
    except FileNotFoundError:
        return Record("")


def clean(path: str, run_id: str) -> None:
    """End and remove everything of a run, the record last: while it exists, there may be something left."""
    record = read_record(path)
    sweep(record, run_id)
    left = delete_proxies(record, run_id)
    remove_directories(record, run_id)
    if left:
        return  # `harness doctor` reads the record, and tells of them
    with suppress(FileNotFoundError):
        os.unlink(path)


def main(path: str, run_id: str, harness_pid: int) -> None:
    """Wait on stdin and on the harness's pid until the harness is gone, then clean up after it."""
    for number in _DEAF_TO:
        signal.signal(number, signal.SIG_IGN)
    watch = select.poll()
    watch.register(sys.stdin.fileno(), select.POLLIN | select.POLLHUP)
    with suppress(ProcessLookupError):
        handle = os.pidfd_open(harness_pid)
        if os.getppid() == harness_pid:  # else it is dead already, and the pid may be another's
            watch.register(handle, select.POLLIN)
            watch.poll()
    clean(path, run_id)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
