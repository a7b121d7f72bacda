"""What `harness doctor` looks at: each probe is a function that gives one `Check`, and raises nothing.

`ok` works, `absent` is optional and not there, `broken` is needed and does not work. A probe that breaks counts as
broken itself: it could not tell.
"""

import os
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import metadata
from typing import Final, Literal, TypeAlias

from harness import __version__
from harness.errors import HarnessError

State: TypeAlias = Literal["ok", "absent", "broken"]

_PROJECT: Final = "trading-chaos-harness"
_CHROMIUM: Final = ("chromium", "chromium-browser", "google-chrome")
_SERVERS: Final = ("valkey-server", "redis-server")
_ANSWER_S_MAX: Final = 20.0

_TWIN: Final = """
from harness.world.sim.identity import ensure_stable_interpreter
ensure_stable_interpreter()
print(hash("harness"), id(type("Fresh", (), {})))
"""
"""What two processes of the sim world must agree on (the hash of a string) and should (an address)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One thing that was looked at. `advice` says what to do about it, if anything."""

    name: str
    state: State
    text: str
    advice: str = ""


def checkup() -> list[Check]:
    """Look at everything that the harness uses of this machine."""
    probes: tuple[tuple[str, Callable[[], Check]], ...] = (
        ("harness", _versions),
        ("packages", _packages),
        ("extras", _extras),
        ("redis (embedded)", _embedded_redis),
        ("redis (PATH)", _path_redis),
        ("sim disks", _shared_memory),
        ("hash seed", _stable_interpreter),
        ("child processes", _child_processes),
        ("run records", _records),
        ("chromium", _chromium),
    )
    return [_guarded(name, probe) for name, probe in probes]


def _guarded(name: str, probe: Callable[[], Check]) -> Check:
    try:
        return probe()
    except HarnessError as error:
        return Check(name=name, state="broken", text=str(error))
    except Exception as error:  # noqa: BLE001 - a doctor that falls ill says so and goes on
        return Check(name=name, state="broken", text=f"could not be looked at: {type(error).__name__}: {error}")


def _versions() -> Check:
    text = f"{__version__}, {platform.python_implementation()} {platform.python_version()} in {sys.prefix}"
    return Check(name="harness", state="ok", text=text)


def _packages() -> Check:
    """Compare nothing, only list: which versions fit together is the lock file's business."""
    found, missing = _installed(extras=False)
    if missing:
        text = f"missing: {', '.join(missing)}"
        return Check(name="packages", state="broken", text=text, advice="run `make setup`")
    return Check(name="packages", state="ok", text=", ".join(found))


def _extras() -> Check:
    """Packages that only some targets need."""
    found, missing = _installed(extras=True)
    text = ", ".join([*found, *([f"not installed: {', '.join(missing)}"] if missing else [])])
    return Check(name="extras", state="ok" if found or not missing else "absent", text=text or "none")


def _installed(*, extras: bool) -> tuple[list[str], list[str]]:
    """Return what the project asks for, by itself or in extras, with its version, and what of it is not there."""
    found: list[str] = []
    missing: list[str] = []
    for requirement in metadata.requires(_PROJECT) or ():
        what, _, marker = requirement.partition(";")
        if ("extra ==" in marker) is not extras:
            continue
        name = re.split(r"[^A-Za-z0-9_.-]", what, maxsplit=1)[0]
        try:
            found.append(f"{name} {metadata.version(name)}")
        except metadata.PackageNotFoundError:
            missing.append(name)
    return found, missing


def _embedded_redis() -> Check:
    """The real world's default server: it must be there and start."""
    from harness.dependencies.redis.server_process import find_server

    server = find_server()
    answer = _ask([str(server), "--version"])
    where = server.relative_to(sys.prefix) if server.is_relative_to(sys.prefix) else server
    if answer is None:
        advice = "run `make setup` again, or name another server by --redis"
        return Check(name="redis (embedded)", state="broken", text=f"{where} does not run", advice=advice)
    version = re.search(r"\bv=(\S+)", answer)
    return Check(name="redis (embedded)", state="ok", text=f"{version[1] if version else answer.strip()}, {where}")


def _path_redis() -> Check:
    found = [path for name in _SERVERS if (path := shutil.which(name))]
    if not found:
        return Check(name="redis (PATH)", state="absent", text="none; the embedded one is used")
    return Check(name="redis (PATH)", state="ok", text=", ".join(found), advice=f"to use it: --redis {found[0]}")


def _shared_memory() -> Check:
    from harness.world.sim.disks import place

    where = place()
    return Check(name="sim disks", state="ok", text=f"in {where}, {size(shutil.disk_usage(where).free)} free")


def _stable_interpreter() -> Check:
    """Start the interpreter twice as sim runs do: their traces compare only if both agree."""
    twins = [_ask([sys.executable, "-c", _TWIN]) for _ in range(2)]
    if None in twins:
        return Check(name="hash seed", state="broken", text="the interpreter could not be started anew")
    (one_hash, one_address), (other_hash, other_address) = [str(twin).split() for twin in twins]
    if one_hash != other_hash:
        advice = "set PYTHONHASHSEED=0"
        return Check(name="hash seed", state="broken", text="strings hash differently each time", advice=advice)
    if one_address != other_address:
        text = "fixed; addresses are not (the kernel does not permit it here), which sim runs do not rely on"
        return Check(name="hash seed", state="absent", text=text)
    return Check(name="hash seed", state="ok", text="fixed, and so are addresses")


def _child_processes() -> Check:
    """The real world watches its children by pidfd, which needs Linux and may be forbidden in a sandbox."""
    if not hasattr(os, "pidfd_open"):
        text = "no pidfd on this system: the real world needs Linux 5.3 or newer"
        return Check(name="child processes", state="broken", text=text, advice="use --world sim")
    os.close(os.pidfd_open(os.getpid()))
    return Check(name="child processes", state="ok", text="watched by pidfd")


def _records() -> Check:
    from harness.world.real.process import records_directory

    return Check(name="run records", state="ok", text=str(records_directory()))


def _chromium() -> Check:
    path = next((path for name in _CHROMIUM if (path := shutil.which(name))), None)
    if path is None:
        return Check(name="chromium", state="absent", text="none on PATH; the browser tests are skipped")
    return Check(name="chromium", state="ok", text=path)


def size(count: float) -> str:
    """Return a number of bytes as a person writes it."""
    for unit in ("bytes", "kB", "MB", "GB"):
        if count < 1000:  # noqa: PLR2004 - decimal units
            return f"{count:.3g} {unit}"
        count /= 1000
    return f"{count:.3g} TB"


def _ask(command: Sequence[str]) -> str | None:
    """Return what a program prints; None if it cannot be started, fails, or does not answer."""
    try:
        done = subprocess.run(  # noqa: S603 - programs that were looked up above
            command, capture_output=True, text=True, timeout=_ANSWER_S_MAX, check=True, stdin=subprocess.DEVNULL
        )
    except (OSError, subprocess.SubprocessError, UnicodeDecodeError):
        return None
    return done.stdout
