"""Every error the harness raises on purpose.

HarnessError
+-- UsageError            the person's input is wrong; exit code 4; carries a one-line text, maybe a hint
+-- NothingSelectedError  the selection matched nothing; exit code 5
+-- WorldError            a world could not do what was asked (a server did not start, a host is unknown)
|   +-- EscapeError       code under test tried to leave the sim world (thread, blocking sleep, real socket)
|   +-- DeadlockError     nothing is runnable and no timer is armed in the sim world
|   +-- BudgetError       a run went past its budget of steps or time
+-- HistoryError          a stored history cannot be read, or does not belong to the scenario
"""

import difflib
from collections.abc import Iterable


class HarnessError(Exception):
    """Base of every error raised on purpose."""


class UsageError(HarnessError):
    """The person's input is wrong. The text is one line and names what was wrong."""


class NothingSelectedError(HarnessError):
    """The selection matched nothing, so there is nothing to judge."""


class WorldError(HarnessError):
    """A world could not do what was asked."""


class EscapeError(WorldError):
    """Code under test tried to leave the sim world; the text names the offending line."""


class DeadlockError(WorldError):
    """Nothing is runnable and no timer is armed: every task waits for ever."""


class BudgetError(WorldError):
    """A run went past its budget of steps, simulated time or wall time."""


class HistoryError(HarnessError):
    """A stored history cannot be read, or does not belong to the scenario it names."""


def unknown_name(kind: str, name: str, known: Iterable[str]) -> UsageError:
    """Return the error for a name that does not exist, with the nearest one that does."""
    names = sorted(known)
    near = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(names) or 'none'}"
    return UsageError(f"unknown {kind} {name!r}; {hint}")
