"""Publish and subscribe. Subscribers get a message in the order in which they subscribed."""

from fakeredis._helpers import compile_pattern

from harness.dependencies.redis import resp
from harness.dependencies.redis.commands import Command, unknown_subcommand, wrong_arity
from harness.dependencies.redis.session import Session


class PubSub:
    """Who listens to what."""

    def __init__(self) -> None:
        self.channels: dict[bytes, dict[Session, None]] = {}
        self.patterns: dict[bytes, dict[Session, None]] = {}

    def leave(self, session: Session) -> None:
        """Forget a client."""
        for topic in list(session.channels):
            _remove(self.channels, topic, session)
        for topic in list(session.patterns):
            _remove(self.patterns, topic, session)
        session.channels.clear()
        session.patterns.clear()

    def publish(self, channel: bytes, message: bytes) -> int:
        """Send a message; return how many receivers it had."""
        receivers = 0
        for session in list(self.channels.get(channel, ())):
            session.outlet.send(_push(session, (b"message", channel, message)))
            receivers += 1
        for pattern, sessions in list(self.patterns.items()):
            if compile_pattern(pattern).match(channel):
                for session in list(sessions):
                    session.outlet.send(_push(session, (b"pmessage", pattern, channel, message)))
                    receivers += 1
        return receivers


def _remove(topics: dict[bytes, dict[Session, None]], topic: bytes, session: Session) -> None:
    sessions = topics.get(topic)
    if sessions is not None:
        sessions.pop(session, None)
        if not sessions:
            del topics[topic]


def _push(session: Session, parts: tuple[bytes | int | None, ...]) -> bytes:
    encoded = [resp.encode(part, resp3=session.resp3) for part in parts]
    return b"%b%d\r\n%b" % (b">" if session.resp3 else b"*", len(encoded), b"".join(encoded))


def _count(session: Session) -> int:
    return len(session.channels) + len(session.patterns)


def _join(session: Session, argv: list[bytes], kind: bytes, *, pattern: bool) -> bytes:
    pubsub = session.engine.pubsub
    topics, mine = (pubsub.patterns, session.patterns) if pattern else (pubsub.channels, session.channels)
    replies = []
    for topic in argv[1:]:
        mine[topic] = None
        topics.setdefault(topic, {})[session] = None
        replies.append(_push(session, (kind, topic, _count(session))))
    return b"".join(replies)


def _leave(session: Session, argv: list[bytes], kind: bytes, *, pattern: bool) -> bytes:
    pubsub = session.engine.pubsub
    topics, mine = (pubsub.patterns, session.patterns) if pattern else (pubsub.channels, session.channels)
    replies = []
    for topic in argv[1:] or list(mine):
        mine.pop(topic, None)
        _remove(topics, topic, session)
        replies.append(_push(session, (kind, topic, _count(session))))
    return b"".join(replies) or _push(session, (kind, None, _count(session)))


def subscribe(session: Session, argv: list[bytes]) -> bytes:
    """SUBSCRIBE channel ..."""
    return _join(session, argv, b"subscribe", pattern=False)


def psubscribe(session: Session, argv: list[bytes]) -> bytes:
    """PSUBSCRIBE pattern ..."""
    return _join(session, argv, b"psubscribe", pattern=True)


def unsubscribe(session: Session, argv: list[bytes]) -> bytes:
    """UNSUBSCRIBE [channel ...]"""
    return _leave(session, argv, b"unsubscribe", pattern=False)


def punsubscribe(session: Session, argv: list[bytes]) -> bytes:
    """PUNSUBSCRIBE [pattern ...]"""
    return _leave(session, argv, b"punsubscribe", pattern=True)


def publish(session: Session, argv: list[bytes]) -> bytes:
    """PUBLISH channel message."""
    return resp.integer(session.engine.pubsub.publish(argv[1], argv[2]))


def introspect(session: Session, argv: list[bytes]) -> bytes:
    """PUBSUB CHANNELS | NUMSUB | NUMPAT."""
    pubsub = session.engine.pubsub
    subcommand = argv[1].lower()
    if subcommand == b"channels":
        if len(argv) > 3:  # noqa: PLR2004 - PUBSUB CHANNELS pattern
            raise wrong_arity("pubsub|channels")
        matcher = compile_pattern(argv[2] if len(argv) > 2 else b"*")  # noqa: PLR2004 - PUBSUB CHANNELS pattern
        return resp.bulks([channel for channel in pubsub.channels if matcher.match(channel)])
    if subcommand == b"numsub":
        parts: list[bytes] = []
        for channel in argv[2:]:
            parts += (resp.bulk(channel), resp.integer(len(pubsub.channels.get(channel, ()))))
        return resp.array(parts)
    if subcommand == b"numpat":
        return resp.integer(len(pubsub.patterns))
    raise unknown_subcommand("pubsub", argv[1])


COMMANDS = (
    Command("subscribe", -2, subscribe, while_subscribed=True),
    Command("psubscribe", -2, psubscribe, while_subscribed=True),
    Command("unsubscribe", -1, unsubscribe, while_subscribed=True),
    Command("punsubscribe", -1, punsubscribe, while_subscribed=True),
    Command("publish", 3, publish),
    Command("pubsub", -2, introspect),
)
