"""Whatever a person gets wrong: one line on stderr, the right exit code, no traceback, nothing written.

Every case goes through the real entry point in this process; a few of them also through the installed program.
"""

import subprocess
import sys
from pathlib import Path

import pytest

HARNESS = Path(sys.executable).with_name("harness")

ELSEWHERE = ("--locust-expect-workers", "1", "--locust-bind")
USAGE = [
    (["rnu"], "unknown command 'rnu'; did you mean 'run'?"),
    (["zzzzz"], "unknown command 'zzzzz'; known: list, run, gate, explore, "),
    (["run", "redis-outage", "--executor", "tcp://h:1"], "--executor 'tcp://h:1': not of the form dask://host:port"),
    (["run", "redis-outage", "--run-timeout", "nan"], "--run-timeout nan: not a number of seconds"),
    (["compare", "nosuch"], "missing argument 'RUN'"),
    (["--verzion"], "no such option '--verzion'"),
    (["run", "redis-outge"], "unknown scenario 'redis-outge'; did you mean 'redis-outage'?"),
    (["run", "a\x1b[31m\nb"], "unknown scenario 'a\\x1b[31m\\nb'; known: ai-metrics, binance-ban, binance-storm, "),
    (["run", "--world", "simm"], "unknown world 'simm'; did you mean 'sim'?"),
    (["run", "--world", ""], "unknown world ''; known: real, sim"),
    (["run", "redis-outage", "--profile", "shrt"], "unknown profile of redis-outage 'shrt'; did you mean 'short'?"),
    (
        ["run", "redis-outage", "--target", "event_buss=a:b"],
        "unknown port of redis-outage 'event_buss'; did you mean 'event_bus'?",
    ),
    (["run", "--target", "event_bus=nosuch.mod:f"], "target 'nosuch.mod:f': no module named 'nosuch'"),
    (["run", "--target", "event_bus=json:dunps"], "unknown attribute of json 'dunps'; did you mean 'dumps'?"),
    (["run", "--target", "event_bus=raises:make"], "importing raises raised RuntimeError: one two"),
    (["run", "--target", "event_bus=leaves:make"], "importing leaves raised SystemExit: 0"),
    (["run", "--target", "event_bus=json:__version__"], "target 'json:__version__' is not callable"),
    (["run", "--target", "event_bus"], "target 'event_bus' is not of the form PORT=package.module:factory"),
    (["run", "--target", "event_bus=json"], "target 'json' is not of the form package.module:factory"),
    (["run", "--target", "event_bus:plannd"], "did you mean 'event_bus:planned'?"),
    (
        ["run", "--target", "event_bus=json:loads"],
        "'json:loads' does not fit the port event_bus: missing",
    ),
    (["run", "--target", "event_bus=cmd:sh x"], "target 'cmd:sh x' is a command, and those run in the real world only"),
    (["run", "--target", "event_bus=cmd:"], "target 'cmd:': no command line after cmd:"),
    (
        ["run", "policy-aging", "--world", "real", "--target", "policy=cmd:sh"],
        "the port policy cannot be driven over the network; these can: binance, event_bus, health",
    ),
    (["conform"], "nothing to look at: name PORT=package.module:factory, or fill [tool.harness.targets]"),
    (["conform", "event_bus"], "target 'event_bus' is not of the form PORT=package.module:factory"),
    (["conform", "evnt_bus=json:loads"], "unknown port 'evnt_bus'; did you mean 'event_bus'?"),
    (["conform", "event_bus=json:laods"], "unknown attribute of json 'laods'; did you mean 'loads'?"),
    (["conform", "event_bus=cmd:sh"], "target 'cmd:sh' is a command, and those run in the real world only"),
    (["run", "--target"], "option '--target' requires an argument"),
    (["run", "--sed", "3"], "no such option '--sed'"),
    (["run", "--seed", "x"], "invalid value for '--seed': 'x' is not a valid whole number"),
    (["run", "--seed", "-1"], "invalid value for '--seed': -1 is not in the range"),
    (["run", "--seed", "9" * 30], "seeds stay below 9223372036854775808"),
    (["run", "--seeds", "0"], "invalid value for '--seeds': 0 is not in the range"),
    (["run", "--jobs", "0"], "invalid value for '--jobs': 0 is not in the range"),
    (["run", "--jobs", "two"], "'two' is not a valid whole number"),
    (["run", "--time-budget", "0"], "invalid value for '--time-budget': 0.0 is not in the range"),
    (["run", "--time-budget", "nan"], "--time-budget nan: not a number of seconds"),
    (["run", "--report", "htlm"], "unknown report format 'htlm'; did you mean 'html'?"),
    (["run", "--redis", "nonsense"], "--redis 'nonsense': no such program"),
    (["gate", "--redis", "nonsense"], "--redis 'nonsense': no such program"),
    (["run", "--world", "real", "--redis", "rediss://:hunter2@h"], "--redis 'rediss://h': write redis://"),
    (["run", "--world", "real", "--redis", "redis://h:x/0"], "--redis 'redis://h:x/0': write redis://"),
    (["run", "--world", "real", "--redis", "redis://:hunter2@127.0.0.1:1/x"], "--redis 'redis://127.0.0.1:1/x': write"),
    (["run", "--world", "real", "--redis", "redis://:hunter2@127.0.0.1:1"], "--redis redis://127.0.0.1:1: no Redis"),
    (["gate", "--redis", "redis://:hunter2@127.0.0.1:1"], "--redis redis://127.0.0.1:1: no Redis server that lets us"),
    (["run", "--redis-flush"], "--redis-flush: it goes with --redis redis://..."),
    (["run", "--world", "real", "--toxiproxy", "x"], "--toxiproxy 'x': write http://127.0.0.1:8474"),
    (["run", "--world", "real", "--toxiproxy", "http://10.1.1.1:8474"], "it must run on this machine"),
    (
        ["run", "--world", "real", "--toxiproxy", "http://127.0.0.1:1"],
        "no toxiproxy-server answers there (connection ref",
    ),
    (
        ["gate", "--toxiproxy", "http://127.0.0.1:1"],
        "--toxiproxy http://127.0.0.1:1: no toxiproxy-server answers there",
    ),
    (["run", "--locust-workers", "-1"], "invalid value for '--locust-workers': -1 is not in the range"),
    (["run", "--locust-workers", "two"], "'two' is not a valid whole number"),
    (["run", "--locust-expect-workers", "2"], "--locust-expect-workers M and --locust-bind ADDRESS:PORT go together"),
    (["run", "--locust-bind", "127.0.0.1:5557"], "--locust-expect-workers M and --locust-bind ADDRESS:PORT go"),
    (["run", "--locust-master", "here"], "--locust-master 'here': not of the form HOST:PORT"),
    (
        ["run", "--locust-master", "127.0.0.1:1", *ELSEWHERE, "127.0.0.1:2"],
        "--locust-bind is for a master of ours, and",
    ),
    (["run", "--world", "real", "--locust-master", "127.0.0.1:1"], "--locust-master 127.0.0.1:1: Connection refused"),
    (["run", *ELSEWHERE, "here"], "--locust-bind 'here': not of the form ADDRESS:PORT with an IPv4 address"),
    (["gate", *ELSEWHERE, "127.0.0.1:0"], "--locust-bind '127.0.0.1:0': not of the form ADDRESS:PORT"),
    (["run", *ELSEWHERE, "0.0.0.0:5557"], "'0.0.0.0:5557': give the one address at which workers reach this machine"),
    (
        ["run", "--world", "real", *ELSEWHERE, "192.0.2.1:5557"],
        "--locust-bind 192.0.2.1:5557: Cannot assign requested address",
    ),
    (["gate", "--world", "moon"], "unknown world 'moon'; known: real, sim"),
    (["gate", "--seeds", "0"], "invalid value for '--seeds': 0 is not in the range"),
    (["list", "--jsn"], "no such option '--jsn'"),
    (["doctor", "--claen"], "no such option '--claen'"),
    (["check"], "missing argument 'HISTORY...'"),
    (["check", "nosuch.jsonl"], "nosuch.jsonl: no such file"),
    (["check", "empty.jsonl"], "empty.jsonl: is empty"),
    (["check", "text.jsonl"], "text.jsonl:1: is not a history"),
    (["check", "bytes.jsonl"], "bytes.jsonl:1: is not a history"),
    (["check", "folder"], "folder: cannot be read: Is a directory"),
    (["replay"], "missing argument 'RUN[#FINDING]'"),
    (["replay", "nosuch.jsonl"], "nosuch.jsonl: no such file"),
    (["replay", "empty.jsonl"], "empty.jsonl: is empty"),
    (["replay", "text.jsonl"], "text.jsonl:1: is not a history"),
    (["replay", "bytes.jsonl"], "bytes.jsonl:1: is not a history"),
    (["replay", "folder"], "folder is a folder without histories/*.jsonl, so not a run folder"),
    (["replay", "two"], "two holds 2 histories; name one of them: a.jsonl, b.jsonl"),
]

