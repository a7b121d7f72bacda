"""Commands about the connection itself: PING, HELLO, AUTH, SELECT, CLIENT, RESET, QUIT."""

from fakeredis._helpers import compile_pattern

from harness.dependencies.redis import resp
from harness.dependencies.redis.commands import (
    SYNTAX_ERROR,
    Command,
    parse_int,
    unknown_subcommand,
    wrong_arity,
)
from harness.dependencies.redis.keyspace import DATABASES
from harness.dependencies.redis.resp import ReplyError, text_of
from harness.dependencies.redis.session import Session
from harness.dependencies.redis.transactions import leave_transaction

VERSION = "9.1.2"
_WRONG_PASSWORD = "WRONGPASS invalid username-password pair or user is disabled."  # noqa: S105 - an error text
_NO_PASSWORD = (
    "ERR AUTH <password> called without any password configured for the default user."  # noqa: S105 - an error text
    " Are you sure your configuration is correct?"
)


def ping(session: Session, argv: list[bytes]) -> bytes:
    """PING [message]"""
    if len(argv) > 2:  # noqa: PLR2004 - one message at most
        raise wrong_arity("ping")
    if (session.channels or session.patterns) and not session.resp3:
        return resp.array((resp.bulk(b"pong"), resp.bulk(argv[1] if len(argv) > 1 else b"")))
    return resp.bulk(argv[1]) if len(argv) > 1 else resp.PONG


def echo(_session: Session, argv: list[bytes]) -> bytes:
    """ECHO message"""
    return resp.bulk(argv[1])


def select(session: Session, argv: list[bytes]) -> bytes:
    """SELECT index"""
    index = parse_int(argv[1])
    if not 0 <= index < DATABASES:
        raise ReplyError("ERR DB index is out of range")
    session.db = session.engine.keyspace.dbs[index]
    return resp.OK


def _sign_in(session: Session, user: bytes, password: bytes) -> None:
    expected = session.engine.password
    if user != b"default" or (expected and password != expected.encode()):
        raise ReplyError(_WRONG_PASSWORD)
    session.signed_in = True


def auth(session: Session, argv: list[bytes]) -> bytes:
    """AUTH [user] password"""
    if len(argv) > 3:  # noqa: PLR2004 - user and password
        raise ReplyError(SYNTAX_ERROR)
    if len(argv) == 2 and not session.engine.password:  # noqa: PLR2004 - a password alone
        raise ReplyError(_NO_PASSWORD)
    _sign_in(session, argv[1] if len(argv) > 2 else b"default", argv[-1])  # noqa: PLR2004 - user and password
    return resp.OK


def hello(session: Session, argv: list[bytes]) -> bytes:
    """HELLO [protocol [AUTH user password] [SETNAME name]]"""
    resp3 = session.resp3
    if len(argv) > 1:
        version = parse_int(argv[1], "ERR Protocol version is not an integer or out of range")
        if version not in {2, 3}:
            raise ReplyError("NOPROTO unsupported protocol version")
        resp3 = version == 3  # noqa: PLR2004 - the protocol's number
    position = 2
    name: bytes | None = None
    while position < len(argv):
        option = argv[position].lower()
        if option == b"auth" and position + 2 < len(argv):
            _sign_in(session, argv[position + 1], argv[position + 2])
            position += 3
        elif option == b"setname" and position + 1 < len(argv):
            name = _check_name(argv[position + 1], "Client names")
            position += 2
        else:
            raise ReplyError(f"ERR Syntax error in HELLO option '{text_of(argv[position])}'")
    if not session.signed_in:
        raise ReplyError(
            "NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO <proto> AUTH <user>"
            " <pass> option can be used to authenticate the client and select the RESP protocol version at the same"
            " time"
        )
    if name is not None:
        session.name = name
    session.resp3 = resp3
    facts: dict[str, object] = {
        "server": "valkey",
        "version": VERSION,
        "proto": 3 if resp3 else 2,
        "id": session.client_id,
        "mode": "standalone",
        "role": "replica" if session.engine.refusal == "READONLY" else "master",
        "modules": [],
    }
    return resp.encode(facts, resp3=resp3)


