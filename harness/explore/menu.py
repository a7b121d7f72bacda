"""What can happen to a scenario: every fault that applies to one of its hosts, links and dependencies, by its entry.

An entry is text, `name/mode on`, that names one fault in one mode: `redis.outage/hang on redis`, and where a kind comes
in several strengths `network.latency/latency on bot->redis (400 ms)`. Experiments hold entries; a menu gives the fault
behind each. It follows from the scenario's declaration alone, so a stored experiment means the same tomorrow.

What needs an operation to happen in (`process.kill_inside/sigkill on desk in trip`) is not listed: operations are known
only once the scenario has run. A menu knows such an entry when it is asked for one.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from types import MappingProxyType
from typing import Final

from harness.dependencies.binance import faults as binance
from harness.dependencies.redis import faults as redis
from harness.errors import unknown_name
from harness.faults import clock, disk, network, process, service
from harness.faults.base import Fault
from harness.scenario import Scenario
from harness.toxics.exchange.match import Follow
from harness.units import ms

_SPEAKS: Final[Mapping[str, Follow]] = MappingProxyType({"redis": "redis", "binance": "http"})
"""What is spoken with each kind of dependency, for faults that act on single requests."""
_FOLLOWED: Final = frozenset(
    {
        "network.drop_reply",
        "network.delay_reply",
        "network.reset_mid_reply",
        "network.drop_http_reply",
        "network.reset_http",
        "service.misbehaves",
    }
)
_INSIDE: Final = "process.kill_inside/sigkill on "


@dataclass(frozen=True, slots=True)
class Item:
    """One entry: the fault, and the one mode that it is to take."""

    entry: str
    fault: Fault
    mode: str

    @property
    def kind(self) -> str:
        """The fault's name, whatever the mode and whatever it hits."""
        return self.fault.name

    @property
    def follows(self) -> str | None:
        """The dependency or service with which conversations have to be followed for it."""
        return self.fault.on.partition("->")[2] if self.fault.name in _FOLLOWED else None


@dataclass(frozen=True, slots=True)
class Menu:
    """All the items by entry, in order, and the hosts in which an operation can be met."""

    items: Mapping[str, Item]
    scheduled: Mapping[str, Item]
    """The faults of the scenario's own schedule: they are not drawn, but a run of it can be shrunk."""
    hosts: tuple[str, ...]
    without: tuple[str, ...]

    def item(self, entry: str) -> Item:
        """Return what is behind an entry. Raises `UsageError` naming the nearest one if there is none."""
        if entry in self.scheduled:
            return self.scheduled[entry]
        if entry.startswith(_INSIDE):
            host, _, operation = entry.removeprefix(_INSIDE).partition(" in ")
            if host in self.hosts and operation:
                return Item(entry, process.kill_inside(host, operation), "sigkill")
        if entry not in self.items:
            raise unknown_name("fault on the menu", entry, self.items)
        return self.items[entry]

    def entry(self, fault: Fault, mode: str) -> str:
        """Return the entry of a fault of the scenario's own schedule in that mode."""
        every = (*self.items.values(), *self.scheduled.values())
        return next(item.entry for item in every if item.mode == mode and item.fault == fault)

    def inside(self, host: str, operations: Iterable[str]) -> Iterator[str]:
        """Yield the entries of kills inside these operations of a host, but for those the scenario leaves out."""
        for operation in operations:
            entry = inside_entry(host, operation)
            if not _matches(entry, self.without):
                yield entry


def inside_entry(host: str, operation: str) -> str:
    """Return the entry of a kill inside that operation of that host."""
    return f"{_INSIDE}{host} in {operation}"


def menu_of(scenario: Scenario, profile: str) -> Menu:
    """Return the scenario's menu at that size: all that applies, as narrowed and added to by `scenario.explore`."""
    wishes = scenario.explore
    hosts = tuple(host.name for host in scenario.profile(profile).hosts)
    replaced = {(fault.name, fault.on) for fault in wishes.add}
    items: dict[str, Item] = {}
    for fault, strength in _applying(scenario, profile):
        if (fault.name, fault.on) not in replaced:
            _put(items, fault, strength, wishes.without)
    for number, fault in enumerate(wishes.add):
        twin = any((fault.name, fault.on) == (other.name, other.on) for other in wishes.add[:number])
        _put(items, fault, f"no. {number}" if twin else "", wishes.without)
    return Menu(MappingProxyType(items), MappingProxyType(_scheduled(scenario, profile)), hosts, wishes.without)


