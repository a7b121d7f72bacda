"""Environments for the real clients, under `.cache/clients`: three of them install a module named `binance`.

Pinned by requirements/<client>.txt, built by uv, and built once: workers that come together wait for each other. As a
script, `environment.py NAME` builds one and prints its interpreter.
"""

import fcntl
import hashlib
import subprocess
import sys
from pathlib import Path
from typing import Final

HERE: Final = Path(__file__).parent
ROOT: Final = HERE.parents[1]
CACHE: Final = ROOT / ".cache/clients"
BUILD_S_MAX: Final = 100.0


class EnvironmentNotBuiltError(Exception):
    """A client's environment could not be built; tests fail then, as skipping would hide it."""


def build(client: str, *, with_harness: bool = False) -> Path:
    """Return the interpreter of a client's environment, built if it has to be.

    `with_harness` adds this project, editable, for a client that is to be a scenario's target. Raises
    `EnvironmentNotBuiltError`, with uv's own words.
    """
    name = f"{client}_with_harness" if with_harness else client
    requirements = HERE / f"requirements/{client}.txt"
    wanted = _digest(requirements, *([ROOT / "uv.lock"] if with_harness else []))
    folder, stamp = CACHE / name, CACHE / f"{name}.built"
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # the kernel lets go of it, also if this process is killed
        if not (stamp.is_file() and stamp.read_text() == wanted):
            stamp.unlink(missing_ok=True)
            _uv("venv", "--quiet", "--clear", "--no-project", "--python", sys.executable, str(folder))
            _install(folder, "--requirements", str(requirements), *(["--editable", str(ROOT)] if with_harness else []))
            stamp.write_text(wanted)
    return folder / "bin/python"


def _digest(*files: Path) -> str:
    return hashlib.sha256(b"".join(file.read_bytes() for file in files) + sys.version.encode()).hexdigest()


def _install(folder: Path, *what: str) -> None:
    arguments = ("pip", "install", "--quiet", "--python", str(folder), *what)
    try:
        _uv(*arguments, "--system-certs")  # companies add their own certificates to the machine's
    except EnvironmentNotBuiltError:
        _uv(*arguments)


def _uv(*arguments: str) -> None:
    program = Path(sys.executable).parent / "uv"
    done = subprocess.run(
        [program, *arguments], capture_output=True, text=True, timeout=BUILD_S_MAX, check=False, cwd=ROOT
    )
    if done.returncode:
        raise EnvironmentNotBuiltError(
            f"`uv {' '.join(arguments)}` failed; the clients come from PyPI, or from what uv has cached of it:\n"
            f"{done.stderr.strip()}"
        )


if __name__ == "__main__":
    print(build(sys.argv[1]))  # noqa: T201 - a script
