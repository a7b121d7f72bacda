"""Commands about the server: INFO, CONFIG, COMMAND, TIME, WAIT, OBJECT, DEBUG's absence, BGREWRITEAOF."""

from typing import Any, Final

from fakeredis._helpers import compile_pattern
from fakeredis.model import get_command_info

from harness.dependencies.redis import resp
from harness.dependencies.redis.commands import (
    Command,
    parse_int,
    unknown_subcommand,
    wrong_arity,
)
from harness.dependencies.redis.connection_commands import VERSION, text_reply
from harness.dependencies.redis.keyspace import StreamValue
from harness.dependencies.redis.resp import ReplyError, text_of
from harness.dependencies.redis.session import Session

_CONFIG: Final[dict[bytes, bytes]] = {
    b"appendfsync": b"everysec",
    b"appendonly": b"no",
    b"bind": b"127.0.0.1",
    b"databases": b"16",
    b"maxclients": b"10000",
    b"maxmemory": b"0",
    b"maxmemory-policy": b"noeviction",
    b"notify-keyspace-events": b"",
    b"port": b"0",
    b"proto-max-bulk-len": b"536870912",
    b"save": b"",
    b"stream-node-max-bytes": b"4096",
    b"stream-node-max-entries": b"100",
    b"timeout": b"0",
}


def config(session: Session, argv: list[bytes]) -> bytes:
    """CONFIG GET pattern ... | SET name value ... | RESETSTAT | REWRITE"""
    subcommand = argv[1].lower()
    if subcommand == b"get":
        return _get_settings(session, argv)
    if subcommand == b"set":
        return _set_settings(session, argv)
    if subcommand == b"resetstat":
        session.engine.errors.clear()
        return resp.OK
    if subcommand == b"rewrite":
        return resp.OK
    raise unknown_subcommand("config", argv[1])


def _get_settings(session: Session, argv: list[bytes]) -> bytes:
    if len(argv) < 3:  # noqa: PLR2004 - one pattern at least
        raise wrong_arity("config|get")
    patterns = [compile_pattern(pattern.lower()) for pattern in argv[2:]]
    known = _CONFIG | {b"port": b"%d" % session.engine.port} | session.engine.state.config
    parts: list[bytes] = []
    for name in sorted(known):
        if any(pattern.match(name) for pattern in patterns):
            parts += (resp.bulk(name), resp.bulk(known[name]))
    return session.mapping(parts)


def _set_settings(session: Session, argv: list[bytes]) -> bytes:
    if len(argv) < 4 or len(argv) % 2:  # noqa: PLR2004 - one pair at least
        raise wrong_arity("config|set")
    for name in argv[2::2]:
        if name.lower() not in _CONFIG:
            raise ReplyError(f"ERR Unknown option or number of arguments for CONFIG SET - '{text_of(name)}'")
    session.engine.state.config.update(
        (name.lower(), value) for name, value in zip(argv[2::2], argv[3::2], strict=True)
    )
    return resp.OK


def _sections(session: Session) -> dict[str, dict[str, Any]]:
    engine = session.engine
    uptime_s = (engine.keyspace.now_ns - engine.started_ns) // 1_000_000_000
    sessions = engine.sessions.values()
    aof = (engine.state.config.get(b"appendonly") or _CONFIG[b"appendonly"]) == b"yes"
    sections: dict[str, dict[str, Any]] = {
        "Server": {
            "redis_version": "7.2.4",
            "server_name": "valkey",
            "valkey_version": VERSION,
            "redis_mode": "standalone",
            "server_mode": "standalone",
            "os": "sim",
            "arch_bits": 64,
            "process_id": 1,
            "run_id": engine.state.run_id,
            "tcp_port": engine.port,
            "server_time_usec": engine.keyspace.now_ns // 1000,
            "uptime_in_seconds": uptime_s,
            "uptime_in_days": uptime_s // 86_400,
        },
        "Clients": {
            "connected_clients": len(sessions),
            "maxclients": 10_000,
            "blocked_clients": sum(one.blocked is not None for one in sessions),
            "pubsub_clients": sum(bool(one.channels or one.patterns) for one in sessions),
            "watching_clients": sum(bool(one.watched) for one in sessions),
        },
        "Memory": {"used_memory": 0, "maxmemory": int(engine.refusal == "OOM"), "maxmemory_policy": "noeviction"},
        "Persistence": {
            "loading": int(engine.refusal == "LOADING"),
            "async_loading": 0,
            "rdb_changes_since_last_save": engine.state.logged,
            "rdb_bgsave_in_progress": 0,
            "rdb_last_save_time": engine.started_ns // 1_000_000_000,
            "rdb_last_bgsave_status": "ok",
            "aof_enabled": int(aof),
            "aof_rewrite_in_progress": 0,
            "aof_last_write_status": "ok",
        },
        "Stats": {
            "total_connections_received": engine.connections_received,
            "total_commands_processed": engine.commands_processed,
            "pubsub_channels": len(engine.pubsub.channels),
            "pubsub_patterns": len(engine.pubsub.patterns),
            "total_error_replies": sum(engine.errors.values()),
        },
        "Replication": {
            "role": "slave" if engine.refusal == "READONLY" else "master",
            "connected_slaves": 0,
            "master_repl_offset": 0,
        },
        "Errorstats": {f"errorstat_{code}": f"count={count}" for code, count in sorted(engine.errors.items())},
        "Keyspace": {},
    }
    for number, db in sorted(engine.keyspace.dbs.items()):
        if len(db):
            expiring = sum(item.expireat is not None for item in db.values())
            sections["Keyspace"][f"db{number}"] = f"keys={len(db)},expires={expiring},avg_ttl=0"
    return sections


