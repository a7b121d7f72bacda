"""`make gallery`: real reports to look at, of the reference and of targets that are known to fail, with an index.

Nothing is made up for it: each entry is what commands of the program wrote, and an entry whose commands end otherwise
than they should ends the gallery. It takes half a minute, lands in `reports/out/gallery`, and is not committed.
"""

import argparse
import shlex
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from jinja2 import Environment, PackageLoader, StrictUndefined

_SCENARIOS: Final = ("redis-outage", "signal-flood", "ess-cycle", "health-watch")


@dataclass(frozen=True, slots=True)
class Entry:
    """One report: commands, of which the last one writes it, and the exit code that this one must have."""

    name: str
    text: str
    commands: tuple[tuple[str, ...], ...]
    exit_code: int


@dataclass(frozen=True, slots=True)
class Shown:
    """An entry as the index shows it: where its report is, and the command that made it."""

    text: str
    command: str
    exit_code: int
    link: str


ENTRIES: Final = (
    Entry("reference", "The reference, four scenarios, three seeds", (("run", *_SCENARIOS, "--seeds", "3"),), 0),
    Entry(
        "event-bus-planned",
        "A bus as it was planned, while Redis is gone: events are lost",
        (("run", "redis-outage", "--target", "event_bus:planned"),),
        1,
    ),
    Entry(
        "executor-planned",
        "An executor as it was planned, under 500 signals: exits wait",
        (("run", "signal-flood", "--target", "executor:planned"),),
        1,
    ),
    Entry(
        "ess-planned",
        "An emergency stop as it was planned: orders go on after it",
        (("run", "ess-cycle", "--target", "ess:planned"),),
        1,
    ),
    Entry(
        "health-planned",
        "A health service as it was planned: it calls healthy what it never asked",
        (("run", "health-watch", "--target", "health:planned"),),
        1,
    ),
    Entry(
        "real",
        "The reference in the real world: processes, sockets, signals",
        (("run", "ess-cycle", "--world", "real"),),
        0,
    ),
    Entry(
        "baseline",
        "A release that got worse, next to the one before: ten seeds each",
        (
            ("run", "signal-flood", "--seeds", "10", "--out", "{folder}/before"),
            (
                *("run", "signal-flood", "--seeds", "10", "--target", "executor:forgets_rate_on_restart"),
                *("--baseline", "{folder}/before/latest"),
            ),
        ),
        1,
    ),
    Entry(
        "explored",
        "What explore found by itself, shrunk",
        (("explore", "signal-flood", "--target", "executor:forgets_rate_on_restart", "--executions", "100"),),
        1,
    ),
)


class GalleryError(Exception):
    """An entry did not come out as it should."""


def make(folder: Path, entries: Sequence[Entry] = ENTRIES) -> Path:
    """Make every entry's report and the index, and return the index. Raises `GalleryError`.

    The index comes last: where it is, everything is. Reports name the folder in their replay commands, so they are made
    where they stay.
    """
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    shown = [_made(entry, folder) for entry in entries]
    environment = Environment(
        loader=PackageLoader("reports", "html"), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    page = environment.get_template("gallery.html.j2").render(entries=shown)
    index = folder / "index.html"
    index.write_text(page, encoding="utf-8")
    return index


def _made(entry: Entry, folder: Path) -> Shown:
    out = folder / entry.name
    for number, words in enumerate(entry.commands):
        command = [word.format(folder=out) for word in words]
        if "--out" not in command:
            command += ["--out", str(out)]
        expected = entry.exit_code if number == len(entry.commands) - 1 else 0
        done = subprocess.run(  # noqa: S603 - our own program, and our own words
            [sys.executable, "-m", "harness.cli.main", *command, "-q"], check=False, stdout=subprocess.PIPE, text=True
        )
        if done.returncode != expected:
            told = shlex.join(["harness", *command])
            raise GalleryError(f"{told}: exit code {done.returncode} instead of {expected}\n{done.stdout}")
    shown = shlex.join(["harness", *(word for word in entry.commands[-1] if "{folder}" not in word)])
    return Shown(entry.text, shown.removesuffix(" --baseline"), entry.exit_code, str(_report(out).relative_to(folder)))


def _report(out: Path) -> Path:
    """Return the last report that was written below a folder: of a run, or of what was found."""
    newest = sorted(path for path in out.glob("*/report.html") if not path.parent.is_symlink())
    found = sorted(out.glob("found/*/report.html"))
    return [*newest, *found][-1]


def main(arguments: Sequence[str]) -> None:
    """Make the gallery and say where it is."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("reports/out/gallery"))
    chosen = parser.parse_args(arguments)
    try:
        index = make(chosen.out)
    except GalleryError as error:
        sys.exit(f"gallery: {error}")
    sys.stdout.write(f"gallery: {index}\n")


if __name__ == "__main__":
    main(sys.argv[1:])
