"""A locustfile that raises when it is read."""

raise RuntimeError("redis://user:hunter2@127.0.0.1 is not there")
