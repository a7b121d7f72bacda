"""Every way out of the sim world is an error that names the line, and is recorded even if it was swallowed."""

import concurrent.futures
import contextlib
import os
import queue
import re
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from _thread import start_new_thread
from pathlib import Path
from time import sleep as bound_sleep

import pytest

from harness.errors import EscapeError
from harness.world.sim import escapes
from harness.world.sim.active import TEXTS_MAX, Escapes
from harness.world.sim.sources import virtual


def with_udp():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.sendto(b"x", ("127.0.0.1", 9))


def with_tcp(method, *args):
    with socket.socket() as sock:
        getattr(sock, method)(*args)


ESCAPES = {
    "threading.Thread": (lambda tmp: threading.Thread(target=print).start(), "started the thread"),
    "Timer": (lambda tmp: threading.Timer(1, print).start(), "started the thread"),
    "pre-bound start_new_thread": (lambda tmp: start_new_thread(print, ()), "started the thread"),
    "ThreadPoolExecutor": (
        lambda tmp: concurrent.futures.ThreadPoolExecutor().submit(print),
        "use loop.run_in_executor",
    ),
    "ProcessPoolExecutor": (
        lambda tmp: concurrent.futures.ProcessPoolExecutor().submit(print),
        "use loop.run_in_executor",
    ),
    "time.sleep": (lambda tmp: time.sleep(0.5), r"blocked in time.sleep\(0.5\)"),
    "pre-bound sleep": (lambda tmp: bound_sleep(1), "use asyncio.sleep"),
    "connect": (lambda tmp: with_tcp("connect", ("127.0.0.1", 9)), "socket.connect"),
    "connect_ex": (lambda tmp: with_tcp("connect_ex", ("127.0.0.1", 9)), "socket.connect"),
    "create_connection": (lambda tmp: socket.create_connection(("127.0.0.1", 9)), "socket.getaddrinfo"),
    "bind": (lambda tmp: with_tcp("bind", ("127.0.0.1", 0)), "socket.bind"),
    "listen": (lambda tmp: with_tcp("listen"), "socket.listen"),
    "sendto": (lambda tmp: with_udp(), "socket.sendto"),
    "getaddrinfo": (lambda tmp: socket.getaddrinfo("example.invalid", 80), "socket.getaddrinfo"),
    "gethostbyname": (lambda tmp: socket.gethostbyname("example.invalid"), "socket.gethostbyname"),
    "subprocess": (lambda tmp: subprocess.run([sys.executable, "-c", ""], check=False), "subprocess.Popen"),
    "os.fork": (lambda tmp: os.fork(), "os.fork"),
    "os.system": (lambda tmp: os.system("true"), "os.system"),
    "os.posix_spawn": (lambda tmp: os.posix_spawn("/bin/true", ["true"], {}), "os.posix_spawn"),
    "os.execv": (lambda tmp: os.execv("/bin/true", ["true"]), "os.exec"),
    "os.kill": (lambda tmp: os.kill(os.getpid(), 0), "os.kill"),
    "open w": (lambda tmp: (tmp / "x").open("w"), "opened for writing"),
    "open a": (lambda tmp: open(str(tmp / "x"), "a"), "opened for writing"),  # noqa: SIM115, PTH123
    "open r+": (lambda tmp: open(os.fsencode(tmp / "there"), "r+b"), "opened for writing"),  # noqa: SIM115, PTH123
    "os.open": (lambda tmp: os.open(tmp / "x", os.O_CREAT | os.O_WRONLY), "opened for writing"),
    "write_text": (lambda tmp: (tmp / "x").write_text("x"), "opened for writing"),
    "mkstemp": (lambda tmp: tempfile.mkstemp(dir=tmp), "opened for writing"),
    "mkdir": (lambda tmp: (tmp / "x").mkdir(), "os.mkdir"),
    "remove": (lambda tmp: (tmp / "there").unlink(), "os.remove"),
    "rename": (lambda tmp: (tmp / "there").rename(tmp / "disk" / "here"), "os.rename"),
    "rename out": (lambda tmp: (tmp / "disk" / "mine").rename(tmp / "out"), "os.rename"),
    "symlink": (lambda tmp: (tmp / "x").symlink_to("there"), "os.symlink"),
    "chmod": (lambda tmp: (tmp / "there").chmod(0o600), "os.chmod"),
    "truncate": (lambda tmp: os.truncate(tmp / "there", 0), "os.truncate"),
    "rmtree": (lambda tmp: shutil.rmtree(tmp / "tree"), "os.remove|os.unlink|os.rmdir"),
    "dot dot": (lambda tmp: (tmp / "disk" / ".." / "x").write_text("x"), "opened for writing"),
    "sqlite3": (lambda tmp: sqlite3.connect(tmp / "x.db"), "opened the SQLite database"),
    "sqlite3 uri": (lambda tmp: sqlite3.connect(f"file:{tmp}/x.db?mode=rwc", uri=True), "opened the SQLite database"),
}


@pytest.fixture
def there(tmp_path):
    """A directory with a file, a tree, and the host's disk in it."""
    (tmp_path / "there").write_text("keep me")
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree" / "leaf").write_text("keep me")
    (tmp_path / "disk").mkdir(exist_ok=True)
    (tmp_path / "disk" / "mine").write_text("mine")
    return tmp_path