def _check_name(name: bytes, what: str) -> bytes:
    if any(byte < 33 or byte > 126 for byte in name):  # noqa: PLR2004 - printable ASCII without the space
        raise ReplyError(f"ERR {what} cannot contain spaces, newlines or special characters.")
    return name


def reset(session: Session, _argv: list[bytes]) -> bytes:
    """RESET: as if newly connected."""
    leave_transaction(session)
    session.engine.pubsub.leave(session)
    session.db = session.engine.keyspace.dbs[0]
    session.resp3 = False
    session.name = b""
    session.signed_in = not session.engine.password
    return b"+RESET\r\n"


def leave(session: Session, _argv: list[bytes]) -> bytes:
    """QUIT"""
    session.closing = True
    return resp.OK


def describe(session: Session, command: str = "client|list") -> str:
    """Return a client's line of CLIENT LIST."""
    age_s = (session.engine.keyspace.now_ms - session.created_ms) // 1000
    flags = "b" if session.blocked else "P" if session.channels or session.patterns else "x" if session.queue else "N"
    return (
        f"id={session.client_id} addr={session.address} laddr={session.local_address} fd={session.client_id + 7}"
        f" name={text_of(session.name)} age={age_s} idle=0 flags={flags} capa= db={session.db.number}"
        f" sub={len(session.channels)} psub={len(session.patterns)} ssub=0"
        f" multi={-1 if session.queue is None else len(session.queue)} watch={len(session.watched)} qbuf=0 qbuf-free=0"
        f" argv-mem=0 multi-mem=0 rbs=16384 rbp=0 obl=0 oll=0 omem=0 tot-mem=0 events=r cmd={command} user=default"
        f" redir=-1 resp={3 if session.resp3 else 2} lib-name={text_of(session.library[0])}"
        f" lib-ver={text_of(session.library[1])} tot-net-in=0 tot-net-out=0 tot-cmds=0\n"
    )


_CLIENT_ARITY = {
    b"id": 2,
    b"getname": 2,
    b"setname": 3,
    b"setinfo": 4,
    b"list": -2,
    b"info": 2,
    b"kill": -3,
    b"no-evict": 3,
    b"no-touch": 3,
    b"unblock": -3,
}


def client(session: Session, argv: list[bytes]) -> bytes:  # noqa: C901, PLR0911 - one way out for each subcommand
    """CLIENT ID | GETNAME | SETNAME | SETINFO | LIST | INFO | KILL | UNBLOCK | NO-EVICT | NO-TOUCH"""
    subcommand = argv[1].lower()
    arity = _CLIENT_ARITY.get(subcommand)
    if arity is None:
        raise unknown_subcommand("client", argv[1])
    Command(f"client|{subcommand.decode()}", arity, client).check_arity(argv)
    if subcommand == b"id":
        return resp.integer(session.client_id)
    if subcommand == b"getname":
        return resp.bulk(session.name) if session.name else session.null()
    if subcommand == b"setname":
        session.name = _check_name(argv[2], "Client names")
        return resp.OK
    if subcommand == b"setinfo":
        return _set_info(session, argv)
    if subcommand == b"info":
        return text_reply(session, describe(session, "client|info"))
    if subcommand == b"list":
        return text_reply(session, "".join(map(describe, _selected(session, argv[2:]))))
    if subcommand == b"kill":
        return _kill(session, argv)
    if subcommand == b"unblock":
        return _unblock(session, argv)
    if argv[2].lower() not in {b"on", b"off"}:
        raise ReplyError(SYNTAX_ERROR)
    return resp.OK


def text_reply(session: Session, text: str) -> bytes:
    """Return a report for people: verbatim text in RESP3."""
    encoded = text.encode(errors="surrogateescape")
    if session.resp3:
        return b"=%d\r\ntxt:%b\r\n" % (len(encoded) + 4, encoded)
    return resp.bulk(encoded)


