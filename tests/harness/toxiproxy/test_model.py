"""The registry as a state machine, and the API under a fuzzer.

The model is a dictionary; after every step the API must show what it says, and each proxy must accept or refuse
connections as it is enabled or not.
"""

import socket
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from harness.toxics import catalog

pytestmark = pytest.mark.real

NAMES = st.sampled_from(["a", "b", "c"])
UPSTREAMS = st.sampled_from(["127.0.0.1:9", "127.0.0.1:10"])
TYPES = st.sampled_from(["latency", "timeout", "partition", "half_close"])
STREAMS = st.sampled_from(["upstream", "downstream"])


class Registry(RuleBasedStateMachine):
    """Proxies come, change and go. `server` is set by the test."""

    server = None

    def __init__(self):
        super().__init__()
        self.model = {}
        for name in self.server.call("GET", "/proxies").json():
            assert self.server.call("DELETE", f"/proxies/{name}").status == 204

    @rule(name=NAMES, upstream=UPSTREAMS, enabled=st.booleans())
    def create(self, name, upstream, enabled):
        """A name that is free is created, one that is not is a conflict."""
        body = {"name": name, "listen": "127.0.0.1:0", "upstream": upstream, "enabled": enabled}
        answer = self.server.call("POST", "/proxies", body)
        assert answer.status == (409 if name in self.model else 201)
        if answer.status == 201:
            listen = answer.json()["listen"]
            assert listen.endswith(":0") is not enabled
            self.model[name] = {"listen": listen, "upstream": upstream, "enabled": enabled, "toxics": []}

    @rule(name=NAMES)
    def delete(self, name):
        """A deleted proxy is gone, its port with it."""
        known = self.model.pop(name, None)
        assert self.server.call("DELETE", f"/proxies/{name}").status == (404 if known is None else 204)
        if known is not None and known["enabled"]:
            assert not accepts(known["listen"])

    @rule(name=NAMES, enabled=st.none() | st.booleans(), upstream=st.none() | UPSTREAMS)
    def update(self, name, enabled, upstream):
        """What is said changes, what is not stays; a port once chosen stays too."""
        said = {"enabled": enabled, "upstream": upstream}
        answer = self.server.call("POST", f"/proxies/{name}", said)
        if name not in self.model:
            assert answer.status == 404
            return
        assert answer.status == 200
        known = self.model[name]
        known.update({key: value for key, value in said.items() if value is not None})
        listen = answer.json()["listen"]
        if known["listen"].endswith(":0") and known["enabled"]:
            known["listen"] = listen

    @rule(name=NAMES, kind=TYPES, stream=STREAMS)
    def add(self, name, kind, stream):
        """A toxic's name is unique on its proxy."""
        answer = self.server.call("POST", f"/proxies/{name}/toxics", {"type": kind, "stream": stream})
        if name not in self.model:
            assert answer.status == 404
            return
        toxics = self.model[name]["toxics"]
        assert answer.status == (409 if (kind, stream) in toxics else 200)
        if answer.status == 200:
            toxics.append((kind, stream))

    @rule(name=NAMES, kind=TYPES, stream=STREAMS)
    def remove(self, name, kind, stream):
        """A toxic that is there is removed."""
        toxics = self.model.get(name, {"toxics": []})["toxics"]
        status = self.server.call("DELETE", f"/proxies/{name}/toxics/{kind}_{stream}").status
        assert status == (204 if (kind, stream) in toxics else 404)
        if status == 204:
            toxics.remove((kind, stream))

    @precondition(lambda self: self.model)
    @rule(upstream=UPSTREAMS, enabled=st.booleans())
    def populate(self, upstream, enabled):
        """Whoever is as it is to be stays, toxics and all; the others are replaced."""
        name = min(self.model)
        known = self.model[name]
        body = [{"name": name, "listen": known["listen"], "upstream": upstream, "enabled": enabled}]
        answer = self.server.call("POST", "/populate", body)
        assert answer.status == 201
        if upstream != known["upstream"]:
            listen = answer.json()["proxies"][0]["listen"]
            self.model[name] = {"listen": listen, "upstream": upstream, "enabled": enabled, "toxics": []}

    @rule()
    def reset(self):
        """Every proxy is enabled and clean."""
        assert self.server.call("POST", "/reset").status == 204
        shown = self.server.call("GET", "/proxies").json()
        for name, known in self.model.items():
            known.update(enabled=True, toxics=[], listen=shown[name]["listen"])

    @invariant()
    def is_as_shown(self):
        """The API shows the model, and ports do what it says."""
        shown = self.server.call("GET", "/proxies").json()
        assert shown.keys() == self.model.keys()
        for name, known in self.model.items():
            toxics = [(one["type"], one["stream"]) for one in shown[name].pop("toxics")]
            expected = [one for way in ("upstream", "downstream") for one in known["toxics"] if one[1] == way]
            assert toxics == expected
            assert {key: shown[name][key] for key in ("listen", "upstream", "enabled")} == {
                key: known[key] for key in ("listen", "upstream", "enabled")
            }
            if known["enabled"] and not any(kind == "partition" for kind, _ in known["toxics"]):
                assert accepts(known["listen"])
            elif not known["enabled"] and not known["listen"].endswith(":0"):
                assert not accepts(known["listen"])