def _scheduled(scenario: Scenario, profile: str) -> dict[str, Item]:
    items: dict[str, Item] = {}
    for step_number, step in enumerate(scenario.profile(profile).schedule):
        for fault, mode in step.choices:
            entry = f"{fault.name}/{mode} on {fault.on} (as in step {step_number})"
            items[entry] = Item(entry, fault, mode)
    return items


def _put(items: dict[str, Item], fault: Fault, strength: str, without: tuple[str, ...]) -> None:
    for mode in fault.modes:
        entry = f"{fault.name}/{mode} on {fault.on}" + (f" ({strength})" if strength else "")
        if not _matches(entry, without):
            items[entry] = Item(entry, fault, mode)


def _matches(entry: str, patterns: Iterable[str]) -> bool:
    return any(fnmatchcase(entry, pattern) for pattern in patterns)


def _applying(scenario: Scenario, profile: str) -> Iterator[tuple[Fault, str]]:
    """Yield every fault that applies, with the word for its strength if there are several."""
    hosts = scenario.profile(profile).hosts
    for host in hosts:
        yield from _of_host(host.name)
    for dependency in scenario.dependencies:
        if dependency.kind == "redis":
            yield from ((fault, "") for fault in (redis.outage(on=dependency.name), redis.replies(on=dependency.name)))
        elif dependency.kind == "binance":
            yield from _of_exchange(dependency.name)
        for host in hosts:
            yield from _of_link(host.name, dependency.name, _SPEAKS.get(dependency.kind))
    for server in hosts:
        if server.serves is not None:
            for host in hosts:
                if host is not server:
                    yield from _of_link(host.name, server.name, server.follow or "http")
                    yield from _of_service(host.name, server.name)


def _of_host(host: str) -> Iterator[tuple[Fault, str]]:
    yield from (
        (fault, "")
        for fault in (
            process.kill(host),
            process.freeze(host),
            process.power_off(host),
            clock.clock_step(host),
            clock.clock_skew(host),
            clock.clock_drift(host),
            disk.disk_full(host),
        )
    )


def _of_link(host: str, to: str, speaks: Follow | None) -> Iterator[tuple[Fault, str]]:
    yield network.refuse(host, to), ""
    yield network.partition(host, to), ""
    yield network.reset(host, to), ""
    yield network.half_open(host, to), ""
    yield network.latency(host, to, latency_ms=60, jitter_ms=40), "60 ms"
    yield network.latency(host, to, latency_ms=400, jitter_ms=300), "400 ms"
    yield network.bandwidth(host, to, rate_kb_s=1), ""
    yield network.slices(host, to, average_bytes=40, variation_bytes=30, delay_us=2_000), ""
    if speaks == "redis":
        yield network.drop_reply(host, to), "a fifth"
        yield network.drop_reply(host, to, share=0.8), "most"
        yield network.reset_mid_reply(host, to, share=0.5), ""
        yield network.delay_reply(host, to, delay_ms=300), ""
    if speaks == "http":
        yield network.drop_http_reply(host, to, share=0.5), ""
        yield network.reset_http(host, to, share=0.5), ""


def _of_service(host: str, to: str) -> Iterator[tuple[Fault, str]]:
    yield service.misbehaves(host, to), ""
    yield service.flaps(host, to, pause_ns=(ms(500), ms(3_000))), ""


def _of_exchange(on: str) -> Iterator[tuple[Fault, str]]:
    """Yield what the exchange does, in shares that leave a short run something to go on with."""
    yield binance.storm("short", "no-headers", on=on, share=0.5, short_ms=1_000), ""
    yield binance.ban(on=on, lengths_ms=(1_000, 1_500, 2_000), pause_ms=(300, 600)), ""
    yield binance.order_storm(on=on, share=0.5), ""
    yield binance.unavailable(on=on, share=0.4), ""
    yield binance.unknown_status(on=on, share=0.4), ""
    yield binance.recv_window(on=on), ""
    yield binance.firewall(on=on, share=0.5), ""
    yield binance.rejects(on=on, share=0.5), ""
    yield binance.timeouts(on=on, share=0.3), "changes"
    yield binance.timeouts(on=on, share=0.3, scope="reads"), "reads"
    yield binance.resets(on=on, share=0.3), "changes"
    yield binance.resets(on=on, share=0.3, scope="all"), "all"
    yield binance.latency(on=on, latency_ms=700, jitter_ms=500), ""
    yield binance.tenants(on=on), ""
    yield binance.lower_limits(on=on), ""
    yield binance.no_headers(on=on), ""
    yield binance.thin_book(on=on, factor=0.002, refill_ms=500), ""
    yield binance.slippage(on=on), ""
    yield binance.flash_crash(on=on, over_ms=600), ""
    yield binance.streams(on=on), ""
