"""Targets by name: each way of getting one wrong has its own answer, in one line."""

import json
import sys
from pathlib import Path

import pytest

from harness.errors import UsageError
from harness.ports import Port
from harness.targets import check_ports, check_world, choose, for_ports, resolve, share, split_command, with_commands


@pytest.fixture
def module(tmp_path, monkeypatch):
    """Write a module of a team's own where the command is run from; return the way to write it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.path", [path for path in sys.path if path])
    number = iter(range(100))

    def write(source: str) -> str:
        name = f"own_target_{Path(tmp_path).name.replace('-', '_')}_{next(number)}"
        (tmp_path / f"{name}.py").write_text(source)
        return name

    return write


def test_a_target_is_found_by_name():
    """`module:attribute` gives the object itself, from nested packages as well."""
    assert resolve("json:dumps") is json.dumps
    assert resolve("json.decoder:JSONDecoder") is json.JSONDecoder
    assert resolve("json:JSONDecoder.decode") is json.JSONDecoder.decode


def test_a_teams_own_module_is_found_where_the_command_is_run(module):
    """An installed program does not look into the current folder by itself; this one does."""
    assert resolve(f"{module('def make(): return 7')}:make")() == 7


def test_a_project_is_found_from_below_it(tmp_path, monkeypatch):
    """Its modules are where its pyproject.toml is, wherever below that the command is run."""
    (tmp_path / "pyproject.toml").write_text("")
    (tmp_path / "own_above.py").write_text("def make(): return 7")
    (tmp_path / "below" / "scenarios").mkdir(parents=True)
    (tmp_path / "below" / "scenarios" / "__init__.py").write_text("")
    monkeypatch.chdir(tmp_path / "below")
    monkeypatch.setattr("sys.path", [path for path in sys.path if path])

    assert resolve("own_above:make")() == 7
    assert str(tmp_path / "below") not in sys.path  # its `scenarios` would hide ours, in every process that we start


def test_a_project_that_hides_a_package_of_ours_is_named(tmp_path, monkeypatch):
    """Rather than scenarios that are not there."""
    (tmp_path / "reports").mkdir()
    (tmp_path / "reports" / "__init__.py").write_text("")
    monkeypatch.chdir(tmp_path)

    with pytest.raises(UsageError, match="has a package 'reports', which hides the harness's of that name: rename it"):
        resolve("json:dumps")


@pytest.mark.parametrize("path", ["", "json", "json:", ":dumps", ":"])
def test_a_malformed_target_is_shown_its_form(path):
    """What has no module or no attribute is told what a target looks like."""
    with pytest.raises(UsageError, match=r"is not of the form package\.module:factory"):
        resolve(path)


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("nosuch.thing:make", "target 'nosuch.thing:make': no module named 'nosuch'"),
        ("json.nosuch:make", "target 'json.nosuch:make': no module named 'json.nosuch'"),
        ("json:dunps", "unknown attribute of json 'dunps'; did you mean 'dumps'?"),
        ("json:JSONDecoder.decod", "unknown attribute of json.JSONDecoder 'decod'; did you mean 'decode'?"),
        ("json:__version__", "target 'json:__version__' is not callable"),
        (".relative:make", "target '.relative:make': importing .relative raised TypeError"),
    ],
)
def test_what_cannot_be_found_is_named(path, text):
    """Missing module, missing attribute (with the nearest), and what cannot be called, differ."""
    with pytest.raises(UsageError) as caught:
        resolve(path)

    assert str(caught.value).startswith(text)


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("raise RuntimeError('first\\nsecond')", "raised RuntimeError: first second"),
        ("import nosuch_dependency", "no module named 'nosuch_dependency'"),
        ("def broken(:", "raised SyntaxError: "),
        ("raise SystemExit(0)", "raised SystemExit: 0"),
    ],
)
def test_a_module_that_breaks_at_import_is_the_persons_error(module, source, text):
    """An import that raises is one line, and one that exits does not end the command as if all were well."""
    with pytest.raises(UsageError) as caught:
        resolve(f"{module(source)}:make")

    assert text in str(caught.value)
    assert "\n" not in str(caught.value)


def test_without_wishes_the_reference_stands_behind_each_port(make_scenario):
    """The default target is the scenario's own."""
    assert choose(make_scenario(), []) == {"event_bus": "json:dumps"}


def test_wishes_replace_the_reference_the_last_one_wins(make_scenario):
    """A factory or a flawed variant takes the port; a flag comes after the project's own."""
    scenario = make_scenario()

    assert choose(scenario, ["event_bus=own:make"]) == {"event_bus": "own:make"}
    assert choose(scenario, ["event_bus:planned"]) == {"event_bus": "json:loads"}
    assert choose(scenario, ["event_bus=own:make", "event_bus=other:make"]) == {"event_bus": "other:make"}