def accepts(listen):
    """Say whether somebody answers there."""
    host, _, port = listen.rpartition(":")
    with socket.socket() as sock:
        sock.settimeout(10)
        return sock.connect_ex((host, int(port))) == 0


def test_registry(server):
    """Whatever is done to proxies and toxics, and in whatever order, they are as a simple model has it."""
    machine = type("Machine", (Registry,), {"server": server})
    run_state_machine_as_test(machine, settings=settings(max_examples=20, stateful_step_count=20, deadline=None))


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
KEYS = st.sampled_from(
    ["name", "NAME", "upstream", "enabled", "type", "stream", "toxicity", "attributes", "follow", "toxicity_per", "x"]
)
LISTENS = st.sampled_from(["127.0.0.1:0", "localhost:0", "[::1]:0", "", "x", "127.0.0.1:99999", "256.0.0.1:1", ":\0"])
ODD = st.dictionaries(KEYS, VALUES, max_size=4)
KINDS = st.sampled_from([*catalog.TYPES, "nonsense"])
TOXICS = st.fixed_dictionaries(
    {"type": KINDS},
    optional={"attributes": st.dictionaries(st.text(max_size=8), VALUES, max_size=3), "toxicity": VALUES},
)
PROXIES = st.fixed_dictionaries({"name": NAMES, "upstream": st.text(max_size=8)}, optional={"listen": LISTENS})
BODIES = st.one_of(ODD, TOXICS, PROXIES, st.lists(PROXIES | ODD, max_size=3), st.binary(max_size=20), VALUES)
SEGMENTS = st.sampled_from(["a", "b", "c", "latency_downstream", "", "..", "%2e", "é", "x" * 300])
PATHS = st.one_of(
    st.sampled_from(["/proxies", "/populate", "/reset", "/version", "/metrics", "/effects", "/", "//proxies", "*"]),
    st.builds("/proxies/{}".format, SEGMENTS),
    st.builds("/proxies/{}/toxics".format, SEGMENTS),
    st.builds("/proxies/{}/abort_connections".format, SEGMENTS),
    st.builds("/proxies/{}/toxics/{}".format, SEGMENTS, SEGMENTS),
)
METHODS = st.sampled_from(["GET", "POST", "PATCH", "DELETE", "PUT", "HEAD", "OPTIONS"])


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(method=METHODS | st.just("POST"), path=PATHS, body=BODIES)
def test_fuzz(server, method, path, body):
    """No request is answered by a 5xx, unless it is that an address cannot be listened on; the server lives."""
    answer = server.call(method, quote(path, safe="/%*"), body)
    assert answer.status in {200, 201, 204, 400, 404, 405, 409} or (
        answer.status == 500 and answer.json()["error"].startswith("listen tcp")
    )
    assert server.call("GET", "/version").status == 200


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(head=st.binary(max_size=80))
def test_garbage_on_the_wire(server, head):
    """What is not even HTTP ends a connection, not the server."""
    with socket.create_connection((server.host, server.port), 10) as sock:
        sock.sendall(head + b"\r\n\r\n")
    assert server.call("GET", "/version").status == 200
