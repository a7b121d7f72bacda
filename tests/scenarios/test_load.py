"""The feed's clients as a load by Locust: which hosts they can be, and their connection, here without gevent.

What the users do with it is judged by the scenarios, in the gate's real runs.
"""

import contextlib
import socket
import threading
from collections.abc import Iterator

import pytest
from websockets.server import ServerProtocol
from websockets.sync.server import ServerConnection, serve

from harness.load import wire
from harness.load.session import Session
from harness.units import ms
from scenarios.feed_hosts import watchers
from scenarios.feed_record import NAME_HEADER
from scenarios.load import by_locust
from scenarios.load.connection import Connection


class Sink(list):
    """Keeps events."""

    record = list.append


@contextlib.contextmanager
def served(handler, **options) -> Iterator[str]:
    """Serve WebSockets inside the block; the URL is where."""
    with serve(handler, "127.0.0.1", 0, **options) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.socket.getsockname()[1]}"
        finally:
            server.shutdown()
            thread.join()


def session(url: str, sink: Sink) -> Session:
    """Return a session of a load whose dashboard is there."""
    assignment = wire.Assignment(
        name="crowd",
        incarnation=1,
        params={},
        endpoints={"dashboard": url},
        seed=1,
        start_ns=0,
        users=1,
        spawn_rate=1.0,
        workers=0,
        links_before=0,
    )
    return Session(assignment, sink, worker=3, offset_ns=0, later=lambda _delay, _what: None)


def connect(url: str, sink: Sink) -> Connection:
    """Return a connection that was answered, or is over."""
    made = Connection(session(url, sink), "dashboard", "/ws", name="crowd-3.0/1", timeout_s=5.0)
    while not made.open and made.end is None:
        made.receive(5.0)
    return made


def outcomes(sink: Sink) -> list[str]:
    """Return what became of links."""
    return [event.value["outcome"] for event in sink if event.name == "link"]


def talk(peer: ServerConnection) -> None:
    """Say who is there and what comes, then goodbye."""
    peer.send(f"{peer.request.headers[NAME_HEADER]} {peer.request.path}")
    peer.send(peer.recv())
    peer.close(4401, "go away")


def test_messages_come_and_go_until_a_close():
    """The name is in its header, texts are whole, and the end has the server's code."""
    sink = Sink()
    with served(talk) as url:
        connection = connect(url, sink)
        assert connection.open
        connection.send(b"x" * 200_000)
        texts = []
        while connection.end is None:
            texts += connection.receive(5.0)

    assert texts == [b"crowd-3.0/1 /ws", b"x" * 200_000]
    assert (connection.end.code, connection.end.reason) == (4401, "go away")
    assert not connection.open
    assert outcomes(sink) == ["connected"]


@pytest.mark.parametrize("closes", [False, True])
def test_what_comes_along_with_the_answer_is_not_lost(closes):
    """Answer, messages and goodbye in one segment: whoever waits for the answer still gets the messages after it."""

    def answer(listener: socket.socket) -> None:
        client, _ = listener.accept()
        protocol = ServerProtocol()
        while not (requests := protocol.events_received()):
            protocol.receive_data(client.recv(1 << 16))
        protocol.send_response(protocol.accept(requests[0]))
        for text in (b"hello", b"again"):
            protocol.send_text(text)
        if closes:
            protocol.send_close(4401)
        client.sendall(b"".join(protocol.data_to_send()))
        client.close()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=answer, args=(listener,))
        thread.start()
        connection = connect(f"http://127.0.0.1:{listener.getsockname()[1]}", Sink())
        texts = []
        while connection.end is None:
            texts += connection.receive(5.0)
        thread.join()

    assert texts == [b"hello", b"again"]
    assert connection.end.code == (4401 if closes else None)


def test_a_refused_upgrade_has_its_status():
    """It is no close code."""
    with served(talk, process_request=lambda peer, _request: peer.respond(403, "")) as url:
        connection = connect(url, Sink())

    assert (connection.end.status, connection.end.code) == (403, None)


def test_silence_is_no_end_and_a_lost_connection_is():
    """Waiting gives nothing after its time; who hangs up without a word is seen on the link."""
    sink = Sink()
    go = threading.Event()

    def hang_up(peer: ServerConnection) -> None:
        go.wait(5.0)
        peer.socket.shutdown(2)

    with served(hang_up) as url:
        connection = connect(url, sink)
        assert connection.receive(0.01) == []
        assert connection.open
        go.set()
        while connection.end is None:
            connection.receive(5.0)

    assert connection.end.code is None
    assert outcomes(sink) == ["connected", "closed"]


def test_nobody_there_is_an_error_and_on_record():
    """Faults of the link are proved by it."""
    sink = Sink()
    with served(talk) as url:
        pass
    with pytest.raises(ConnectionRefusedError):
        connect(url, sink)

    assert outcomes(sink) == ["refused"]


def test_a_load_waits_for_what_it_loads_without_a_word():
    """What users begin with counts from then."""
    sink = Sink()
    with served(talk) as url:
        waiting = session(url, sink)
        before_ns = waiting.began_ns
        waiting.wait_for("dashboard")
        waiting.wait_for("dashboard")

    assert waiting.began_ns > before_ns
    assert sink == []


def test_operations_of_workers_have_numbers_of_their_own():
    """Two workers record in one host's name."""
    sink = Sink()
    session("http://127.0.0.1:1", sink).log.invoke("connect")

    assert [event.op for event in sink] == [3 << 32]


def test_watchers_can_be_users_of_locust_unless_they_read_slowly():
    """As many users as clients, the same parameters; the sim world's program stays."""
    spec = watchers("watchers", clients=30, leave_every_ns=ms(5_000))
    load = by_locust(spec, spawn_rate=10)

    assert (load.load.users, load.load.spawn_rate) == (30, 10)
    assert (load.program, load.params) == (spec.program, spec.params)
    for slow in (watchers("slow", clients=3, pace=(400, ms(250))), watchers("stalled", clients=3, stall_after_ns=1)):
        with pytest.raises(ValueError, match="read all that comes"):
            by_locust(slow)
