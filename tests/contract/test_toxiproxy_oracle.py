"""The embedded proxy answers as a real toxiproxy-server does: random conversations with both, compared byte for byte.

Skipped where no `toxiproxy-server` is on PATH (or named by TOXIPROXY_SERVER); nothing here is needed to build or use
the product. What is compared: status, body, Content-Type and X-Content-Type-Options. What is not: request ids, dates,
port numbers that the OS chose, the words with which Go's JSON decoder explains itself, and values that crash the
original, which ours refuses.
"""

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

SERVER = os.environ.get("TOXIPROXY_SERVER") or shutil.which("toxiproxy-server")

pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif(SERVER is None, reason="no toxiproxy-server on PATH or in TOXIPROXY_SERVER"),
]

NAMES = st.sampled_from(["a", "b", "A"])
TOXICS = st.sampled_from(["latency_downstream", "t", "limit_data_upstream", "nope"])
NUMBERS = st.one_of(st.integers(0, 90_000), st.sampled_from([1.5, "5", True, None, 7.0]))
ATTRIBUTES = {
    "latency": ["latency", "jitter", "LATENCY", "unknown"],
    "bandwidth": ["rate"],
    "slow_close": ["delay"],
    "timeout": ["timeout"],
    "reset_peer": ["timeout"],
    "limit_data": ["bytes"],
}


@st.composite
def toxic_bodies(draw: st.DrawFn) -> dict[str, object]:
    """A toxic as clients post one, more or less complete and more or less right."""
    kind = draw(st.sampled_from([*ATTRIBUTES, "nonsense", ""]))
    body: dict[str, object] = {"type": kind} if draw(st.integers(0, 9)) else {"Type": kind}
    if draw(st.booleans()):
        body["name"] = draw(TOXICS)
    if draw(st.booleans()):
        body["stream"] = draw(st.sampled_from(["upstream", "downstream", "UPSTREAM", "sideways", ""]))
    if draw(st.booleans()):
        body["toxicity"] = draw(st.sampled_from([0, 0.5, 1, 1.0, 0.1, -1, 2]))
    if draw(st.booleans()):
        body["attributes"] = draw(st.dictionaries(st.sampled_from(ATTRIBUTES.get(kind, ["x"])), NUMBERS, max_size=2))
    return body


@st.composite
def proxy_bodies(draw: st.DrawFn) -> dict[str, object]:
    """A proxy as clients post one."""
    body: dict[str, object] = {}
    if draw(st.integers(0, 5)):
        body["name"] = draw(NAMES)
    if draw(st.integers(0, 5)):
        body["upstream"] = draw(st.sampled_from(["127.0.0.1:1", "127.0.0.1:2", "localhost:3"]))
    body["listen"] = draw(st.sampled_from(["127.0.0.1:0", "localhost:0"]))
    if draw(st.booleans()):
        body["enabled"] = draw(st.booleans())
    return body


RAW = st.sampled_from([b"", b"{", b"[]", b"null", b"3", b'{"name": 3}', b'{"enabled": "yes"}', b"{} trailing"])


def _json(bodies: st.SearchStrategy[object]) -> st.SearchStrategy[bytes]:
    return st.one_of(bodies.map(lambda body: json.dumps(body).encode()), RAW)


REQUESTS = st.one_of(
    st.tuples(st.just("POST"), st.just("/proxies"), _json(proxy_bodies())),
    st.tuples(st.just("POST"), st.just("/populate"), _json(st.lists(proxy_bodies(), max_size=3))),
    st.tuples(st.just("POST"), st.just("/reset"), st.just(b"")),
    st.tuples(st.just("GET"), st.sampled_from(["/proxies", "/version", "/nowhere", "/", "/proxies/"]), st.just(b"")),
    st.tuples(st.sampled_from(["GET", "DELETE"]), NAMES.map(lambda name: f"/proxies/{name}"), st.just(b"")),
    st.tuples(
        st.sampled_from(["POST", "PATCH"]),
        NAMES.map(lambda name: f"/proxies/{name}"),
        _json(st.sampled_from([{"enabled": False}, {"enabled": True}, {"upstream": "127.0.0.1:4"}, {}, {"name": "z"}])),
    ),
    st.tuples(
        st.sampled_from(["POST", "GET"]), NAMES.map(lambda name: f"/proxies/{name}/toxics"), _json(toxic_bodies())
    ),
    st.tuples(
        st.sampled_from(["GET", "POST", "PATCH", "DELETE", "PUT"]),
        st.builds(lambda name, toxic: f"/proxies/{name}/toxics/{toxic}", NAMES, TOXICS),
        _json(toxic_bodies()),
    ),
    st.tuples(st.sampled_from(["PUT", "DELETE", "PATCH"]), st.sampled_from(["/proxies", "/reset", "/version"]), RAW),
)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _start(argv: list[str], url: str) -> subprocess.Popen[bytes]:
    process = subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 20
    while True:
        try:
            httpx.get(f"{url}/version", trust_env=False)
        except httpx.TransportError:
            assert time.monotonic() < deadline
            assert process.poll() is None
        else:
            return process


@pytest.fixture(scope="module")
def servers() -> Iterator[tuple[httpx.Client, httpx.Client]]:
    """The real server and ours, each in a process of its own."""
    ports = _free_port(), _free_port()
    urls = [f"http://127.0.0.1:{port}" for port in ports]
    started = [
        _start([str(SERVER), "-host", "127.0.0.1", "-port", str(ports[0])], urls[0]),
        _start([sys.executable, "-m", "harness.toxiproxy", "--port", str(ports[1])], urls[1]),
    ]
    try:
        with (
            httpx.Client(base_url=urls[0], trust_env=False) as real,
            httpx.Client(base_url=urls[1], trust_env=False) as ours,
        ):
            yield real, ours
    finally:
        for process in started:
            process.kill()
            process.wait()


def told(client: httpx.Client, method: str, path: str, body: bytes) -> tuple[int, str, str, str]:
    """What the server said, less what may differ."""
    answer = client.request(method, path, content=body)
    text = re.sub(r'"(127\.0\.0\.1|localhost):\d{4,5}"', r'"\1:PORT"', answer.text)
    text = re.sub(r'"bad request body: (?:[^"\\]|\\.)*"', '"bad request body: ..."', text)
    headers = answer.headers
    return answer.status_code, headers.get("content-type", ""), headers.get("x-content-type-options", ""), text


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(requests=st.lists(REQUESTS, min_size=1, max_size=12))
def test_any_conversation(servers: tuple[httpx.Client, httpx.Client], requests: list[tuple[str, str, bytes]]) -> None:
    """After any sequence of requests, right or wrong, both have said the same."""
    real, ours = servers
    for client in servers:
        for name in client.get("/proxies").json():
            client.delete(f"/proxies/{name}")
    for request in requests:
        assert told(ours, *request) == told(real, *request), request
