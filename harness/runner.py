"""Runs one scenario once, in one world, with one seed, and judges what happened.

An `Order` is plain data, so that it can be handed to another process. Whatever goes wrong on the way, what was
recorded until then is stored and judged: a run that breaks comes out ERROR, never nothing.
"""

import re
import shlex
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from harness import __version__
from harness.code_hash import code_hashes
from harness.declaration import declaration_hash
from harness.errors import HistoryError
from harness.experiment import Experiment
from harness.explore.applied import applied
from harness.history.events import SCHEMA, RunEnded, RunStarted
from harness.history.history import History
from harness.history.store import load
from harness.judge import Judgement, judge
from harness.load.spec import Crew
from harness.metrics import metrics
from harness.run_sink import RunSink
from harness.scenario import Scenario, plan
from harness.tape import Tape
from harness.trouble import noting
from harness.units import as_seconds
from harness.verdict import INTERRUPTED, RunResult, Verdict
from harness.world.base import WorldKind
from harness.world.real.secrets_mask import masked
from harness.worlds import Options, Staging, run_in_real, run_in_sim


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """One run to be made: `folder` is the run folder, `label` names the target in file names."""

    scenario: Scenario
    profile: str
    world: WorldKind
    seed: int
    targets: Mapping[str, str]
    folder: Path
    label: str = "reference"
    options: Options = field(default_factory=Options)

    @property
    def name(self) -> str:
        """A name for files, unique within the run folder, of what every file system takes."""
        parts = (self.scenario.name, self.world, self.profile, self.label, f"seed{self.seed}")
        return re.sub(r"[^A-Za-z0-9._-]", "-", "-".join(parts))

    @property
    def history_path(self) -> Path:
        """Where the history of this run goes."""
        return self.folder / "histories" / f"{self.name}.jsonl"

    @property
    def replay(self) -> str:
        """The command that makes this run again. An experiment is in its history; no command line could hold it."""
        if self.scenario.pinned is not None:
            return shlex.join(["harness", "replay", _shown(self.history_path)])
        words = ["harness", "run", self.scenario.name, "--world", self.world, "--profile", self.profile]
        words += ["--seed", str(self.seed)]
        for port, factory in self.targets.items():
            if factory != self.scenario.ports.get(port):
                words += ["--target", f"{port}={factory}"]
        return shlex.join([*words, *self._choices()])

    def _choices(self) -> list[str]:
        """Return the options of the real world as a person types them, but for credentials."""
        if self.world == "sim":
            return []
        chosen = self.options
        words = [] if chosen.redis is None else ["--redis", masked(chosen.redis)]
        words += ["--redis-flush"] if chosen.redis_flush else []
        words += [] if chosen.toxiproxy is None else ["--toxiproxy", chosen.toxiproxy]
        return words + _load_choices(chosen.crew)


def _load_choices(crew: Crew) -> list[str]:
    words = ["--locust-workers", str(crew.workers)] if crew.workers else []
    words += ["--locust-expect-workers", str(crew.elsewhere)] if crew.elsewhere else []
    words += ["--locust-bind", f"{crew.bind_host}:{crew.bind_port}"] if crew.bind_port else []
    return words + ([] if crew.master is None else ["--locust-master", f"{crew.master[0]}:{crew.master[1]}"])


@dataclass(frozen=True, slots=True)
class Made:
    """A run that was made: what it came to, what it recorded, and the choices that it drew."""

    result: RunResult
    history: History
    tape: Tape


def _shown(path: Path) -> str:
    return str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path)


def run(order: Order, *, keep_history: bool = True) -> RunResult:
    """Make the run and judge it. Never raises for what happens inside; Ctrl-C becomes a result that says so."""
    return make(order, keep=lambda verdict: keep_history or verdict is not Verdict.PASS).result


def make(order: Order, *, keep: Callable[[Verdict], bool]) -> Made:
    """Make the run as `run` does; its history is stored if `keep` says so of the verdict.

    If the scenario is one pinned experiment, the seed is the experiment's.
    """
    began = time.perf_counter()
    order = _pinned(order)
    profile = order.scenario.profile(order.profile)
    tape = _tape(order)
    planned = plan(profile, tape, order.options.left_out(order.world))
    order.history_path.parent.mkdir(parents=True, exist_ok=True)
    sink = RunSink(_header(order, [one.as_fields() for one in planned]), order.history_path)
    trouble: list[str] = []
    digest: str | None = None
    simulated_ns: int | None = None
    staging = Staging(
        name=order.name,
        scenario=order.scenario,
        profile=profile,
        plan=planned,
        tape=tape,
        targets=order.targets,
        folder=order.folder,
        options=order.options,
        alarm=sink.alarm,
    )
    with sink.streaming(to_disk=order.world == "real"), noting(trouble, order.folder):
        enter = run_in_sim if order.world == "sim" else run_in_real
        ended = enter(staging, sink)
        digest, simulated_ns = ended.digest, ended.simulated_ns
        trouble += ended.trouble
    interrupted = INTERRUPTED in trouble
    trouble = [text for text in trouble if text != INTERRUPTED]
    if not trouble and not interrupted:
        last_ns = max((event.time_ns for event in sink.events), default=0)
        sink.record(RunEnded(last_ns, "harness", 1, digest, len(sink.events)))
    history = History.of(sink.events)
    judgement = judge(history, order.scenario, trouble=tuple(trouble))
    kept = keep(judgement.verdict)
    if kept:
        sink.save()
    else:
        sink.discard()
    if interrupted:
        judgement = replace(judgement, doubts=(INTERRUPTED, *judgement.doubts))
    result = _result(
        order,
        history,
        judgement,
        digest=digest,
        simulated_s=None if simulated_ns is None else as_seconds(simulated_ns),
        wall_s=round(time.perf_counter() - began, 3),
        path=order.history_path if kept else None,
    )
    return Made(result, history, tape)


