"""Importing what a person named: their scenarios and their targets. Whatever goes wrong is one line of `UsageError`.

The folder that the command was run from can be imported from, as with `python -m`: an installed program would not look
there otherwise, and a team's own code is where it works.
"""

import importlib
import importlib.util
import sys
from pathlib import Path
from types import ModuleType

from harness.errors import UsageError


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
    here = str(Path.cwd())
    if here not in sys.path and "" not in sys.path:
        sys.path.insert(0, here)


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
