"""What ends a run early, as one line each: it is judged ERROR with what it recorded, and never ends the campaign."""

import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from harness.errors import HarnessError
from harness.verdict import INTERRUPTED


@contextmanager
def noting(trouble: list[str], folder: Path) -> Iterator[None]:
    """Turn whatever ends a run early into one line each; the traceback of the unexpected goes to a log file."""
    try:
        yield
    except KeyboardInterrupt:
        trouble.append(INTERRUPTED)
    except BaseExceptionGroup as group:
        trouble += _lines(group, folder)
    except HarnessError as error:
        trouble.append(str(error))
    except Exception as error:  # noqa: BLE001 - a run that breaks is judged ERROR, with what it recorded
        trouble.append(_logged(error, folder))


def _lines(group: BaseExceptionGroup[BaseException], folder: Path) -> list[str]:
    lines: list[str] = []
    for error in group.exceptions:
        if isinstance(error, BaseExceptionGroup):
            lines += _lines(error, folder)
        elif isinstance(error, KeyboardInterrupt):
            lines.append(INTERRUPTED)
        else:
            lines.append(str(error) if isinstance(error, HarnessError) else _logged(error, folder))
    return lines


def _logged(error: BaseException, folder: Path) -> str:
    log = folder / "harness-errors.log"
    with log.open("a", encoding="utf-8") as file:
        file.write("".join(traceback.format_exception(error)) + "\n")
    return f"{type(error).__name__}: {error} (traceback in {log.name})"
