"""The menu: everything that applies, by an entry that means the same tomorrow; narrowed and added to."""

import pytest

from harness.errors import UsageError
from harness.explore.menu import menu_of
from harness.faults import network, process
from tests.harness.explore.bots import declare


def test_everything_applies_to_hosts_links_and_dependencies() -> None:
    """Faults of each host, of the dependency in each mode, of links to dependencies and to hosts that serve."""
    entries = menu_of(declare(), "short").items

    for entry in (
        "process.kill/sigkill on bot",
        "process.freeze/sigstop on risk",
        "disk.full/full on bot",
        "clock.step/backward on bot",
        "redis.outage/crash-lose-all on redis",
        "redis.replies/oom on redis",
        "network.partition/upstream on bot->redis",
        "network.drop_reply/drop-reply on bot->redis (most)",
        "network.refuse/refuse on bot->risk",
        "network.reset_http/after on bot->risk",
        "service.misbehaves/cut-json on bot->risk",
    ):
        assert entry in entries
    assert not any("risk->risk" in entry for entry in entries)
    assert not any("drop_reply" in entry and entry.endswith("->risk") for entry in entries)


def test_an_entry_gives_the_fault_in_that_mode() -> None:
    """The item behind an entry is the fault and the one mode of it."""
    item = menu_of(declare(), "short").item("network.partition/upstream on bot->redis")

    assert (item.fault, item.mode) == (network.partition("bot", "redis"), "upstream")


def test_a_kill_inside_an_operation_is_known_by_its_entry() -> None:
    """Operations are known only once the scenario has run, so such entries are not listed, and yet understood."""
    menu = menu_of(declare(), "short")
    (entry,) = menu.inside("bot", ["publish"])

    assert menu.item(entry).fault == process.kill_inside("bot", "publish")
    assert entry not in menu.items


@pytest.mark.parametrize("entry", ["redis.outage/hung on redis", "process.kill_inside/sigkill on nobody in publish"])
def test_an_unknown_entry_is_an_error_that_names_it(entry: str) -> None:
    """A stored experiment that the scenario does not fit any more is a usage error."""
    with pytest.raises(UsageError, match="fault on the menu"):
        menu_of(declare(), "short").item(entry)


def test_what_a_scenario_adds_takes_the_place_of_the_same_on_the_same() -> None:
    """A fault of the same name on the same link is the scenario's own; other links keep theirs."""
    own = network.delay_reply("bot", "redis", commands=["GET"], delay_ms=400)
    menu = menu_of(declare(add=(own,), without=("redis.outage/*",)), "short")
    delays = [item for entry, item in menu.items.items() if entry.startswith("network.delay_reply")]

    assert [item.fault for item in delays if item.fault.on == "bot->redis"] == [own]
    assert not any(entry.startswith("redis.outage") for entry in menu.items)
