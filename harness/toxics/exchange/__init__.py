"""Faults that know the conversation: `RedisMatch` and `HttpMatch` act on chosen requests and on their replies.

A *scanner* finds where messages begin and end in one direction, whatever chunks the bytes come in, and names each
request; it never buffers bodies. An *exchange* holds the two scanners of one connection together: a queue of open
requests tells which request each reply belongs to. *Rules* (a matching toxic on this connection) decide which requests
are acted upon. All of it is pure, like everything in `harness.toxics`, and stands at the entrance of a conduit.

A conversation can be followed only from its first byte. Where it leaves what can be followed - subscriptions in RESP2,
MONITOR, replication, CLIENT REPLY, an HTTP upgrade, TLS, garbage - the bytes are passed on untouched from there on,
and each matching toxic counts the connection as `unfollowed`. Within MULTI, the reply of a command is its `QUEUED`.
"""
