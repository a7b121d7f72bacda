"""A load as it is declared, as a person arranges it, and as Locust is told of it."""

import socket

import pytest

from harness.errors import UsageError
from harness.load import wire
from harness.load.errors import LocustError
from harness.load.host import arguments, locate
from harness.load.place import check_bind, check_master, local_address, parse_bind, parse_master
from harness.load.spec import USERS_MAX, Crew, LocustLoad

ASSIGNMENT = wire.Assignment(
    name="load",
    incarnation=1,
    params={},
    endpoints={"echo": "http://127.0.0.1:4711"},
    seed=1,
    start_ns=0,
    users=5,
    spawn_rate=1.0,
    workers=0,
    links_before=0,
)


@pytest.mark.parametrize(
    ("users", "rate"), [(0, 1.0), (-1, 1.0), (USERS_MAX + 1, 1.0), (1, 0.0), (1, -1.0), (1, float("nan"))]
)
def test_a_load_that_is_none_is_refused(users, rate):
    """When it is declared, not in the midst of a run."""
    with pytest.raises(ValueError, match=r"users"):
        LocustLoad(locustfile="x", users=users, spawn_rate=rate)


def test_a_single_process_is_told_what_to_do(tmp_path):
    """Headless, all users, and no exit code for requests that failed; no master."""
    load = LocustLoad(locustfile="x", users=5, spawn_rate=2.5, host="echo")
    words = " ".join(arguments(load, Crew(), tmp_path / "x.py", ASSIGNMENT))

    assert words.startswith(f"-f {tmp_path}/x.py --headless")
    assert "--exit-code-on-error 0 --users 5 --spawn-rate 2.5 --host http://127.0.0.1:4711" in words
    assert "--master" not in words


def test_a_host_to_load_that_is_not_there_is_named(tmp_path):
    """With those that are."""
    load = LocustLoad(locustfile="x", users=5, spawn_rate=1, host="nobody")
    with pytest.raises(LocustError, match="the load is for 'nobody'; there are: echo"):
        arguments(load, Crew(), tmp_path, ASSIGNMENT)


def test_a_master_waits_for_workers_from_here_and_elsewhere(tmp_path):
    """Those that people start are given more time."""
    load = LocustLoad(locustfile="x", users=5, spawn_rate=1)
    here = arguments(load, Crew(workers=2), tmp_path, ASSIGNMENT)
    both = arguments(load, Crew(workers=2, elsewhere=3), tmp_path, ASSIGNMENT)

    assert here[-5:] == ["--master", "--expect-workers", "2", "--expect-workers-max-wait", "45"]
    assert both[-5:] == ["--master", "--expect-workers", "5", "--expect-workers-max-wait", "300"]


def test_a_locustfile_is_a_module_or_a_path(tmp_path):
    """What is neither is named."""
    file = tmp_path / "mine.py"
    file.touch()

    assert locate(str(file)) == file
    assert locate("harness.load.spec").name == "spec.py"
    for nothing in ("harness.load.nothing", "no.such", str(tmp_path / "other.py"), "..", ""):
        with pytest.raises(LocustError, match="there is no locustfile"):
            locate(nothing)


def test_an_address_to_bind_is_parsed_and_tried():
    """It must be this machine's and free; the wording of the errors is the command line's test."""
    assert parse_bind("127.0.0.1:5557") == ("127.0.0.1", 5557)
    for wrong in ("", ":", "127.0.0.1", "127.0.0.1:", "127.0.0.1:65536", "127.0.0.1:5e3", "[::1]:5557", "host:5557"):
        with pytest.raises(UsageError, match="not of the form ADDRESS:PORT"):
            parse_bind(wrong)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(UsageError, match="Address already in use"):
            check_bind(Crew(elsewhere=1, bind_port=taken.getsockname()[1]))
    check_bind(Crew(elsewhere=1))


def test_a_master_of_yours_is_parsed_and_tried():
    """It needs a worker of ours, and somebody who listens; our proxies are where its workers look for them."""
    assert parse_master("locust.example:5557") == ("locust.example", 5557)
    for wrong in ("", "5557", ":5557", "host:", "host:0", "host:x", "http://host:5557", "[::1]:5557"):
        with pytest.raises(UsageError, match="not of the form HOST:PORT"):
            parse_master(wrong)
    with pytest.raises(ValueError, match="needs a worker that is"):
        Crew(master=("127.0.0.1", 5557))
    with socket.socket() as there:
        there.bind(("127.0.0.1", 0))
        with pytest.raises(UsageError, match="Connection refused"):
            check_master(there.getsockname())
        there.listen()
        check_master(there.getsockname())
    assert local_address(("127.0.0.1", 5557)) == "127.0.0.1"