@pytest.mark.parametrize("name", ESCAPES)
def test_escapes_raise_and_are_recorded(name, machine, there):
    """The error names host, what, hint and this file's line; nothing happened; it is recorded too."""
    act, text = ESCAPES[name]
    collector = Escapes()
    line = act.__code__.co_firstlineno
    with virtual(machine, collector), pytest.raises(EscapeError, match=text) as caught:
        act(there)
    message = str(caught.value)
    assert message.startswith("publisher#2 left the sim world: ")
    named = re.search(rf"{re.escape(__file__)}:(\d+) in ", message)
    assert named is not None, message
    assert "with_" in message or line <= int(named[1]) <= line + 2
    assert collector.count >= 1
    assert message in collector.texts
    assert (there / "there").read_text() == "keep me"
    assert (there / "tree" / "leaf").read_text() == "keep me"
    assert not (there / "x").exists()


def test_a_library_between_is_named_too(machine):
    """The line of the library through which the code under test left is part of the text."""
    both = r"test_escapes.py:\d+ in .*through .*/socket.py:\d+"
    with virtual(machine, Escapes()), pytest.raises(EscapeError, match=both):
        socket.create_connection(("127.0.0.1", 9))


def test_what_stays_allowed(machine, there):
    """Reading, importing, socket objects, the host's own disk, /dev/null, SQLite in memory, sleep(0): all work."""
    disk = there / "disk"
    sys.modules.pop("colorsys", None)
    collector = Escapes()
    with virtual(machine, collector):
        import colorsys  # noqa: PLC0415 - importing in a run is what is tested

        assert colorsys.rgb_to_hsv(0, 0, 0) == (0.0, 0.0, 0)
        assert (there / "there").read_text() == "keep me"
        socket.socket().close()
        a, b = socket.socketpair()
        a.close()
        b.close()
        time.sleep(0)
        Path(os.devnull).open("w").close()
        (disk / "sub").mkdir()
        (disk / "sub" / "file").write_text("x")
        (disk / "sub" / "file").rename(disk / "file")
        shutil.rmtree(disk / "sub")
        for database in (":memory:", disk / "db.sqlite", "file::memory:"):
            with sqlite3.connect(database, uri=str(database).startswith("file:")) as connection:
                connection.execute("CREATE TABLE t (x)")
            connection.close()
        assert sys.dont_write_bytecode
    assert collector.count == 0
    assert (disk / "file").read_text() == "x"


def test_the_harness_may_be_permitted(machine, there):
    """The harness writes its own files on the run's thread inside `permitted`, and only there."""
    with virtual(machine):
        with escapes.permitted():
            (there / "history").write_text("x")
        with pytest.raises(EscapeError):
            (there / "other").write_text("x")
        machine_texts = list(escapes.RUN.escapes.texts)
        escapes.RUN.escapes.texts.clear()
    assert len(machine_texts) == 1
    assert (there / "history").read_text() == "x"


def test_a_swallowed_escape_is_not_lost(machine):
    """`except Exception` in the target does not hide it: the end of the run raises it, or the collector has it."""
    with pytest.raises(EscapeError, match=r"blocked in time\.sleep"), virtual(machine), contextlib.suppress(Exception):
        time.sleep(1)
    collector = Escapes()
    with virtual(machine, collector):
        for _ in range(100):
            with pytest.raises(EscapeError):
                time.sleep(1)
    assert collector.count == 100
    assert len(collector.texts) == TEXTS_MAX


def test_other_threads_are_free(machine, there):
    """What a thread beside the run does is not the run's business."""
    go, done = threading.Event(), threading.Event()

    def other():
        go.wait()
        (there / "x").write_text("x")
        with socket.socket() as sock:
            sock.bind(("127.0.0.1", 0))
            sock.listen()
        done.set()

    thread = threading.Thread(target=other)
    thread.start()
    with virtual(machine):
        go.set()
        done.wait()
    thread.join()
    assert (there / "x").read_text() == "x"


def test_after_a_run_everything_is_allowed(machine, there):
    """Guards end with the run."""
    with virtual(machine):
        pass
    (there / "x").write_text("x")
    thread = threading.Thread(target=lambda: None)
    thread.start()
    thread.join()
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        sock.listen()


STUCK = {
    "lock": lambda: [lock := threading.Lock(), lock.acquire(), lock.acquire()],
    "event": lambda: threading.Event().wait(),
    "queue": lambda: queue.Queue().get(),
    "simple queue": lambda: queue.SimpleQueue().get(),
    "busy": lambda: [None for _ in iter(int, 1)],
}


@pytest.mark.parametrize("name", STUCK)
def test_a_stuck_run_is_interrupted_at_the_stuck_line(name, machine):
    """A wait that can never end becomes an error that names it, and is recorded."""
    collector = Escapes()
    stuck = pytest.raises(EscapeError, match="blocked or busy")
    with virtual(machine, collector), stuck as caught, escapes.watchdog(0.05):
        STUCK[name]()
    assert f"{__file__}:" in str(caught.value)
    assert collector.count == 1


def test_the_watchdog_leaves_no_alarm_behind(machine):
    """A block that ends in time is not disturbed; handler and alarm are what they were; an earlier alarm stays set."""
    handler, alarm = signal.getsignal(signal.SIGALRM), signal.getitimer(signal.ITIMER_REAL)
    with virtual(machine), escapes.watchdog(30):
        assert signal.getitimer(signal.ITIMER_REAL)[0] > 0
    assert signal.getsignal(signal.SIGALRM) == handler
    assert (signal.getitimer(signal.ITIMER_REAL)[0] > 0) == (alarm[0] > 0)
    assert signal.getitimer(signal.ITIMER_REAL)[0] <= alarm[0]
    if alarm[0]:
        with escapes.watchdog(alarm[0] + 100):
            assert signal.getsignal(signal.SIGALRM) == handler


def test_the_watchdog_is_quiet_in_other_threads():
    """Only the main thread can be interrupted; elsewhere the block just runs."""
    ran = []

    def body():
        with escapes.watchdog(0.001):
            ran.append(1)

    thread = threading.Thread(target=body)
    thread.start()
    thread.join()
    assert ran == [1]
