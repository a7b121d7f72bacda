"""What a killed harness made at a toxiproxy-server that is not ours does not stay there."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from embedded_server import embedded

from harness.world.real import guard, leftovers
from harness.world.real.proxy_api import ProxyPlace

pytestmark = pytest.mark.real

PROGRAMS = Path(__file__).parent / "programs"


@pytest.fixture
def place() -> Iterator[ProxyPlace]:
    """Run a server that is not the victim's."""
    with embedded() as place:
        yield place


def proxies(place: ProxyPlace) -> set[str]:
    """Return the proxies that the server has."""
    with urllib.request.urlopen(f"{place.url}/proxies", timeout=5) as answer:
        return set(json.load(answer))


def wait_until(condition: Callable[[], bool]) -> None:
    """Return when the condition holds; fail after 5 s."""
    began = time.monotonic()
    while not condition():
        assert time.monotonic() - began < 5, "the condition did not come to hold in time"
        time.sleep(0.01)


@pytest.fixture
def victim(place: ProxyPlace, tmp_path: Path) -> Iterator[tuple[subprocess.Popen[bytes], dict[str, Any]]]:
    """Start a harness with two hosts whose proxies are at that server."""
    argv = [sys.executable, str(PROGRAMS / "victim_harness.py"), str(tmp_path / "run"), place.url]
    popen = subprocess.Popen(argv, stdout=subprocess.PIPE, process_group=0)
    assert popen.stdout is not None
    told = json.loads(popen.stdout.readline())
    assert proxies(place) == {f"harness-{told['run']}-{host}.redis" for host in ("parent", "frozen")}
    yield popen, told
    popen.kill()
    popen.communicate()
    guard.sweep(guard.Record(""), told["run"])


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_the_proxies_of_a_run_that_ends_are_deleted(victim, place: ProxyPlace, number: int) -> None:
    """By the run itself when it can, by its guard when it was killed."""
    popen, told = victim
    popen.send_signal(number)
    popen.wait(10)
    wait_until(lambda: proxies(place) == set())
    wait_until(lambda: not Path(told["record"]).exists())


def test_doctor_tells_of_them_and_deletes_them_when_the_guard_was_killed_too(victim, place: ProxyPlace) -> None:
    """The record names them; cleaning asks the server to delete them, and then the record goes."""
    popen, told = victim
    os.kill(told["guard"], signal.SIGKILL)
    popen.kill()
    popen.wait()
    made = proxies(place)
    (found,) = (found for found in leftovers.find() if found.run_id == told["run"])
    assert set(found.proxies) == {f"{name} at {place.url}" for name in made}
    leftovers.clean([found])
    assert proxies(place) == set()
    assert not Path(told["record"]).exists()


def test_only_what_bears_the_runs_id_is_deleted(place: ProxyPlace) -> None:
    """A record cannot have somebody else's proxy deleted; a server that is gone has taken its proxies along."""
    body = json.dumps({"name": "theirs", "listen": "127.0.0.1:0", "upstream": "127.0.0.1:1"}).encode()
    urllib.request.urlopen(f"{place.url}/proxies", data=body, timeout=5).close()
    record = guard.Record(f"proxy {place.host} {place.port} theirs\nproxy 127.0.0.1 1 harness-1.2.ab-a.redis\n")
    assert guard.delete_proxies(record, "1.2.ab") == []
    assert proxies(place) == {"theirs"}


def test_a_server_that_does_not_answer_keeps_the_record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """While proxies may still be there, the record stays for `harness doctor` to read."""
    monkeypatch.setattr(guard, "_HTTP_S_MAX", 0.1)
    record = tmp_path / "1.2.ab.run"
    with socket.create_server(("127.0.0.1", 0)) as silent:
        record.write_text(f"proxy 127.0.0.1 {silent.getsockname()[1]} harness-1.2.ab-a.redis\n")
        guard.clean(str(record), "1.2.ab")
    assert record.exists()