def _pinned(order: Order) -> Order:
    pinned = order.scenario.pinned
    return order if pinned is None else replace(order, seed=pinned.experiment.seed)


def _tape(order: Order) -> Tape:
    pinned = order.scenario.pinned
    if pinned is None:
        return Tape(order.seed)
    return Tape(order.seed, pinned.experiment.edits_by_label(), calm=pinned.experiment.calm)


def check(path: Path, scenarios: Mapping[str, Scenario]) -> RunResult:
    """Judge a stored history again. Raises `HistoryError` when it cannot be read or is of no known scenario."""
    history = load(path)
    header = history.header
    scenario = scenario_of(header, scenarios)
    if scenario is None or header.profile not in scenario.profiles:
        name = header.base or header.scenario
        raise HistoryError(f"{path}: made by scenario {name!r} ({header.profile}), which is not known here")
    order = Order(
        scenario=scenario,
        profile=header.profile,
        world="sim" if header.world == "sim" else "real",
        seed=header.seed,
        targets=header.targets,
        folder=path.parent,
    )
    last = history.events[-1]
    digest = last.trace_digest if isinstance(last, RunEnded) else None
    return _result(order, history, judge(history, scenario), digest=digest, simulated_s=None, wall_s=None, path=path)


def scenario_of(header: RunStarted, scenarios: Mapping[str, Scenario]) -> Scenario | None:
    """Return the scenario that a history was made by, its experiment included; None if it is not known here.

    Raises `UsageError` if the experiment does not fit the scenario as it is now.
    """
    if not header.experiment:
        return scenarios.get(header.scenario)
    base = scenarios.get(header.base)
    return None if base is None else applied(base, Experiment.of_fields(header.experiment), name=header.scenario)


def _result(
    order: Order,
    history: History,
    judgement: Judgement,
    *,
    digest: str | None,
    simulated_s: float | None,
    wall_s: float | None,
    path: Path | None,
) -> RunResult:
    scenario = order.scenario
    return RunResult(
        scenario=scenario.name,
        title=scenario.title,
        patch=scenario.patch,
        priority=scenario.priority,
        world=order.world,
        profile=order.profile,
        seed=order.seed,
        target=dict(order.targets),
        verdict=judgement.verdict,
        trace_digest=digest,
        simulated_s=simulated_s,
        wall_s=wall_s,
        history=None if path is None else str(path),
        replay=order.replay,
        needs=judgement.needs,
        faults=judgement.faults,
        invariants=judgement.invariants,
        metrics=_metrics(history, judgement),
        errors=judgement.errors,
        doubts=judgement.doubts,
        left_out=_left_out(history.header, scenario),
        config=declaration_hash(scenario, order.profile, order.world, order.options.told),
    )


def _left_out(header: RunStarted, scenario: Scenario) -> tuple[str, ...]:
    """Return what the schedule had and the run could not have."""
    steps = scenario.profile(header.profile).schedule
    scheduled = {f"{fault.name}/{mode}" for step in steps for fault, mode in step.choices}
    return tuple(name for name in header.left_out if name in scheduled)


def _metrics(history: History, judgement: Judgement) -> dict[str, float | int | None]:
    try:
        return metrics(history, judgement.invariants)
    except HistoryError:  # a history that contradicts itself is an ERROR already; it has no figures
        return {}


def _header(order: Order, planned: list[dict[str, object]]) -> RunStarted:
    """Return the first line: what the run is, what code took part, and the experiment if it was one."""
    programs = [host.program.__module__ for host in order.scenario.profile(order.profile).hosts]
    pinned = order.scenario.pinned
    return RunStarted(
        0,
        "harness",
        1,
        SCHEMA,
        __version__,
        order.scenario.name,
        order.profile,
        order.world,
        order.seed,
        dict(order.targets),
        planned,
        list(order.options.left_out(order.world)),
        base="" if pinned is None else pinned.base,
        experiment={} if pinned is None else pinned.experiment.as_fields(),
        code=code_hashes([*order.targets.values(), *programs]),
    )
