"""Load of the real world by Locust: which hosts it takes the place of, and the locustfiles. No gevent in here."""

from dataclasses import replace

from harness.load.spec import LocustLoad
from harness.world.base import HostSpec

_UNKNOWN = ("pace", "stall_after_ns")


def by_locust(watchers: HostSpec, *, spawn_rate: float = 50.0) -> HostSpec:
    """Return that host of `scenarios.feed_hosts.watchers`, whose clients Locust's users are in the real world.

    Raises ValueError for clients that read slowly or stall: only asyncio's transports can do that here.
    """
    if any(watchers.params.get(name) for name in _UNKNOWN):
        raise ValueError(f"{watchers.name}: users of Locust read all that comes")
    load = LocustLoad(locustfile="scenarios.load.dashboard", users=watchers.params["clients"], spawn_rate=spawn_rate)
    return replace(watchers, load=load)
