"""`harness toxiproxy` as a person and as a parent process meet it."""

import json
import os
import resource
import signal
import socket
import subprocess
import sys
from contextlib import ExitStack, contextmanager, suppress

import pytest

pytestmark = pytest.mark.real

COMMAND = [sys.executable, "-m", "harness.cli.main", "toxiproxy"]


@contextmanager
def started(*options):
    """The command, running; it is ended at last."""
    pipe = subprocess.PIPE
    with subprocess.Popen([*COMMAND, *options], stdout=pipe, stderr=pipe, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def port_in(line):
    """Return the port in the line that says where it listens."""
    return int(line.split("(")[0].strip().rpartition(":")[2])


def run(*options):
    """Run the command to its end."""
    return subprocess.run([*COMMAND, *options], capture_output=True, text=True, timeout=30, check=False)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_says_where_it_listens_and_ends_politely(number):
    """It prints its address and how to use it, in 80 columns; Ctrl-C and SIGTERM end it at once, with code 0."""
    with started("--port", "0") as process:
        lines = [process.stdout.readline() for _ in range(5)]
        port = port_in(lines[0])
        assert lines[0].startswith(f"Listening on http://127.0.0.1:{port} (seed ")
        assert lines[3].strip() == f"http://127.0.0.1:{port}/proxies"
        assert all(len(line) <= 80 for line in lines)
        with socket.create_connection(("127.0.0.1", port), 10) as idle:
            process.send_signal(number)
            out, err = process.communicate(timeout=10)
            assert (process.returncode, out, err) == (0, "", "")
            assert idle.recv(1) == b""


def test_a_parent_is_told_the_address(make_server):
    """The ready line is all that is written there, and the server answers from then on."""
    server = make_server()
    assert server.call("GET", "/version").status == 200
    assert server.stop() == 0


def test_config(tmp_path, make_server):
    """A list of proxies, as the original's -config takes it, is there from the start."""
    config = tmp_path / "proxies.json"
    config.write_text(
        json.dumps([{"name": "a", "upstream": "127.0.0.1:9"}, {"NAME": "b", "upstream": "x:1", "enabled": False}])
    )
    server = make_server("--config", str(config))
    proxies = server.call("GET", "/proxies").json()
    assert {name: one["enabled"] for name, one in proxies.items()} == {"a": True, "b": False}


def test_a_taken_port():
    """One line says which address is taken; exit code 4."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        done = run("--port", str(port))
        assert (done.returncode, done.stdout) == (4, "")
        assert done.stderr == f"harness: cannot listen on 127.0.0.1:{port}: address already in use\n"


BAD_CONFIGS = {
    "not JSON": "{nope",
    "no list": '{"a": 1}',
    "no upstream": '[{"name": "a"}]',
    "a bad address": '[{"name": "a", "upstream": "b:1", "listen": "nowhere"}]',
}


@pytest.mark.parametrize("case", BAD_CONFIGS)
def test_a_bad_config(tmp_path, case):
    """One line says what is wrong with it; exit code 4."""
    config = tmp_path / "proxies.json"
    config.write_text(BAD_CONFIGS[case])
    done = run("--port", "0", "--config", str(config))
    assert (done.returncode, done.stdout) == (4, "")
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith("harness: ")


@pytest.mark.parametrize(
    "options", [["--config", "/no/such/file"], ["--port", "70000"], ["--port", "x"], ["--host", "no.invalid"]]
)
def test_bad_options(options):
    """One line says what is wrong; exit code 4."""
    done = run("--port", "0", *options)
    assert (done.returncode, done.stderr.count("\n")) == (4, 1)


def test_other_machines_are_warned_of():
    """Listening elsewhere than on loopback is done as asked, with a warning."""
    with started("--port", "0", "--host", "0.0.0.0") as process:
        assert process.stdout.readline().startswith("Listening on http://0.0.0.0:")
        assert process.stderr.readline() == "warning: other machines may reach it, and it asks for no password\n"


def test_it_may_open_as_many_files_as_the_machine_allows():
    """A soft limit on open files is raised to the hard one."""
    code = (
        "import resource, harness.toxiproxy.server as s; hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1];"
        "resource.setrlimit(resource.RLIMIT_NOFILE, (64, hard)); s.allow_many_descriptors();"
        "print(resource.getrlimit(resource.RLIMIT_NOFILE) == (hard, hard))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=False)
    assert done.stdout == "True\n"


def test_few_descriptors_left(make_server, receive):
    """When files run out, connections wait in the queue instead of being dropped; when some end, the rest is served."""
    server = make_server()
    with ExitStack() as stack:
        upstream = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        upstream.settimeout(10)
        address = f"127.0.0.1:{upstream.getsockname()[1]}"
        listen = server.call("POST", "/proxies", {"name": "p", "upstream": address}).json()["listen"]
        _, hard = resource.prlimit(server.process.pid, resource.RLIMIT_NOFILE)
        resource.prlimit(server.process.pid, resource.RLIMIT_NOFILE, (server.descriptors() + 10, hard))
        proxy = "127.0.0.1", int(listen.rpartition(":")[2])
        clients = [stack.enter_context(socket.create_connection(proxy, 10)) for _ in range(12)]
        for client in clients[:-1]:
            client.close()
        clients[-1].sendall(b"served")
        said = b""
        while said != b"served":
            with upstream.accept()[0] as end:
                end.settimeout(10)
                said = receive(end, 6)
    assert server.stop() == 0


def test_it_dies_with_the_run_that_started_it(tmp_path):
    """Started as a run starts its processes, it is gone when the harness is killed."""
    program = tmp_path / "parent.py"
    program.write_text(
        "import asyncio, os, sys\n"
        "from harness.world.real.process import spawn\n"
        "async def main():\n"
        "    reading, writing = os.pipe()\n"
        "    await spawn([sys.executable, '-m', 'harness.toxiproxy', '--port', '0', '--ready-fd', str(writing)],\n"
        "                name='toxiproxy', pass_fds=[writing])\n"
        "    os.close(writing)\n"
        "    print(os.read(reading, 100).decode().strip(), flush=True)\n"
        "    await asyncio.Event().wait()\n"
        "asyncio.run(main())\n"
    )
    parent = subprocess.Popen([sys.executable, str(program)], stdout=subprocess.PIPE, text=True, env={**os.environ})
    host, _, port = parent.stdout.readline().strip().rpartition(":")
    with socket.create_connection((host, int(port)), 10) as watching:
        parent.kill()
        parent.wait()
        parent.stdout.close()
        watching.settimeout(10)
        with suppress(ConnectionResetError):
            assert watching.recv(1) == b""