NOTHING = [
    (["run", "-k", "zzz"], "no scenario matches -k 'zzz'"),
    (["list", "-k", "zzz"], "no scenario matches -k 'zzz'"),
    (["gate", "-k", "zzz"], "no scenario matches -k 'zzz'"),
    (["run", "redis-outage", "-k", "flood"], "no scenario matches -k 'flood'"),
]


@pytest.fixture(autouse=True)
def files(project):
    """What the cases name: broken modules, files that are no histories, folders."""
    (project / "raises.py").write_text("raise RuntimeError('one\\ntwo')")
    (project / "leaves.py").write_text("raise SystemExit(0)")
    (project / "empty.jsonl").touch()
    (project / "text.jsonl").write_text("hello\n")
    (project / "bytes.jsonl").write_bytes(b"\xff\x00\xfe\n" * 100)
    (project / "folder").mkdir()
    (project / "two" / "histories").mkdir(parents=True)
    (project / "two" / "histories" / "a.jsonl").touch()
    (project / "two" / "histories" / "b.jsonl").touch()
    (project / "a_file").touch()


def tree(folder: Path) -> set[Path]:
    return {path for path in folder.rglob("*") if "__pycache__" not in path.parts}


def complaint(said) -> str:
    """Return the one line there is on stderr, without its prefix."""
    (line,) = said.err.splitlines()
    prefix, colon, text = line.partition(": ")
    assert (prefix, colon) == ("harness", ": ")
    assert said.out == ""
    return text


