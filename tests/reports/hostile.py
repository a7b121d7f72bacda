"""Texts that a target could return to harm who reads a report, and a session full of one of them."""

import dataclasses

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