def _set_info(session: Session, argv: list[bytes]) -> bytes:
    what = argv[2].lower()
    if what not in {b"lib-name", b"lib-ver"}:
        raise ReplyError(f"ERR Unrecognized option '{text_of(argv[2])}'")
    value = _check_name(argv[3], text_of(argv[2]))
    session.library = (value, session.library[1]) if what == b"lib-name" else (session.library[0], value)
    return resp.OK


def _selected(session: Session, filters: list[bytes]) -> list[Session]:
    """Return the clients that a list of ID, TYPE, ADDR, LADDR and NAME filters selects."""
    chosen = list(session.engine.sessions.values())
    position = 0
    while position < len(filters):
        option = filters[position].lower()
        values = filters[position + 1 :]
        if not values:
            raise ReplyError(SYNTAX_ERROR)
        if option == b"id":
            ids = {parse_int(value, "ERR Invalid client ID") for value in values if value.isdigit()}
            return [one for one in chosen if one.client_id in ids]
        value = values[0]
        if option == b"type":
            if value.lower() not in {b"normal", b"master", b"replica", b"slave", b"pubsub"}:
                raise ReplyError(f"ERR Unknown client type '{text_of(value)}'")
            kind = value.lower()
            chosen = [one for one in chosen if (b"pubsub" if one.channels or one.patterns else b"normal") == kind]
        elif option in {b"addr", b"laddr", b"name"}:
            pattern = compile_pattern(value)
            chosen = [one for one in chosen if pattern.match(_attribute(one, option))]
        else:
            raise ReplyError(SYNTAX_ERROR)
        position += 2
    return chosen


def _attribute(session: Session, option: bytes) -> bytes:
    if option == b"name":
        return session.name
    return (session.address if option == b"addr" else session.local_address).encode()


def _kill(session: Session, argv: list[bytes]) -> bytes:
    old_style = len(argv) == 3  # noqa: PLR2004 - CLIENT KILL addr:port
    filters = [b"addr", argv[2]] if old_style else argv[2:]
    skip_me = not old_style
    plain: list[bytes] = []
    for option, value in zip(filters[::2], filters[1::2], strict=False):
        if option.lower() == b"skipme":
            skip_me = value.lower() == b"yes"
        elif option.lower() == b"id":
            number = parse_int(value, SYNTAX_ERROR)
            if number <= 0:
                raise ReplyError("ERR client-id should be greater than 0")
            plain += (option, value)
        else:
            plain = [option, value, *plain]  # ID takes all that follows it, so it goes last
    if len(filters) % 2:
        raise ReplyError(SYNTAX_ERROR)
    victims = [one for one in _selected(session, plain) if not (skip_me and one is session)]
    for victim in victims:
        if victim is session:
            session.closing = True
        else:
            victim.outlet.abort()
    if old_style and not victims:
        raise ReplyError("ERR No such client")
    return resp.OK if old_style else resp.integer(len(victims))


def _unblock(session: Session, argv: list[bytes]) -> bytes:
    how = argv[3].lower() if len(argv) > 3 else b"timeout"  # noqa: PLR2004 - the optional TIMEOUT or ERROR
    if how not in {b"timeout", b"error"}:
        raise ReplyError("ERR CLIENT UNBLOCK reason should be TIMEOUT or ERROR")
    target = session.engine.sessions.get(parse_int(argv[2]))
    if target is None or target.blocked is None:
        return resp.SMALL[0]
    if how == b"error":
        target.answer_blocked(session.engine.error("UNBLOCKED client unblocked via CLIENT UNBLOCK"))
    else:
        target.time_out()
    return resp.SMALL[1]


COMMANDS = (
    Command("ping", -1, ping, while_subscribed=True),
    Command("echo", 2, echo),
    Command("select", 2, select),
    Command("auth", -2, auth),
    Command("hello", -1, hello),
    Command("reset", 1, reset, queued=False, while_subscribed=True),
    Command("quit", -1, leave, queued=False, while_subscribed=True),
    Command("client", -2, client),
)
