"""Scenarios by name: all modules of the named packages, each name once, whatever is wrong in one line."""

import sys
from types import ModuleType

import pytest

from harness.errors import NothingSelectedError, UsageError
from harness.registry import discover, select


@pytest.fixture
def package(tmp_path, monkeypatch, make_scenario):
    """Write a package of scenarios, and put given ones into modules of it; return its name."""
    monkeypatch.syspath_prepend(tmp_path)
    made: list[str] = []

    def make(**modules: object) -> str:
        name = f"pkg_{len(made)}_{tmp_path.name.replace('-', '_')}"
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("")
        for module, content in modules.items():
            path = tmp_path / name / f"{module}.py"
            path.write_text(content if isinstance(content, str) else "")
            if not isinstance(content, str):
                ready = ModuleType(f"{name}.{module}")
                ready.SCENARIO = content  # type: ignore[attr-defined]  # what a scenario's module is
                monkeypatch.setitem(sys.modules, ready.__name__, ready)
        made.append(name)
        return name

    return make


def test_every_module_with_a_scenario_is_found_in_order_of_patch_then_name(package, make_scenario):
    """Helper modules without a SCENARIO are none; the order is that of the plan, not of file names."""
    name = package(
        helpers="ANSWER = 42",
        a=make_scenario(name="signal-flood", patch=4),
        b=make_scenario(name="rate-storm", patch=2),
        c=make_scenario(name="ban", patch=2),
    )

    assert list(discover([name])) == ["ban", "rate-storm", "signal-flood"]


def test_several_packages_and_single_modules(package, make_scenario):
    """A team names its own beside the shipped ones; a plain module counts, and naming one twice is no conflict."""
    one, two = package(a=make_scenario(name="one")), package(a=make_scenario(name="two"))

    assert list(discover([one, f"{two}.a", one])) == ["one", "two"]


def test_a_name_that_is_taken_is_refused(package, make_scenario):
    """Two scenarios of one name: the second would shadow the first."""
    name = package(a=make_scenario(), b=make_scenario())

    with pytest.raises(UsageError, match=rf"two scenarios are called 'redis-outage'; one is in {name}\.b"):
        discover([name])


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("import nosuch_module", "no module named 'nosuch_module'"),
        ("raise ValueError('first\\nsecond')", "raised ValueError: first second"),
        ("SCENARIO = 'redis'", "SCENARIO is a str, not a Scenario"),
    ],
)
def test_a_module_that_is_no_scenario_is_named(package, source, text):
    """One broken module is a clear answer, in one line, not a traceback."""
    name = package(broken=source)

    with pytest.raises(UsageError) as caught:
        discover([name])

    assert text in str(caught.value)
    assert f"{name}.broken" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_package_that_does_not_exist_is_named():
    """The name from the configuration is in the answer."""
    with pytest.raises(UsageError, match="scenarios 'nosuch_package': no module named 'nosuch_package'"):
        discover(["nosuch_package"])


@pytest.fixture
def three(make_scenario):
    """Three scenarios by name."""
    return {name: make_scenario(name=name) for name in ("redis-outage", "redis-outage-overflow", "signal-flood")}


@pytest.mark.parametrize(
    ("names", "keyword", "chosen"),
    [
        ((), None, ["redis-outage", "redis-outage-overflow", "signal-flood"]),
        (("signal-flood", "redis-outage", "signal-flood"), None, ["signal-flood", "redis-outage"]),
        ((), "outage", ["redis-outage", "redis-outage-overflow"]),
        ((), "*outage", ["redis-outage"]),
        ((), "?ignal*", ["signal-flood"]),
        (("signal-flood", "redis-outage"), "redis", ["redis-outage"]),
    ],
)
def test_names_and_keyword_choose(three, names, keyword, chosen):
    """Names in their order and once each; a keyword is a substring, with a glob sign it is a glob; both must match."""
    assert [one.name for one in select(three, names, keyword)] == chosen


def test_an_unknown_name_is_the_persons_error(three):
    """The nearest scenario is named, even beside a good one."""
    with pytest.raises(UsageError, match="unknown scenario 'redis-outge'; did you mean 'redis-outage'"):
        select(three, ("signal-flood", "redis-outge"), None)


@pytest.mark.parametrize("keyword", ["nothing", "REDIS"])
def test_a_keyword_that_matches_nothing_is_told_apart(three, keyword):
    """Nothing selected is an error of its own: an empty run must not look like a good one. Case counts."""
    with pytest.raises(NothingSelectedError, match=f"no scenario matches -k '{keyword}'"):
        select(three, (), keyword)


def test_no_scenario_at_all_is_nothing_selected():
    """An empty package is said to be empty, not to lack what nobody asked for."""
    with pytest.raises(NothingSelectedError, match="the configured packages hold no scenario"):
        select({}, (), None)
