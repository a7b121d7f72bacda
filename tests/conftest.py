"""What holds for every test: groups on one worker, how long Hypothesis searches, signals as from a terminal.

A group (`pytest.mark.xdist_group`) shares what is dear: a world of processes, a client's program, a browser. xdist 3.8
makes a group by a suffix on `_nodeid`, which pytest 9.2 does not read any more: each test of a group would go to
whichever worker is free, and every worker would start everything. Here the suffix goes to where pytest reads it.

Hypothesis draws the same examples in every run of a commit, as a build must not turn red by luck, and the time an
example takes is no verdict (`deadline`, `too_slow`), as a busy machine would decide it. New examples are for
`make soak`: its profile `long` draws anew, and LONG_FACTOR times as many, also where a test sets a number of its own.
"""

import signal
from collections.abc import Iterable
from typing import Any

import pytest
from _pytest.nodeid import NodeId
from hypothesis import HealthCheck, settings

LONG_FACTOR = 20

settings.register_profile("default", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("ci", settings.get_profile("default"))  # Hypothesis takes it where the environment says CI
settings.register_profile(
    "long", settings.get_profile("default"), derandomize=False, max_examples=LONG_FACTOR * settings().max_examples
)


def pytest_configure() -> None:
    """Let the programs that tests start be ended by signals, also under nohup or in the background of a script.

    Both start us deaf to such a signal, and what we start would inherit that. A handler of our own leaves us deaf, as
    whoever started us wants it, and is not inherited.
    """
    for number in (signal.SIGINT, signal.SIGHUP):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, lambda *_: None)


@pytest.hookimpl(trylast=True)  # after xdist's own, in case a newer one works
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Keep groups together where xdist distributes by group; make long searches long."""
    if getattr(config.option, "loadgroup", False):
        for item in items:
            join_group(item)
    if settings.get_current_profile_name() == "long":
        lengthen(items)


def join_group(item: pytest.Item) -> None:
    """Put the group's name where xdist's scheduler looks for it: behind the last @ of the test's id."""
    groups = {str(mark.args[0] if mark.args else mark.kwargs["name"]) for mark in item.iter_markers("xdist_group")}
    has_one = item.nodeid.rfind("@") > item.nodeid.rfind("]")
    if groups and not has_one:
        item._id = NodeId.parse(f"{item.nodeid}@{'_'.join(sorted(groups))}")


def lengthen(items: Iterable[pytest.Item]) -> None:
    """Multiply the numbers of examples that tests set for themselves; a profile reaches only those that do not.

    Of a function Hypothesis keeps the settings in an attribute without a public name, of a state machine's test case
    in `settings`.
    """
    seen: set[int] = set()
    for item in items:
        machine, function = getattr(item, "cls", None), getattr(item, "obj", None)
        held: tuple[Any, str] = (getattr(function, "__func__", function), "_hypothesis_internal_use_settings")
        if isinstance(getattr(machine, "settings", None), settings):
            held = (machine, "settings")
        own = getattr(*held, None)
        if own is None or id(held[0]) in seen or own.max_examples == settings().max_examples:
            continue
        seen.add(id(held[0]))  # parameters share a function
        setattr(*held, settings(own, max_examples=LONG_FACTOR * own.max_examples))
