"""Realistic synthetic sessions and histories, for the tests of every report format. Seeded, so always the same."""

import dataclasses
import functools
import random

from harness.comparison import Comparison, Delta, GroupComparison, KnownFinding
from harness.history.events import (
    Event,
    FaultBegan,
    FaultHealed,
    HostChanged,
    Info,
    Invoke,
    Observation,
    Ok,
    RunEnded,
    RunStarted,
)
from harness.history.history import History
from harness.units import MILLISECOND, SECOND
from harness.verdict import (
    EXIT_CODES,
    FaultResult,
    Finding,
    FlawedResult,
    InvariantResult,
    NeedResult,
    Outcome,
    PatchReadiness,
    Row,
    RunResult,
    Session,
    Verdict,
    worst,
)

TARGET = {"event_bus": "reference_impl.event_bus:make"}
SENTENCE = "3 acked events were never delivered to group risk; the limit is 0."


@functools.cache
def history(
    *, seed: int = 7, outage_s: tuple[int, int] = (30, 90), end_s: int = 150, lost: int = 0, heal: bool = True
) -> History:
    """A publisher at 50 events a second, two groups, one Redis outage during which events wait in a buffer.

    The publisher is killed 20 s before the heal and is back a second later. `lost` of each 997 events of the outage
    are acked and never delivered.
    """
    began, healed = outage_s[0] * SECOND, outage_s[1] * SECOND
    killed = healed - 20 * SECOND
    events: list[Event] = [
        RunStarted(0, "harness", 1, 1, "0.1.0", "redis-outage", "ci", "sim", seed, TARGET, []),
        HostChanged(0, "publisher", 1, "started"),
        HostChanged(0, "consumer", 1, "started"),
        FaultBegan(began, "harness", 1, 0, "redis.outage", "hang", "redis"),
        HostChanged(killed, "publisher", 1, "killed"),
        HostChanged(killed + SECOND, "publisher", 2, "started"),
        RunEnded(end_s * SECOND, "harness", 1, "ab" * 32, 0),
    ]
    if heal:
        events.append(FaultHealed(healed, "harness", 1, 0))
    dice = random.Random(seed)
    times = [at for at in range(SECOND, (end_s - 10) * SECOND, GAP) if not killed <= at < killed + SECOND]
    for op, at in enumerate(times):
        out = began <= at and (at < healed or not heal)
        incarnation = 2 if at > killed else 1
        slow = began <= at < began + SECOND
        took = 240 * MILLISECOND if slow else dice.randint(1 * MILLISECOND, 5 * MILLISECOND - 1)
        unknown = out and op % 400 == 0
        events += _publish(op, at, at + took, incarnation, unknown=unknown)
        reached = at + took + 3 * MILLISECOND
        if out:
            reached = max(at + took, healed + (at - began) // 20)
        if (heal or not out) and not (out and op % 997 < lost):
            events += _deliver(op, reached)
    events += _stats(began, healed, end_s * SECOND)
    events += [
        Observation(at, "publisher", 1, "link", {"to": "redis", "outcome": "unreachable"})
        for at in range(began, healed, 5 * SECOND)
    ]
    return History.of(events)


GAP = SECOND // 50


def _publish(op: int, start_ns: int, end_ns: int, incarnation: int, *, unknown: bool) -> list[Event]:
    value = {"key": f"BTC{op % 4}", "type": "fill", "digest": "d"}
    invoke = Invoke(start_ns, "publisher", incarnation, op, "publish", value)
    if unknown:
        return [invoke, Info(end_ns, "publisher", incarnation, op, "TimeoutError: reply lost")]
    return [invoke, Ok(end_ns, "publisher", incarnation, op, {"id": f"ev-{op:06d}"})]


def _deliver(op: int, time_ns: int) -> list[Event]:
    value = {"key": f"BTC{op % 4}", "type": "fill", "id": f"ev-{op:06d}"}
    return [Observation(time_ns, "consumer", 1, "deliver", {"group": group, **value}) for group in ("risk", "journal")]


def _stats(began: int, healed: int, end_ns: int) -> list[Event]:
    events: list[Event] = []
    for at in range(0, end_ns, SECOND // 4):
        depth = 0
        if began <= at < healed:
            depth = (at - began) // GAP
        elif at >= healed:
            depth = max(0, (healed - began) // GAP - (at - healed) // MILLISECOND)
        value = {"mode": "fallback" if depth else "direct", "buffered": depth, "dropped": 0}
        events.append(Observation(at, "publisher", 1, "stats", value))
    return events


def finding(*, rows: int = 9, sentence: str = SENTENCE, identity: str = "ev-001602") -> Finding:
    """Three events lost in an outage, told in `rows` rows."""
    told = [
        Row(time_s=30.0, actor="harness", event="fault 0 began: redis.outage hang on redis", id=""),
        Row(time_s=30.021, actor="publisher", event="publish acked", id=identity, offending=True),
        Row(time_s=70.0, actor="publisher", event="killed", id=""),
        Row(time_s=71.0, actor="publisher #2", event="started", id=""),
        Row(time_s=90.0, actor="harness", event="fault 0 healed", id=""),
    ]
    told += [
        Row(time_s=90.5 + at, actor="consumer", event="delivered to risk", id=f"ev-{at:06d}") for at in range(rows - 6)
    ]
    told.append(Row(time_s=150.0, actor="consumer", event="never delivered to risk", id=identity, offending=True))
    return Finding(
        sentence=sentence,
        count=3,
        first=f"{identity}, acked at 30.021 s",
        worst=f"{identity}, 119.979 s without delivery",
        last="ev-003996, acked at 78.4 s",
        rows=tuple(told),
    )


def invariants(verdict: Outcome = Outcome.HOLDS) -> tuple[InvariantResult, ...]:
    """Four invariants; the first comes to `verdict`."""
    lost = InvariantResult(
        id="EB1",
        name="no-acked-loss",
        statement="Every acked event is delivered to every group, or named by overflow.",
        verdict=verdict,
        checked=6120,
        observed={Outcome.HOLDS: 0, Outcome.VIOLATED: 3}.get(verdict),
        limit=0,
        unit="events",
        reason="" if verdict in (Outcome.HOLDS, Outcome.VIOLATED) else "the history was cut short",
        finding=finding() if verdict is Outcome.VIOLATED else None,
    )
    return (
        lost,
        InvariantResult(
            id="EB2",
            name="order-per-key",
            statement="Each group sees the events of one key in the order of their acks.",
            verdict=Outcome.HOLDS,
            checked=6120,
            observed=0,
            limit=0,
            unit="events",
        ),
        InvariantResult(
            id="EB5",
            name="publish-bounded",
            statement="publish ends within the limit at p99.9.",
            verdict=Outcome.HOLDS,
            checked=6120,
            observed=240.0,
            limit=250,
            unit="ms",
        ),
        InvariantResult(
            id="EB6",
            name="recovers-within",
            statement="publish is direct again soon after the outage.",
            verdict=Outcome.HOLDS,
            checked=1,
            observed=0.8,
            limit=5,
            unit="s",
        ),
    )


def run(
    verdict: Verdict = Verdict.PASS, *, seed: int = 7, scenario: str = "redis-outage", world: str = "sim"
) -> RunResult:
    """One run that comes to that verdict, and whose parts say why."""
    outcome = {Verdict.FAIL: Outcome.VIOLATED}.get(verdict, Outcome.HOLDS)
    unmet = verdict is Verdict.INCONCLUSIVE
    return RunResult(
        scenario=scenario,
        title="Redis is gone for 60-120 s while events keep coming",
        patch=1,
        priority="P0",
        world=world,
        profile="ci",
        seed=seed,
        target=TARGET,
        verdict=verdict,
        trace_digest="ab" * 32 if world == "sim" else None,
        simulated_s=150.0 if world == "sim" else None,
        wall_s=1.93,
        history=f"histories/{scenario}-{world}-{seed}.jsonl",
        replay=f"harness replay {scenario} --world {world} --seed {seed} --target event_bus={TARGET['event_bus']}",
        needs=(
            NeedResult(
                text="at least 1,000 publish inside redis.outage",
                met=not unmet,
                observed=12 if unmet else 2500,
            ),
        ),
        faults=(
            FaultResult(
                name="redis.outage",
                mode="hang",
                on="redis",
                start_s=30.0,
                end_s=90.0,
                bit=True,
                evidence={"timeouts": 12, "unanswered_bytes": 48_120},
            ),
        ),
        invariants=() if verdict is Verdict.ERROR else invariants(outcome),
        metrics={"recovery_s": 0.8, "publish_p99_ms": 3.1, "lost": None},
        errors=("EscapeError: event_bus.py:88 started a real thread",) if verdict is Verdict.ERROR else (),
    )


def flawed(*, caught: bool = True) -> tuple[FlawedResult, ...]:
    """Two flawed variants, the second caught or not."""
    return (
        FlawedResult(
            variant="event_bus:planned",
            scenario="redis-outage",
            world="sim",
            expected=("EB1",),
            caught=True,
            by=("EB1",),
            seeds=1,
        ),
        FlawedResult(
            variant="event_bus:live_overtakes_buffered",
            scenario="redis-outage",
            world="sim",
            expected=("EB2",),
            caught=caught,
            by=("EB2",) if caught else (),
            seeds=3,
            example=run(Verdict.FAIL, seed=3),
        ),
    )


def session(*runs: RunResult, command: tuple[str, ...] = ("gate",), **changes: object) -> Session:
    """A session of these runs, its verdict and exit code derived from them."""
    verdict = worst(run.verdict for run in runs)
    made = Session(
        verdict=verdict,
        exit_code=EXIT_CODES[verdict],
        harness_version="0.1.0",
        command=command,
        started_utc="2026-11-22T14:00:00+00:00",
        runs=runs,
        flawed=flawed(),
        skipped=("redis-outage in the real world: --world sim was asked for",),
        environment={"python": "3.11.7", "commit": "0123abc", "config_hash": "9f8e7d"},
    )
    return dataclasses.replace(made, **changes)


def comparison(text: str = "reports/out/before") -> Comparison:
    """A comparison with something of everything; `text` wherever foreign text can stand."""
    delta = Delta(
        name="recovery_s", unit="s", less_is_better=True, before=1.0, after=3.5, samples=(20, 20), shift=2.5, low=2.0,
        high=3.0, change="regression",
    )  # fmt: skip
    better = dataclasses.replace(delta, name="publish_p99_ms", after=0.5, shift=-0.5, change="improvement")
    few = dataclasses.replace(delta, name=text, unit=text, samples=(1, 1), shift=None, low=None, high=None, change="")
    same = dataclasses.replace(delta, name="publish_fail", after=1.01, shift=0.01, low=-1.0, high=1.0, change="")
    group = GroupComparison(scenario="redis-outage", world="sim", profile="full", standing="compared", is_paired=True)
    findings = [KnownFinding(scenario=text, world="sim", profile="full", what=f"{at} {text}") for at in range(4)]
    return Comparison(
        baseline=text,
        groups=(
            dataclasses.replace(group, deltas=(delta, better, few, same), why=text),
            dataclasses.replace(group, scenario=text, standing="added", why="not in the baseline"),
            dataclasses.replace(group, scenario="gone", standing="missing", why="not run this time"),
            dataclasses.replace(group, world="real", standing="not comparable", why=text),
        ),
        new=(findings[0],),
        ongoing=(findings[1],),
        resolved=(findings[2],),
        unseen=(findings[3],),
        environment=("python: 3.11 before, 3.12 now",),
    )


def readiness(text: str = "the worlds disagree on ws-load") -> tuple[PatchReadiness, ...]:
    """A patch that is ready, and one that is not and need not be; `text` is why."""
    return tuple(
        PatchReadiness(
            patch=patch, priority=priority, is_required=patch == 1, worlds=("sim", "real"), runs=21, passed=20,
            invariants=6, invariants_total=7, variants=9, caught=8, reasons=reasons,
        )
        for patch, priority, reasons in ((1, "P0", ()), (6, "P2", (text,)))
    )  # fmt: skip


def histories(session: Session) -> dict[str, History]:
    """A history for each run of the session that names one; runs share a few, to keep the tests fast."""
    made: dict[str, History] = {}
    for result in session.runs:
        if result.history is not None:
            made[result.history] = history(seed=result.seed % 2, lost=3 if result.verdict is Verdict.FAIL else 0)
    return made


@functools.cache
def sessions() -> dict[str, Session]:
    """The cases that every format must survive and tell apart."""
    return {
        "pass": session(run()),
        "fail": session(run(Verdict.FAIL), run(world="real"), run(scenario="redis-flap")),
        "inconclusive": session(run(Verdict.INCONCLUSIVE)),
        "error": session(run(Verdict.ERROR)),
        "interrupted": session(run(), exit_code=2, verdict=Verdict.INCONCLUSIVE),
        "empty": session(flawed=()),
        "unnoticed": session(run(), flawed=flawed(caught=False), verdict=Verdict.INCONCLUSIVE, exit_code=7),
        "regression": session(run(), exit_code=8, comparison=comparison(), readiness=readiness()),
        "single": session(run(), command=("run", "redis-outage"), flawed=()),
        "campaign": session(
            *(run(Verdict.FAIL if seed % 50 == 49 else Verdict.PASS, seed=seed) for seed in range(500))
        ),
    }
