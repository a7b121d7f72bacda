"""The keyspace: fakeredis' databases and commands with a clock, an order and a memory of what was written.

fakeredis holds strings, hashes, lists, sets and sorted sets and runs their commands; streams are our own (streams.py).
Everything is done by subclassing, so that a user's own fakeredis in the same process behaves as it always did. What is
changed: time comes from the keyspace (`now_ms`), blocking is handed to the engine instead of to threads and tasks, and
every write is noted (`touched`, `ready`), which is how the engine knows what to log and whom to wake.

Two clocks remain fakeredis' own: expiry of single hash fields and of set members reads `time.time`, which the sim world
virtualises.
"""

from collections.abc import Callable, Iterator
from copy import deepcopy
from typing import TYPE_CHECKING, Any, Final

from fakeredis import FakeServer
from fakeredis._commands import SUPPORTED_COMMANDS, Signature
from fakeredis._core import Database
from fakeredis._helpers import NoResponse, SimpleError, SimpleString
from fakeredis._socket._fakesocket import FakeSocket
from fakeredis.model import BaseModel

from harness.dependencies.redis import resp
from harness.dependencies.redis.streams import Stream

if TYPE_CHECKING:
    from harness.dependencies.redis.session import Blocked, Session

DATABASES: Final = 16
WRONG_TYPE: Final = "WRONGTYPE Operation against a key holding the wrong kind of value"


class StreamValue(Stream, BaseModel):
    """A stream as fakeredis' generic commands (TYPE, DEL, RENAME, EXPIRE) know values."""

    __slots__ = ()
    _model_type = b"stream"


class KeyDatabase(Database):
    """One numbered database; who watches and who waits for a key is kept here, in order of arrival."""

    def __init__(self, keyspace: "Keyspace", number: int) -> None:
        self._keyspace = keyspace
        self.number = number
        self.watchers: dict[bytes, dict[Session, None]] = {}
        self.waiters: dict[Session, Blocked] = {}
        super().__init__(None)

    @property
    def time(self) -> float:
        """Seconds since the epoch, as fakeredis counts expiry."""
        return self._keyspace.now_ms / 1000

    @time.setter
    def time(self, _value: float) -> None:
        pass  # fakeredis resets it at construction; the keyspace's clock is the only one

    def notify_watch(self, key: bytes) -> None:
        """Note that a key was written, perhaps replaced or removed, in a way that clients may be waiting for."""
        self._keyspace.structure += 1
        self.note_entry(key)

    def swap(self, other: Database) -> None:
        """Exchange all keys with another database; fakeredis itself would tell only of keys that it knows watched."""
        super().swap(other)
        for key in dict.fromkeys((*self, *other)):  # a set would wake clients in an order of its own
            self.notify_watch(key)
            other.notify_watch(key)

    def note_entry(self, key: bytes) -> None:
        """Note that a stream got an entry: clients may be waiting for it, but what is at the key is what was there."""
        if self.waiters:
            self._keyspace.ready.append((self, key))
        self.note_change(key)

    def note_change(self, key: bytes) -> None:
        """Note that a key was written in a way that nobody waits for, such as an acknowledgement."""
        self._keyspace.touched = True
        if self.watchers:
            for session in self.watchers.get(key, ()):
                session.watch_broken = True

    def wake_all(self) -> None:
        """Do nothing: this is fakeredis' own wake-up; waiting is the engine's business."""

    def stream(self, key: bytes) -> StreamValue | None:
        """Return the stream at that key, or None. Raises ReplyError when something else is there."""
        item = self._dict.get(key)
        if item is None:
            return None
        value = item.value
        if item.expireat is not None and item.expireat < self.time:
            del self._dict[key]
            return None
        if type(value) is not StreamValue:
            raise resp.ReplyError(WRONG_TYPE)
        return value

    def stream_or_none(self, key: bytes) -> StreamValue | None:
        """Return the stream at that key, or None when there is none or something else."""
        item = self.get(key)
        value = None if item is None else item.value
        return value if type(value) is StreamValue else None

    def expires(self, key: bytes) -> bool:
        """Whether the key, which is there, will vanish by itself."""
        return self._dict[key].expireat is not None

    def create_stream(self, key: bytes, stream: StreamValue) -> StreamValue:
        """Put a new stream at a free key and return it."""
        self._dict[key] = _Item(stream)
        return stream


class _Item:
    """What fakeredis keeps at a key."""

    __slots__ = ("expireat", "value")

    def __init__(self, value: Any) -> None:
        self.value = value
        self.expireat: float | None = None


class _Databases(dict[int, KeyDatabase]):
    def __init__(self, keyspace: "Keyspace") -> None:
        super().__init__()
        self._keyspace = keyspace

    def __missing__(self, number: int) -> KeyDatabase:
        database = self[number] = KeyDatabase(self._keyspace, number)
        return database


class _NoLock:
    """One thread, one event loop: fakeredis' locking is not needed."""

    def __enter__(self) -> None:
        pass

    def __exit__(self, *_: object) -> None:
        pass


class Keyspace(FakeServer):
    """All databases of one server, and the clock and the notes of the command being run."""

    def __init__(self) -> None:
        super().__init__(version=(7, 2), server_type="valkey")
        self.lock: Any = _NoLock()
        self.now_ns = 0
        self.now_ms = 0
        self.touched = False
        self.structure = 0  # grows when a key's value, its expiry, a group or a consumer may have gone or been replaced
        self.ready: list[tuple[KeyDatabase, bytes]] = []
        self.dbs: Any = _Databases(self)

    def items(self) -> Iterator[tuple[int, bytes, Any, float | None]]:
        """Yield (database, key, value, expiry in seconds since the epoch or None) of all that is alive, in order."""
        for number in sorted(self.dbs):
            database = self.dbs[number]
            for key in sorted(database):
                item = database[key]
                yield number, key, item.value, item.expireat

    def put(self, number: int, key: bytes, value: Any, expireat: float | None) -> None:
        """Store a value as `items` yielded it."""
        item = _Item(value)
        item.expireat = expireat
        self.dbs[number][key] = item


