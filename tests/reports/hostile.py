"""Texts that a target could return to harm who reads a report, and a session full of one of them."""

import dataclasses

from harness.history.events import (
    Fail,
    FaultBegan,
    HostChanged,
    Info,
    Invoke,
    Observation,
    Ok,
    RunEnded,
    RunStarted,
)
from harness.history.history import History
from harness.units import SECOND
from harness.verdict import Row, Session, Verdict
from tests.reports import synthetic

TEXTS = (
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "]]> <!-- ${7*7} {{ 7*7 }}",
    "\x1b[31mred\x1b]0;title\x07",
    "\u202egnp.exe\u2066",
    "null\x00byte\ufffe\ud800",
    "| a | b |\n|---|---|\n# h1 `x` ``` [l](javascript:1) @user",
    "</title></svg></td></table></article><details open><style>*{display:none}</style>",
    "<![CDATA[ -- --> ]]>&amp;&#0;&lol;",
    "\n\n<details><summary>x</summary>\n\n- [ ] ![i](http://h/i.png) https://h.example www.h.example u@h.example #1",
    "x" * 1_000_000,
)


def name(text: str) -> str:
    """Return a short id for a test."""
    return ascii(text[:12])


def session(text: str) -> Session:
    """A failing session with that text wherever a target can put one."""
    run = synthetic.run(Verdict.FAIL)
    finding = synthetic.finding(sentence=text, identity=text)
    finding = dataclasses.replace(finding, rows=(*finding.rows, Row(time_s=1.0, actor=text, event=text, id=text)))
    invariant = dataclasses.replace(run.invariants[0], name=text, statement=text, unit=text, finding=finding)
    run = dataclasses.replace(
        run,
        title=text,
        scenario=text[:5000],
        priority=text,
        target={text: text},
        replay=text,
        invariants=(invariant,),
        needs=(dataclasses.replace(run.needs[0], text=text, met=False),),
        faults=(dataclasses.replace(run.faults[0], name=text, mode=text, on=text, bit=False, evidence={text: 1}),),
        metrics={text: 1.0},
        errors=(text,),
    )
    flawed = (dataclasses.replace(synthetic.flawed()[0], variant=text, by=(text,)),)
    return synthetic.session(
        run,
        flawed=flawed,
        skipped=(text,),
        omitted=(text,),
        environment={text: text},
        comparison=synthetic.comparison(text),
        readiness=synthetic.readiness(text),
    )


def histories(text: str) -> dict[str, History]:
    """The history of that session, with the text in each name, id, error and value that a target gives."""
    events = [
        RunStarted(0, "harness", 1, 1, text, text, text, "sim", 7, {text: text}, []),
        HostChanged(SECOND, text, 1, text),
        FaultBegan(2 * SECOND, "harness", 1, 0, text, text, text),
    ]
    for at, last in enumerate(
        (
            Ok(4 * SECOND, text, 1, 0, {"id": text}),
            Fail(4 * SECOND, text, 1, 1, text),
            Info(4 * SECOND, text, 1, 2, text),
        )
    ):
        events += [Invoke(3 * SECOND, text, 1, at, text, {text: text}), last]
    for name, value in (
        ("stats", {text: 7, "zero": 0, f"{text} zero": 0}),
        ("deliver", {"group": text, "id": text}),
        ("deliver", {"group": text, "id": text}),
        ("overflow", {"ids": [text]}),
        ("link", {"to": text, "outcome": text}),
        ("request", {"status": 429, "used": 1, "limit": 10, "counts": [[1000, 1, 2]]}),
        (text[:1000], {text: text}),
    ):
        events.append(Observation(5 * SECOND, text, 1, name, value))
    events.append(RunEnded(9 * SECOND, "harness", 1, None, 0))
    made = History.of(events)
    return {one.history: made for one in session(text).runs if one.history is not None}
