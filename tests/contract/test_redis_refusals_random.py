"""Random commands while refusals come and go: whatever the order, the engine and a real server answer alike."""

import socket
import time

import hiredis
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from harness.dependencies.redis import admission
from harness.dependencies.redis.engine import Engine
from harness.dependencies.redis.resp import bulks
from harness.dependencies.redis.session import NoOutlet
from harness.dependencies.redis.state import RedisState

CLIENTS = st.sampled_from("ab")
REQUESTS = st.sampled_from(
    [
        request.encode().split()
        for request in (
            "GET k",
            "SET k v",
            "DEL k",
            "INCR n",
            "XADD s * a b",
            "XLEN s",
            "XGROUP CREATE s g 0 MKSTREAM",
            "XGROUP DESTROY s g",
            "XREADGROUP GROUP g c COUNT 1 STREAMS none >",
            "XACK s g 1-1",
            "PING",
            "ECHO x",
            "SELECT 0",
            "WAIT 0 0",
            "MULTI",
            "MULTI",
            "EXEC",
            "EXEC",
            "DISCARD",
            "WATCH k",
            "UNWATCH",
            "NONSENSE",
            "GET",
            "RESET",
            "SUBSCRIBE c",
            "UNSUBSCRIBE c",
            "AUTH nobody nothing",
        )
    ]
)


class RealClient:
    """A blocking connection to the real server."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=5)
        self.reader = hiredis.Reader()

    def call(self, argv: list[bytes]) -> object:
        self.socket.sendall(bulks(argv))
        while (reply := self.reader.gets()) is False:
            self.reader.feed(self.socket.recv(65_536))
        return reply


class OurClient:
    """A session of the engine."""

    def __init__(self, engine: Engine) -> None:
        self.session = engine.connect(NoOutlet())

    def call(self, argv: list[bytes]) -> object:
        reader = hiredis.Reader()
        reader.feed(self.session.engine.execute(self.session, list(argv)))
        return reader.gets()


def plain(argv: list[bytes], reply: object) -> object:
    """Make replies comparable: errors as text, generated ids as what they are."""
    if isinstance(reply, hiredis.ReplyError):
        return ("error", str(reply))
    if isinstance(reply, list):
        return [plain(argv, item) for item in reply]
    return "id" if isinstance(reply, bytes) and b"-" in reply else reply


BEGIN = {
    "OOM": "CONFIG SET maxmemory 1",
    "READONLY": "REPLICAOF 127.0.0.1 {dead_end}",
    "NOAUTH": f"CONFIG SET requirepass {admission.WITHHELD_PASSWORD}",
}
END = {
    "OOM": [b"CONFIG", b"SET", b"maxmemory", b"0"],
    "READONLY": [b"REPLICAOF", b"NO", b"ONE"],
    "NOAUTH": [b"CONFIG", b"SET", b"requirepass", b""],
}


class Twins(RuleBasedStateMachine):
    """A real server and the engine, two clients each. `LOADING` is not here: each time would be a restart."""

    real_port = 0
    dead_end = 0

    def __init__(self) -> None:
        super().__init__()
        self.admin = RealClient(self.real_port)
        self.engine = Engine(RedisState(now_ns=time.time_ns))
        self.clients: dict[str, tuple[RealClient, OurClient]] = {}
        self.refusal: str | None = None
        self.admin.call([b"FLUSHALL"])
        self.admin.call([b"CONFIG", b"RESETSTAT"])

    def teardown(self) -> None:
        """Leave the server as it was."""
        if self.refusal is not None:
            self.admin.call(END[self.refusal])
        for theirs, _ in self.clients.values():
            theirs.socket.close()
        self.admin.socket.close()

    @rule(who=CLIENTS, argv=REQUESTS)
    def request(self, who, argv):
        """One client's request."""
        if who not in self.clients:
            self.clients[who] = RealClient(self.real_port), OurClient(self.engine)
        theirs, ours = self.clients[who]
        assert plain(argv, theirs.call(argv)) == plain(argv, ours.call(argv)), (self.refusal, argv)

    @precondition(lambda self: self.refusal is None)
    @rule(refusal=st.sampled_from(sorted(BEGIN)))
    def begin(self, refusal):
        """Refuse from now on."""
        self.refusal = refusal
        assert self.admin.call(BEGIN[refusal].format(dead_end=self.dead_end).encode().split()) == b"OK"
        admission.begin(self.engine, refusal)
        if refusal == "NOAUTH":  # everybody is disconnected
            for theirs, ours in self.clients.values():
                theirs.socket.close()
                ours.session.forget()
            self.clients.clear()

    @precondition(lambda self: self.refusal is not None)
    @rule()
    def end(self):
        """Serve again."""
        assert self.admin.call(END[self.refusal]) == b"OK"
        admission.end(self.engine)
        self.refusal = None

    @invariant()
    def counts_are_equal(self):
        """As INFO errorstats has them."""
        report = self.admin.call([b"INFO", b"errorstats"]).decode()
        pairs = [line.split(":count=") for line in report.splitlines() if line.startswith("errorstat_")]
        assert {name.removeprefix("errorstat_"): int(count) for name, count in pairs} == self.engine.errors


@pytest.mark.real
def test_random_refusals_are_answered_alike(real_port, monkeypatch):
    """Replies and the errors counted are equal after any sequence of commands, transactions and refusals."""
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        monkeypatch.setattr(Twins, "real_port", real_port)
        monkeypatch.setattr(Twins, "dead_end", nobody.getsockname()[1])
        run_state_machine_as_test(
            Twins,
            settings=settings(
                max_examples=60, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck)
            ),
        )