@pytest.mark.parametrize(
    ("wish", "text"),
    [
        ("event_buss=own:make", "unknown port of redis-outage 'event_buss'; did you mean 'event_bus'?"),
        (
            "event_bus:plannd",
            "unknown flawed variant of redis-outage 'event_bus:plannd'; did you mean 'event_bus:planned'?",
        ),
        ("event_bus", "target 'event_bus' is not of the form PORT=package.module:factory"),
        ("", "target '' is not of the form PORT=package.module:factory"),
    ],
)
def test_a_wish_that_fits_nothing_is_named(make_scenario, wish, text):
    """Port, variant and form: each has its own hint."""
    with pytest.raises(UsageError) as caught:
        choose(make_scenario(), [wish])

    assert str(caught.value) == text


def test_without_names_a_target_runs_in_the_scenarios_that_have_its_port(make_scenario):
    """Each wish goes where its port is; scenarios that no wish concerns are left out; a slip stays to be named."""
    bus = make_scenario(name="bus")
    both = make_scenario(name="both", ports={"event_bus": "json:dumps", "limiter": "json:dumps"})
    other = make_scenario(name="other", ports={"ledger": "json:dumps"}, flawed=())

    assert share([bus, both, other], ["event_bus=a:b"]) == {"bus": ["event_bus=a:b"], "both": ["event_bus=a:b"]}
    assert share([bus, both, other], ["event_bus:planned"]) == {
        "bus": ["event_bus:planned"],
        "both": ["event_bus:planned"],
    }
    assert share([bus, other], ["event_bus=a:b", "ledger=c:d"]) == {"bus": ["event_bus=a:b"], "other": ["ledger=c:d"]}
    assert share([bus, other], ["event_buss=a:b"]) == {"bus": ["event_buss=a:b"], "other": ["event_buss=a:b"]}
    assert share([bus, other], []) == {"bus": [], "other": []}


def test_a_projects_targets_go_to_the_scenarios_that_have_the_port(make_scenario):
    """Targets of other ports are left out of a scenario, but one that no scenario has is a slip."""
    scenario = make_scenario()
    targets = {"event_bus": "own:make", "limiter": "own:limit"}

    assert for_ports(scenario, targets) == ["event_bus=own:make"]
    check_ports([scenario, make_scenario(ports={"limiter": "json:dumps"}, flawed=())], targets)
    with pytest.raises(UsageError, match=r"unknown port in \[tool\.harness\.targets\] 'limiter'"):
        check_ports([scenario], targets)


PORTS = {
    "event_bus": Port(name="event_bus", shape=object, keywords=(), trial="none:none", command="own.shim:make"),
    "policy": Port(name="policy", shape=object, keywords=(), trial="none:none"),
}


@pytest.mark.parametrize(
    ("path", "split"),
    [
        ("own:make", ("own:make", None)),
        ("cmd:node bus.js --name 'a b'", ("", ["node", "bus.js", "--name", "a b"])),
        ("own.shim:make cmd:node cmd:x", ("own.shim:make", ["node", "cmd:x"])),
        ("own_cmd:make", ("own_cmd:make", None)),
    ],
)
def test_a_command_is_told_from_a_factory(path, split):
    """Words as a shell has them, and what drives the command in front of it if that is known already."""
    assert split_command(path) == split


@pytest.mark.parametrize(
    ("path", "text"),
    [("cmd:", "no command line after cmd:"), ("cmd:node 'x", "no closing quotation in the command")],
)
def test_a_command_line_that_is_none_is_named(path, text):
    """Before anything is started."""
    with pytest.raises(UsageError, match=text):
        split_command(path)


def test_a_bare_command_gets_what_drives_it():
    """So that its name is whole; a port that has nothing for it says which ports have."""
    whole = {"event_bus": "own.shim:make cmd:node bus.js"}

    assert with_commands({"event_bus": "cmd:node bus.js"}, PORTS) == whole
    assert with_commands(whole, PORTS) == whole
    with pytest.raises(UsageError, match="the port policy cannot be driven over the network; these can: event_bus"):
        with_commands({"policy": "cmd:node x.js"}, PORTS)


def test_a_command_runs_in_the_real_world_only():
    """The sim world has no processes: that is said before a run, not by fifty errors in it."""
    whole = {"event_bus": "own.shim:make cmd:node bus.js"}

    check_world(whole, "real")
    check_world({"event_bus": "own:make"}, "sim")
    with pytest.raises(UsageError, match=r"target 'cmd:node bus\.js' is a command, and those run in the real"):
        check_world(whole, "sim")


def test_a_command_is_given_to_its_factory_as_words():
    """What is resolved takes the port's keywords, and has the command already."""
    assert resolve("builtins:dict cmd:node bus.js")(name="x") == {"command": ["node", "bus.js"], "name": "x"}
