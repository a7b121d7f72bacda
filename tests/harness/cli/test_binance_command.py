"""`harness binance` as a person runs it: a process, its words, its end."""

import ast
import json
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import textwrap
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
PATIENCE_S = 30.0

pytestmark = pytest.mark.real


class Emulator:
    """A running `harness binance`."""

    def __init__(self, *options: str) -> None:
        reading, writing = os.pipe()
        argv = [sys.executable, "-m", "harness.cli.main", "binance", "--port", "0", "--ready-fd", str(writing)]
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        self.process = subprocess.Popen([*argv, *options], pass_fds=[writing], env=environment)
        os.close(writing)
        with os.fdopen(reading) as ready:
            self.place = ready.readline().strip()

    def ask(self, path, body=None, **headers):
        """Return the JSON of an answer, whatever its status."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"http://{self.place}{path}", data=data, headers=headers)
        try:
            with urllib.request.urlopen(request, timeout=PATIENCE_S) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as refused:
            with refused:
                return json.load(refused)

    def end(self, number=signal.SIGTERM):
        """End it politely; return its exit code."""
        self.process.send_signal(number)
        return self.process.wait(PATIENCE_S)


@pytest.fixture
def start() -> Iterator[type[Emulator]]:
    """Start emulators; those that are left are ended."""
    started = []

    def one(*options):
        started.append(Emulator(*options))
        return started[-1]

    yield one
    for emulator in started:
        emulator.process.kill()
        emulator.process.wait()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_serves_until_it_is_told_to_end(number, start):
    """It answers, is controlled without a token, ends with code 0, and its port is free then."""
    emulator = start("--seed", "7", "--balance", "1234", "--windows", "short")
    assert emulator.ask("/fapi/v1/ping") == {}
    limits = emulator.ask("/fapi/v1/exchangeInfo")["rateLimits"]
    assert {"rateLimitType": "REQUEST_WEIGHT", "interval": "SECOND", "intervalNum": 5, "limit": 200} in limits
    assert emulator.ask("/__control__/arm", {"kind": "firewall"})["name"]
    assert emulator.ask("/__control__/state")["requests"] == 2
    assert emulator.end(number) == 0
    host, _, port = emulator.place.rpartition(":")
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((host, int(port)))


def test_the_token_guards_the_control_api(start):
    """With --token the control API wants it; the exchange does not."""
    emulator = start("--token", "secret")
    assert "token" in emulator.ask("/__control__/state")["error"]
    assert emulator.ask("/__control__/state", Authorization="Bearer secret")["internal_errors"] == 0
    assert emulator.ask("/fapi/v1/ping") == {}


@pytest.fixture
def shown():
    """What it says when it runs in a terminal, and where it is meanwhile."""
    argv = [sys.executable, "-u", "-m", "harness.cli.main", "binance", "--port", "0", "--seed", "7"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(argv, stdout=subprocess.PIPE, text=True, env=environment)
    assert process.stdout is not None
    lines = []
    for line in process.stdout:
        lines.append(line.rstrip("\n"))
        if line.startswith("Ctrl-C"):
            break
    yield lines
    process.kill()
    process.wait()
    process.stdout.close()


def test_what_it_shows_fits_and_is_python(shown):
    """No line is wider than 80 columns; every example for a client is Python that parses and names this server."""
    assert max(map(len, shown)) <= 80
    text = "\n".join(shown)
    place = re.search(r"http://(127\.0\.0\.1:\d+)", text)[1]
    examples = re.findall(r"^[a-zP].*:\n((?:  .*\n)+)", text.partition("Break it")[0], re.MULTILINE)
    assert len(examples) == 5
    for example in examples:
        assert place in example
        ast.parse(textwrap.dedent(example))


def test_the_shown_curl_commands_work(shown):
    """Each curl line, carried out, is answered without an error, by the server that showed it."""
    lines = "\n".join(shown).partition("look at what it knows:")[2].replace("\\\n", "")
    commands = [shlex.split(line) for line in lines.splitlines() if line.strip().startswith("curl")]
    assert len(commands) == 3
    answers = []
    for words in commands:
        data = words[words.index("-d") + 1].encode() if "-d" in words else None
        with urllib.request.urlopen(words[-1], data, timeout=PATIENCE_S) as answer:
            answers.append(json.load(answer))
    assert "too_many_requests" in answers[0]["kinds"]
    assert answers[1]["name"].startswith("too_many_requests")
    assert answers[2]["internal_errors"] == 0


def test_a_port_that_is_taken_is_a_usage_error(harness):
    """One line that names the address and the reason, exit code 4."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        said = harness("binance", "--port", str(taken.getsockname()[1]))
    assert said.code == 4
    assert said.err.count("\n") == 1
    assert "cannot listen on 127.0.0.1:" in said.err
    assert "address already in use" in said.err


@pytest.mark.parametrize(
    ("host", "reason"),
    [("no.such.host.invalid", "name"), ("192.0.2.1", "cannot assign requested address|could not bind")],
)
def test_an_address_that_is_not_there_is_a_usage_error(host, reason, harness):
    """A name that does not resolve, or an address of another machine: one line with the reason."""
    said = harness("binance", "--host", host, "--port", "0")
    assert (said.code, said.err.count("\n")) == (4, 1)
    assert f"cannot listen on {host}:0: " in said.err
    assert re.search(reason, said.err)


def test_it_serves_ipv6(start):
    """It serves on ::1; the address is written with brackets."""
    emulator = start("--host", "::1")
    assert emulator.place.startswith("[::1]:")
    assert emulator.ask("/__control__/state")["internal_errors"] == 0


@pytest.mark.parametrize(
    ("options", "text"),
    [(["--port", "70000"], "--port"), (["--windows", "long"], "--windows"), (["--balance", "0"], "--balance")],
)
def test_bad_options_are_usage_errors(options, text, harness):
    """The option is named in one line, exit code 4."""
    said = harness("binance", *options)
    assert (said.code, said.out, said.err.count("\n")) == (4, "", 1)
    assert text in said.err