_NULL_ARRAY_COMMANDS: Final = frozenset(
    (
        "blpop",
        "brpop",
        "blmove",
        "brpoplpush",
        "bzpopmin",
        "bzpopmax",
        "blmpop",
        "bzmpop",
        "lmpop",
        "zmpop",
    )
)
_SUBCOMMAND_CONTAINERS: Final = frozenset(name.split(" ")[0] for name in SUPPORTED_COMMANDS if " " in name)
_TIMEOUT_LAST: Final = frozenset(("blpop", "brpop", "blmove", "brpoplpush", "bzpopmin", "bzpopmax"))
_TIMEOUT_FIRST: Final = frozenset(("blmpop", "bzmpop"))
_SETS: Final = frozenset(("smembers", "sinter", "sunion", "sdiff"))
_SCAN_CURSOR_AT: Final = {"scan": 0, "hscan": 1, "sscan": 1, "zscan": 1}


class Bridge(FakeSocket):
    """Runs fakeredis' commands in the name of whichever session calls; one for all of them."""

    def __init__(self, keyspace: Keyspace) -> None:
        super().__init__(keyspace, 0, lua_modules=set(), client_class=object)
        self._session: Session | None = None
        self._command = ""

    @staticmethod
    def signature(name: str) -> Signature | None:
        """Return fakeredis' description of a command, or None if it has none."""
        return SUPPORTED_COMMANDS.get(name)

    def call(self, session: "Session", signature: Signature, arguments: list[bytes]) -> bytes:
        """Run a command and return its encoded reply; b"" when the session is blocked now."""
        _check_arguments(signature.name, arguments)
        self._enter(session, signature.name)
        function = getattr(self, signature.func_name)
        result = self._run_command(function, signature, arguments, False)  # noqa: FBT003 - fakeredis' signature
        if isinstance(result, NoResponse):
            return b""
        return self._encode(session, signature.name, arguments, result)

    def _enter(self, session: "Session", name: str) -> None:
        self._session = session
        self._command = name
        self._db = session.db
        self._db_num = session.db.number
        self._client_info["resp"] = 3 if session.resp3 else 2
        self._in_transaction = not session.may_block

    def _blocking(
        self,
        timeout: float | None,
        func: Callable[[bool], Any],
        shape: Callable[[Any], Any] | None = None,
    ) -> Any:
        result = func(True)  # noqa: FBT003 - fakeredis' signature: this is the first pass
        session = self._session
        assert session is not None
        if result is not None or self._in_transaction:
            return result if shape is None else shape(result)
        name = self._command

        def finish(found: Any) -> bytes:
            return self._encode(session, name, [], found if shape is None else shape(found))

        def attempt() -> bytes | None:
            self._enter(session, name)
            try:
                found = func(False)  # noqa: FBT003 - fakeredis' signature: not the first pass
            except SimpleError as problem:
                raise resp.ReplyError(problem.value) from None
            return None if found is None else finish(found)

        session.block((), attempt, lambda: finish(None), round((timeout or 0) * 1e9))
        return NoResponse()

    def _encode(self, session: "Session", name: str, arguments: list[bytes], result: Any) -> bytes:
        resp3 = session.resp3
        if result is None and (
            name in _NULL_ARRAY_COMMANDS
            or (name in {"lpop", "rpop", "zrank", "zrevrank"} and len(arguments) > (1 if "pop" in name else 2))
        ):
            return resp.null_array(resp3=resp3)
        if isinstance(result, SimpleError):
            raise resp.ReplyError(_error_text(name, result.value))
        if resp3 and name in _SETS and isinstance(result, list):
            result = set(result)
        return _encode_fake(result, resp3=resp3)

    def copy(self, key: Any, newkey: Any, *args: bytes) -> Any:
        """COPY; fakeredis itself would let both keys share one value."""
        key._value = deepcopy(key.value)  # noqa: SLF001 - setting `value` would count as a write to the source
        return super().copy(key, newkey, *args)


def _check_arguments(name: str, arguments: list[bytes]) -> None:
    """Refuse, in a server's words, arguments that fakeredis words otherwise."""
    if name in _TIMEOUT_LAST or name in _TIMEOUT_FIRST:
        text = arguments[-1 if name in _TIMEOUT_LAST else 0]
        try:
            timeout = float(text)
        except ValueError:
            raise resp.ReplyError("ERR timeout is not a float or out of range") from None
        if timeout < 0:
            raise resp.ReplyError("ERR timeout is negative")
    elif name in _SCAN_CURSOR_AT and not arguments[_SCAN_CURSOR_AT[name]].isdigit():
        raise resp.ReplyError("ERR invalid cursor")


def _error_text(name: str, text: str) -> str:
    if text.startswith("ERR invalid expire time in ") and not text.endswith("command"):
        return f"ERR invalid expire time in '{name}' command"
    if text == "ERR Wrong number of args calling Redis command from script":
        return f"ERR wrong number of arguments for '{name}' command"
    return text


def _encode_fake(value: Any, *, resp3: bool) -> bytes:
    if isinstance(value, SimpleString):
        return b"+%b\r\n" % value.value
    if isinstance(value, SimpleError):
        text = value.value
        return resp.error(text)
    if type(value) is list:
        return resp.array([_encode_fake(item, resp3=resp3) for item in value])
    return resp.encode(value, resp3=resp3)
