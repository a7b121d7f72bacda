"""The engine: executes commands against a keyspace, in one place and one order, on whatever event loop runs it.

A command goes in as a list of bytes and comes out as encoded bytes. Streams, connections, transactions and pub/sub are
our own; everything else is fakeredis'. After each command the keys it wrote decide two things: its effect goes into the
log (state.py), and clients blocked on those keys are served, first come first served: after a whole transaction, not
in its middle, as a real server does it. No threads: a blocked client is a callable and perhaps a loop timer.
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from fakeredis.model import get_all_commands_info

from harness.dependencies.redis import (
    admission,
    connection_commands,
    group_commands,
    pending_commands,
    pubsub,
    resp,
    server_commands,
    stream_commands,
    stream_info,
    stream_reads,
    transactions,
)
from harness.dependencies.redis.commands import Command, Handler, unknown_subcommand, wrong_arity
from harness.dependencies.redis.effects import UNSTABLE, resolved_effect
from harness.dependencies.redis.keyspace import Bridge
from harness.dependencies.redis.resp import ReplyError
from harness.dependencies.redis.session import NoOutlet, Outlet, Session

if TYPE_CHECKING:
    from harness.dependencies.redis.control import Refusal
    from harness.dependencies.redis.state import RedisState

_UNKNOWN_ARGUMENTS_SHOWN = 128


class Engine:
    """One incarnation of the server process: it dies with its connections, the state survives."""

    def __init__(self, state: "RedisState") -> None:
        self.state = state
        self.keyspace = state.keyspace
        self.now_ns = state.now_ns
        self.password = state.password
        self.sessions: dict[int, Session] = {}
        self.pubsub = pubsub.PubSub()
        self.bridge = Bridge(self.keyspace)
        self.refusal: Refusal | None = None  # NOAUTH is not one: that is a password
        self.errors: dict[str, int] = {}  # replies by error code
        self.commands_processed = 0
        self.connections_received = 0
        self.started_ns = self.now_ns()
        self.port = 0
        self._now_fixed_ns: int | None = None
        self._table = _command_table(self.bridge)
        self._replayer = replayer = Session(self, 0, NoOutlet())
        replayer.may_block = False
        replayer.signed_in = True

    @property
    def command_names(self) -> list[str]:
        """The names of all commands offered, sorted."""
        return sorted({command.name for command in self._table.values()})

    def connect(self, outlet: Outlet) -> Session:
        """Return the session of a new client."""
        self.connections_received += 1
        session = Session(self, self.connections_received, outlet)
        self.sessions[session.client_id] = session
        return session

    def lookup(self, argv: list[bytes]) -> Command:
        """Return the command that a request names. Raises ReplyError."""
        command = self._table.get(argv[0]) or self._table.get(argv[0].lower())
        if command is not None:
            return command
        shown = ""
        for argument in argv[1:]:
            if len(shown) >= _UNKNOWN_ARGUMENTS_SHOWN:
                break
            shown += f"'{resp.text_of(argument)[: _UNKNOWN_ARGUMENTS_SHOWN - len(shown)]}' "
        raise ReplyError(
            f"ERR unknown command '{resp.text_of(argv[0])[:_UNKNOWN_ARGUMENTS_SHOWN]}',"
            f" with args beginning with: {shown}"
        )

    def execute(self, session: Session, argv: list[bytes]) -> bytes:
        """Run one request of a client and return the encoded reply; b"" when there is none (yet)."""
        now_ns = self._now_fixed_ns or self.now_ns()
        keyspace = self.keyspace
        keyspace.now_ns = now_ns
        keyspace.now_ms = now_ns // 1_000_000
        self.commands_processed += 1
        try:
            command = self._table.get(argv[0]) or self.lookup(argv)
            given, arity = len(argv), command.arity
            if given != arity and (arity >= 0 or given < -arity):
                raise wrong_arity(command.name)
            if (
                self.refusal is not None
                or session.queue is not None
                or session.channels
                or session.patterns
                or not session.signed_in
            ):
                admission.check(session, command, argv)
        except ReplyError as problem:
            if session.queue is not None:
                session.queue_failed = True
                session.queue.clear()  # EXEC will run nothing, and is not judged by what it would have run
            return self.error(admission.problem_shown(session, argv, problem.text))
        if session.queue is not None and command.queued:
            if not (session.queue_failed or session.watch_broken):
                session.queue.append((command, argv))
            return resp.QUEUED
        reply = self.run(session, command, argv, now_ns)
        if keyspace.ready:
            self._serve_blocked(now_ns)
        return reply

    def run(self, session: Session, command: Command, argv: list[bytes], now_ns: int) -> bytes:
        """Run a checked command and log its effect; blocked clients are not served yet."""
        session.running = argv
        try:
            reply = command.run(session, argv)
        except ReplyError as problem:
            reply = self.error(problem.text)
        if self.keyspace.touched:
            self.keyspace.touched = False
            effect = resolved_effect(argv, self.keyspace.now_ms, reply) if command.unstable else session.running
            self.state.record(now_ns, session.db.number, effect)
        return reply

    def replay(self, time_ns: int, database: int, argv: list[bytes]) -> None:
        """Run a logged effect again at its own time."""
        self._now_fixed_ns = time_ns
        session = self._replayer
        session.db = self.keyspace.dbs[database]
        self.execute(session, argv)
        self._now_fixed_ns = None
        self.keyspace.ready.clear()

    def error(self, text: str) -> bytes:
        """Return an error reply, counted under its code as INFO errorstats has it."""
        code = text.partition(" ")[0]
        self.errors[code] = self.errors.get(code, 0) + 1
        return resp.error(text)

    def _serve_blocked(self, now_ns: int) -> None:
        ready = self.keyspace.ready
        for db, key in ready:  # it grows meanwhile: who is served may write
            waiters = db.waiters.items()
            for session in [session for session, blocked in waiters if key in blocked.keys]:
                self._serve(session, now_ns)
            for session in [session for session, blocked in waiters if not blocked.keys]:
                self._serve(session, now_ns)
        ready.clear()

    def _serve(self, session: Session, now_ns: int) -> None:
        blocked = session.blocked
        if blocked is None:
            return
        try:
            reply = blocked.attempt()
        except ReplyError as problem:
            reply = self.error(problem.text)
        if self.keyspace.touched:
            self.keyspace.touched = False
            self.state.record(now_ns, blocked.db.number, blocked.argv)
        if reply is not None:
            session.answer_blocked(reply)


def _own_commands() -> Iterable[Command]:
    yield from stream_commands.COMMANDS
    yield from stream_reads.COMMANDS
    yield from stream_info.COMMANDS
    yield from group_commands.COMMANDS
    yield from pending_commands.COMMANDS
    yield from connection_commands.COMMANDS
    yield from server_commands.COMMANDS
    yield from transactions.COMMANDS
    yield from pubsub.COMMANDS


_NOT_OFFERED = frozenset(("auth", "xackdel", "xcfgset", "xdelex", "xnack", "xidmprecord"))
"""Commands of other servers, or ones that would go past our own state."""


def _command_table(bridge: Bridge) -> dict[bytes, Command]:
    table: dict[bytes, Command] = {}
    infos = get_all_commands_info()
    for name, info in infos.items():
        text = name.decode()
        if text in _NOT_OFFERED or "." in text or not info[1]:
            continue
        signature = bridge.signature(text)
        if signature is not None and "valkey" in signature.server_types:
            handler = _fake_handler(bridge, text)
            table[name] = Command(text, info[1], handler, unstable=name in UNSTABLE)
        elif info[9] and any(bridge.signature(sub[0].decode().replace("|", " ")) for sub in info[9]):
            table[name] = Command(text, -2, _container_handler(bridge, text))
    for command in _own_commands():
        table[command.name.encode()] = command
    return table | {name.upper(): command for name, command in table.items()}


def _fake_handler(bridge: Bridge, name: str) -> Handler:
    signature = bridge.signature(name)
    assert signature is not None

    def run(session: Session, argv: list[bytes]) -> bytes:
        return bridge.call(session, signature, argv[1:])

    return run


def _container_handler(bridge: Bridge, name: str) -> Handler:
    def run(session: Session, argv: list[bytes]) -> bytes:
        subcommand = argv[1].decode(errors="replace").lower()
        signature = bridge.signature(f"{name} {subcommand}")
        if signature is None:
            raise unknown_subcommand(name, argv[1])
        if len(argv) - 2 < len(signature.fixed):
            raise wrong_arity(f"{name}|{subcommand}")
        return bridge.call(session, signature, argv[2:])

    return run
