"""A failure written down as a Python module that `harness run FILE` carries out."""

import hashlib
import sys
from collections.abc import Collection, Mapping
from typing import Final

from harness.experiment import Experiment
from harness.explore.difference import lines
from harness.scenario import Scenario

_DIGEST_BYTES: Final = 3


def name_of(scenario: Scenario, invariant: str, experiment: Experiment, targets: Mapping[str, str]) -> str:
    """Return a name for a failure: the same for the same, another for another."""
    text = experiment.encoded() + repr(sorted(targets.items())).encode()
    return f"{scenario.name}-{invariant.lower()}-{hashlib.blake2b(text, digest_size=_DIGEST_BYTES).hexdigest()}"


def module_of(scenario: Scenario) -> str | None:
    """Return the name of the module that declares the scenario, if it was imported."""
    return next((name for name, module in list(sys.modules.items()) if vars(module).get("SCENARIO") is scenario), None)


def module_text(
    scenario: Scenario,
    experiment: Experiment,
    *,
    name: str,
    module: str,
    targets: Mapping[str, str],
    invariants: Collection[str],
    sentence: str,
) -> str:
    """Return the module's text. `sentence` says what is wrong, `module` is where the scenario comes from."""
    changed = {port: path for port, path in targets.items() if path != scenario.ports.get(port)}
    told = "\n".join(f"    {_plain(line)}" for line in lines(experiment))
    return f'''"""Found by `harness explore {scenario.name}` and shrunk; it fails in the same way each time.

{_plain(sentence)}

{told}

Run it with `harness run` and the path of this file; `--target` puts a repaired target in the place of this one.
"""

from harness.experiment import Experiment, Held
from harness.explore.applied import pinned
from {module} import SCENARIO as BASE

SCENARIO = pinned(
    BASE,
    {_indented(experiment)},
    name={_quoted(name)},
    target={_mapping(changed)},
    invariants={_source(tuple(invariants))},
)
'''


def _indented(experiment: Experiment) -> str:
    """Return the experiment as source, one argument a line, without those that are as ever."""
    ever = Experiment(profile="", seed=-1, span_ms=-1)
    rows: list[str] = []
    for field in ("profile", "seed", "span_ms", "faults", "workload", "changes", "calm", "edits"):
        value = getattr(experiment, field)
        if value == getattr(ever, field):
            continue
        if field == "faults":
            held = "".join(
                f"            Held(start_ms={one.start_ms}, length_ms={one.length_ms}, entry={_quoted(one.entry)}),\n"
                for one in experiment.faults
            )
            rows.append(f"        faults=(\n{held}        ),\n")
        elif isinstance(value, tuple):
            items = "".join(f"            {_source(one)},\n" for one in value)
            rows.append(f"        {field}=(\n{items}        ),\n")
        else:
            rows.append(f"        {field}={_source(value)},\n")
    return f"Experiment(\n{''.join(rows)}    )"


def _source(value: object) -> str:
    if isinstance(value, str):
        return _quoted(value)
    if isinstance(value, tuple):
        return f"({', '.join(_source(one) for one in value)}{',' if len(value) == 1 else ''})"
    return repr(value)


def _mapping(values: Mapping[str, str]) -> str:
    return "{" + ", ".join(f"{_quoted(name)}: {_quoted(value)}" for name, value in values.items()) + "}"


def _quoted(text: str) -> str:
    """Return a string literal in double quotes, with nothing in it that is not printable ASCII."""
    inner = text.encode("unicode_escape").decode("ascii").replace('"', '\\"')
    return f'"{inner}"'


def _plain(text: str) -> str:
    """Return text that may stand in a docstring: printable, no quotes that end it, no backslash."""
    line = "".join(sign if sign.isprintable() else " " for sign in text)
    return line.replace("\\", "/").replace('"""', "'''")
