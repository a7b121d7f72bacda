"""`harness init`: what it writes works at once, and what is there is never touched."""

import sys
import tomllib

import pytest

OURS = [
    ".github/workflows/chaos.yml",
    ".gitlab-ci.yml",
    "chaos/__init__.py",
    "chaos/scenarios/__init__.py",
    "chaos/scenarios/redis_restart.py",
    "chaos/targets.py",
    "chaos/test_chaos.py",
]


@pytest.fixture
def fresh(project):
    """A folder with a pyproject.toml of somebody's, which knows nothing of us."""
    (project / "pyproject.toml").write_text('[project]\nname = "mine"  # and a comment\nversion = "1"')
    yield project
    for name in [name for name in sys.modules if name.split(".")[0] == "chaos"]:  # another test's folder has its own
        del sys.modules[name]


def written(folder) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_what_is_written_works_at_once(harness, fresh):
    """The scenario runs and passes, the target fits, and what was in pyproject.toml is still there."""
    said = harness("init")

    assert said.code == 0
    assert written(fresh) == [*OURS, "pyproject.toml"]
    assert [line.split()[1] for line in said.out.splitlines() if line.startswith("wrote")] == sorted(
        OURS, key=said.out.index
    )
    project = (fresh / "pyproject.toml").read_text()
    assert project.startswith('[project]\nname = "mine"  # and a comment\nversion = "1"\n\n[tool.harness]\n')
    assert tomllib.loads(project)["tool"]["harness"]["targets"] == {"event_bus": "chaos.targets:make_event_bus"}
    assert harness("conform").code == 0
    ran = harness("run", "redis-restart", "--profile", "short", "--jobs", "1", "--report", "json")
    assert (ran.code, "PASS" in ran.out) == (0, True), ran


def test_a_dry_run_writes_nothing(harness, fresh):
    """It says what it would do, and shows the section."""
    said = harness("init", "--dry-run")

    assert said.code == 0
    assert written(fresh) == ["pyproject.toml"]
    assert all(f"would write  {path}\n" in said.out for path in OURS)
    assert "would append [tool.harness] in pyproject.toml" in said.out
    assert 'event_bus = "chaos.targets:make_event_bus"' in said.out


@pytest.mark.parametrize(
    ("name", "content", "text"),
    [
        ("chaos/targets.py", "mine", "nothing written: chaos/targets.py is there already"),
        (".gitlab-ci.yml", "mine", "nothing written: .gitlab-ci.yml is there already; --ci github leaves it out"),
        ("pyproject.toml", "[tool.harness]", "nothing written: pyproject.toml has a [tool.harness] already"),
        ("pyproject.toml", "tool = {a = 1}", "nothing written: pyproject.toml takes no section at its end: "),
        ("pyproject.toml", "a = ", "nothing written: pyproject.toml: "),
    ],
)
def test_what_is_there_is_never_written_over(harness, fresh, name, content, text):
    """All or nothing: one file in the way, and none is written."""
    (fresh / name).parent.mkdir(exist_ok=True)
    (fresh / name).write_text(content)
    before = written(fresh)
    said = harness("init")

    assert said.code == 4
    assert said.err.startswith(f"harness: {text}")
    assert written(fresh) == before
    assert (fresh / name).read_text() == content


def test_one_ci_is_left_out_on_request(harness, fresh):
    """For who has the other, or a file of that name; lines end as those of the file do."""
    (fresh / "pyproject.toml").write_bytes(b'[project]\r\nname = "mine"\r\n')
    said = harness("init", "--ci", "github")

    assert said.code == 0
    assert written(fresh) == [path for path in [*OURS, "pyproject.toml"] if path != ".gitlab-ci.yml"]
    text = (fresh / "pyproject.toml").read_bytes()
    assert text.count(b"\n") == text.count(b"\r\n")


def test_without_a_project_there_is_one_afterwards(harness, fresh):
    """A folder without pyproject.toml gets one with our section only."""
    (fresh / "pyproject.toml").unlink()
    said = harness("init", "--ci", "none")

    assert "wrote        [tool.harness] in pyproject.toml" in said.out
    assert (fresh / "pyproject.toml").read_text().startswith("[tool.harness]\n")
