"""Importing what a person named: their scenarios and their targets. Whatever goes wrong is one line of `UsageError`.

The folder that the command was run from can be imported from, as with `python -m`: an installed program would not look
there otherwise, and a team's own code is where it works.
"""

import importlib
import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Final

from harness.errors import UsageError

_OURS: Final = ("harness", "scenarios", "reference_impl", "reports")


def import_file(path: Path, what: str) -> ModuleType:
    """Import a Python file by its path. Errors are as those of `import_named`."""
    _look_here()
    if not path.is_file():
        raise UsageError(f"{what} {path}: no such file")
    spec = importlib.util.spec_from_file_location(f"harness_file_{path.stem}", path)
    if spec is None or spec.loader is None:
        raise UsageError(f"{what} {path}: not a Python file")
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        text = " ".join(str(error).split())
        raise UsageError(f"{what} {path}: raised {type(error).__name__}: {text}") from error
    return module


def _look_here() -> None:
    """Have the project's folder (that of the nearest pyproject.toml) and the current one be imported from.

    A package of theirs that is called as one of ours would hide it, here and in every process that we start. Raises
    `UsageError` if the project has such a one; a folder below it is then not looked into.
    """
    here = Path.cwd()
    project = next((folder for folder in (here, *here.parents) if (folder / "pyproject.toml").is_file()), here)
    for folder in dict.fromkeys((project, here)):
        hidden = [name for name in _OURS if (folder / name / "__init__.py").is_file()]
        if len(hidden) == len(_OURS):  # a checkout of the harness
            hidden = []
        if hidden and folder == project:
            raise UsageError(f"{folder} has a package {hidden[0]!r}, which hides the harness's of that name: rename it")
        known = {str(folder), ""} if folder == here else {str(folder)}
        if not hidden and known.isdisjoint(sys.path):
            sys.path.insert(0, str(folder))


def import_named(name: str, what: str) -> ModuleType:
    """Import a module. `what` begins the text of the `UsageError` raised for whatever is wrong with it."""
    _look_here()
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        raise UsageError(f"{what}: no module named {error.name or name!r}") from error
    except (Exception, SystemExit) as error:  # `sys.exit` at import must not end the command as if all were well
        text = " ".join(str(error).split())
        raise UsageError(f"{what}: importing {name} raised {type(error).__name__}: {text}") from error