def info(session: Session, argv: list[bytes]) -> bytes:
    """INFO [section ...]"""
    wanted = {argument.decode(errors="replace").lower() for argument in argv[1:]}
    if wanted & {"all", "everything", "default"}:
        wanted = set()
    blocks = []
    for title, facts in _sections(session).items():
        if not wanted or title.lower() in wanted:
            blocks.append(f"# {title}\r\n" + "".join(f"{name}:{value}\r\n" for name, value in facts.items()))
    return text_reply(session, "\r\n".join(blocks))


def command(session: Session, argv: list[bytes]) -> bytes:
    """COMMAND [INFO name ... | DOCS ... | COUNT | LIST]"""
    subcommand = argv[1].lower() if len(argv) > 1 else b""
    names = session.engine.command_names
    if subcommand == b"count":
        return resp.integer(len(names))
    if subcommand == b"docs":
        return session.mapping(())
    if subcommand == b"list":
        return resp.bulks([name.encode() for name in names])
    if subcommand not in {b"", b"info"}:
        raise unknown_subcommand("command", argv[1])
    chosen = argv[2:] or [name.encode() for name in names]
    return resp.array([_command_info(session, name.lower()) for name in chosen])


def _command_info(session: Session, name: bytes) -> bytes:
    found = get_command_info(name)
    if found is None:
        return session.null_array()
    return resp.encode(found, resp3=session.resp3)


def time(session: Session, _argv: list[bytes]) -> bytes:
    """TIME"""
    now_us = session.engine.keyspace.now_ns // 1000
    return resp.bulks((b"%d" % (now_us // 1_000_000), b"%d" % (now_us % 1_000_000)))


def wait(session: Session, argv: list[bytes]) -> bytes:
    """WAIT replicas timeout: there are no replicas, and nothing is gained by waiting for them."""
    if session.engine.refusal == "READONLY":
        raise ReplyError(
            "ERR WAIT cannot be used with replica instances. Please also note that if a replica is configured to be"
            " writable (which is not the default) writes to replicas are just local and are not propagated."
        )
    parse_int(argv[1])
    if parse_int(argv[2], "ERR timeout is not an integer or out of range") < 0:
        raise ReplyError("ERR timeout is negative")
    return resp.SMALL[0]


_INT_DIGITS_MAX = 20
_EMBEDDED_BYTES_MAX = 44


def inspect(session: Session, argv: list[bytes]) -> bytes:
    """OBJECT ENCODING | REFCOUNT | IDLETIME | FREQ key"""
    subcommand = argv[1].lower()
    if subcommand not in {b"encoding", b"refcount", b"idletime", b"freq"}:
        raise unknown_subcommand("object", argv[1])
    if len(argv) != 3:  # noqa: PLR2004 - OBJECT <subcommand> key
        raise wrong_arity(f"object|{subcommand.decode()}")
    item = session.db.get(argv[2])
    if item is None:
        return session.null()
    if subcommand == b"refcount":
        return resp.SMALL[1]
    if subcommand == b"idletime":
        return resp.SMALL[0]
    if subcommand == b"freq":
        raise ReplyError(
            "ERR An LFU maxmemory policy is not selected, access frequency not tracked. Please note that when switching"
            " between policies at runtime LRU and LFU data will take some time to adjust."
        )
    return resp.bulk(_encoding(item.value))


def _encoding(value: object) -> bytes:
    """Guess the encoding a real server would have chosen for a value of ordinary size."""
    if isinstance(value, StreamValue):
        return b"stream"
    if isinstance(value, bytes):
        if value.lstrip(b"-").isdigit() and len(value) < _INT_DIGITS_MAX:
            return b"int"
        return b"embstr" if len(value) <= _EMBEDDED_BYTES_MAX else b"raw"
    return b"listpack"


COMMANDS = (
    Command("config", -2, config),
    Command("info", -1, info),
    Command("command", -1, command),
    Command("time", 1, time),
    Command("wait", 3, wait),
    Command("object", -2, inspect),
)