@pytest.mark.parametrize(("words", "text"), USAGE, ids=lambda one: " ".join(one)[:40] if isinstance(one, list) else "")
def test_a_usage_error_is_one_line_and_exit_code_4(harness, project, words, text):
    """What was wrong is named, with the nearest right name where there is one; nothing is written."""
    before = tree(project)
    said = harness(*words)

    assert said.code == 4
    assert text in complaint(said)
    assert tree(project) == before


@pytest.mark.parametrize(("words", "text"), NOTHING)
def test_nothing_selected_is_exit_code_5(harness, project, words, text):
    """An empty selection is told apart from a good run and from a typing error."""
    before = tree(project)
    said = harness(*words)

    assert said.code == 5
    assert text in complaint(said)
    assert tree(project) == before


@pytest.mark.parametrize("command", ["run", "gate"])
@pytest.mark.parametrize("out", ["a_file", "a_file/below"])
def test_an_out_folder_that_cannot_be_written_is_exit_code_4(harness, project, command, out):
    """A file in the way stops even root; it is found before anything is run."""
    before = tree(project)
    said = harness(command, "--out", out)

    assert said.code == 4
    assert complaint(said) == f"cannot write to the out folder {out}: Not a directory"
    assert tree(project) == before


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("HARNESS_SEED", "x", "invalid value for '--seed': 'x' is not a valid whole number (from HARNESS_SEED)"),
        ("HARNESS_JOBS", "0", "0 is not in the range 1<=x<=256 (from HARNESS_JOBS)"),
        ("HARNESS_WORLD", "moon", "unknown world 'moon'"),
        ("HARNESS_REPORT", "pdf", "unknown report format 'pdf'"),
        ("HARNESS_REDIS", "nonsense", "--redis 'nonsense': no such program"),
        ("HARNESS_OUT", "a_file", "cannot write to the out folder a_file"),
    ],
)
def test_a_bad_environment_variable_is_the_persons_error_too(harness, monkeypatch, name, value, text):
    """What a flag refuses, its variable refuses."""
    monkeypatch.setenv(name, value)
    said = harness("run")

    assert said.code == 4
    assert text in complaint(said)


CONFIGS = [
    ("scenarios = [", "not valid TOML"),
    ("secnarios = []", "did you mean 'scenarios'?"),
    ("scenarios = 'scenarios'", "tool.harness.scenarios is not a list of strings"),
    ("scenarios = [1]", "tool.harness.scenarios is not a list of strings"),
    ("scenarios = ['nosuch_package']", "scenarios 'nosuch_package': no module named 'nosuch_package'"),
    ("scenarios = ['raises']", "scenarios 'raises': importing raises raised RuntimeError: one two"),
    ("targets = 7", "[tool.harness.targets] maps a port to 'package.module:factory'"),
    ("targets.event_bus = 7", "[tool.harness.targets] maps a port to 'package.module:factory'"),
    (
        "targets.event_buss = 'json:dumps'",
        "unknown port in [tool.harness.targets] 'event_buss'; did you mean 'event_bus'?",
    ),
    ("targets.event_bus = 'json:dunps'", "unknown attribute of json 'dunps'; did you mean 'dumps'?"),
    ("out = 7", "tool.harness.out is not the name of a folder"),
    ("gate = 7", "[tool.harness.gate] is not a table"),
    ("gate.sim_seed = 7", "did you mean 'sim_seeds'?"),
    ("gate.sim_seeds = 0", "tool.harness.gate.sim_seeds is not a positive whole number"),
    ("gate.sim_seeds = true", "tool.harness.gate.sim_seeds is not a positive whole number"),
    ("gate.worlds = ['moon']", "unknown world 'moon'"),
    ("gate.worlds = []", "tool.harness.gate.worlds is empty"),
    ("gate.seeds = 3", "tool.harness.gate.seeds is not a table"),
    ("gate.seeds.redis-outge = 3", "unknown scenario in "),
    ("gate.seeds.redis-outge = 3 ", "did you mean 'redis-outage'?"),
    ("gate.seeds.redis-outage = 0", "tool.harness.gate.seeds.redis-outage is not a positive whole number"),
    ("gate.require = ['P3']", "unknown priority 'P3'"),
    ("gate.budget_s = 0", "tool.harness.gate.budget_s is not a positive number of seconds"),
    ("gate.budget_s = nan", "tool.harness.gate.budget_s is not a number"),
    ("gate.run_timeout_s = '1'", "tool.harness.gate.run_timeout_s is not a number"),
    ("gate.limits = []", "tool.harness.gate.limits is not a table"),
    ("gate.limits.redis-outage.recovery = 3", "did you mean something like 'recovery_s'?"),
    ("gate.limits.redis-outage.size = 3", "'size' is no measure; measures are called like recovery_s, "),
    ("gate.limits.redis-outage.recovery_s = true", "limits.redis-outage.recovery_s is not a number"),
    ("gate.scenarios = ['redis-outge']", "did you mean 'redis-outage'?"),
]


@pytest.mark.parametrize(("config", "text"), CONFIGS, ids=lambda one: one[:30])
def test_a_bad_configuration_is_exit_code_4(harness, project, config, text):
    """Unknown keys, wrong types, bad TOML, and names that lead nowhere: named before the gate begins."""
    (project / "pyproject.toml").write_text(f"[tool.harness]\n{config}\n")
    before = tree(project)
    said = harness("gate")

    assert said.code == 4
    assert text in complaint(said)
    assert tree(project) == before


def test_a_package_without_scenarios_is_nothing_selected(harness, project):
    """An empty list is no error of typing, but there is nothing to judge."""
    (project / "pyproject.toml").write_text("[tool.harness]\nscenarios = []\n")
    said = harness("run")

    assert said.code == 5
    assert complaint(said) == "the configured packages hold no scenario"


def test_a_history_of_a_scenario_that_is_not_known_here(harness, project, make_scenario, make_history):
    """A history from elsewhere cannot be judged; which scenario made it is said."""
    store(project / "foreign.jsonl", make_history(make_scenario(), header={"scenario": "ice-age"}))

    for command in ("check", "replay"):
        said = harness(command, "foreign.jsonl")
        assert said.code == 4
        assert "made by scenario 'ice-age'" in complaint(said)


def test_a_damaged_history_names_the_line(harness, project, make_scenario, make_history):
    """One flipped byte: file and line are named, for both commands."""
    path = project / "damaged.jsonl"
    store(path, make_history(make_scenario()))
    lines = path.read_bytes().splitlines(keepends=True)
    lines[2] = lines[2].replace(b"publisher", b"publishes")
    path.write_bytes(b"".join(lines))

    for command in ("check", "replay"):
        said = harness(command, "damaged.jsonl")
        assert said.code == 4
        assert complaint(said) == "damaged.jsonl:3: damaged: the checksum does not match"


def test_a_history_of_other_ports_is_not_replayed(harness, project, make_scenario, make_history):
    """A history made when the scenario had another port cannot be made again."""
    scenario = make_scenario()
    store(project / "old.jsonl", make_history(scenario))
    said = harness("replay", "old.jsonl")

    assert said.code == 4
    assert complaint(said) == "made with targets for no port, but redis-outage now has event_bus"


def store(path, history) -> None:
    from harness.history.store import Store  # noqa: PLC0415 - what only three tests need

    with Store(path) as file:
        for event in history.events:
            file.record(event)


@pytest.mark.real
@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["rnu"], 4),
        (["run", "--target", "event_bus=raises:make"], 4),
        (["run", "--jobs", "0"], 4),
        (["run", "--out", "a_file/below"], 4),
        (["gate", "-k", "zzz"], 5),
        (["check", "bytes.jsonl"], 4),
    ],
    ids=str,
)
def test_the_installed_program_says_the_same(project, words, code):
    """The program on PATH, in a process of its own: one line, the code, no traceback, nothing written."""
    before = tree(project)
    done = subprocess.run([HARNESS, *words], cwd=project, capture_output=True, text=True, check=False, timeout=60)

    assert (done.returncode, done.stdout) == (code, "")
    assert len(done.stderr.splitlines()) == 1
    assert done.stderr.startswith("harness: ")
    assert tree(project) == before


def test_a_bare_command_shows_help_and_is_no_pass(harness):
    """Nothing was run, so a script that lost its arguments must not see exit code 0."""
    said = harness()

    assert said.code == 4
    assert "Usage: harness [OPTIONS] COMMAND" in said.err
