"""What may begin, begins: an executor is work-conserving.

While a signal waits, trading is allowed, the rate has room and fewer than `places` executions are under way, an
execution begins within `within`. That no execution begins too soon is not enough: an executor that loses a place with
each execution that times out breaks no limit at all, and one day trades no more.

All of it is counted from outside, and leniently: the rate over all lives of a host, and a new life is given the first
window for nothing, as it cannot know what an earlier one did just before. After a halt it has `notice` to hear of the
end. A signal waits from the return of the call that offered it until it begins, is announced as ended, or goes stale.
"""

from collections import defaultdict, deque
from collections.abc import Iterator
from dataclasses import dataclass, field

from harness.history.history import History
from harness.invariants.exchange_record import margin_ns
from harness.invariants.findings import Moment
from harness.invariants.signal_findings import Offence, judged
from harness.invariants.signals import Life, Recount, Step, read_lives
from harness.units import human, ms, seconds
from harness.verdict import InvariantResult


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkConserving:
    """No time longer than `within` in which an execution might have begun. Observed: such times.

    Checked: executions that began where something waited, and offences.
    """

    id: str
    name: str
    statement: str
    most: int
    window_ns: int
    places: int
    notice_ns: int
    within_ns: int
    real_within_ns: int
    needs_end: bool = False

    def __post_init__(self) -> None:
        if min(self.most, self.window_ns, self.places) < 1:
            raise ValueError("where no execution may ever begin, none is owed")

    def judge(self, history: History) -> InvariantResult:
        """Go through the lives of each host in their order."""
        within_ns = margin_ns(history, self.within_ns, self.real_within_ns)
        begun: dict[str, deque[int]] = defaultdict(lambda: deque(maxlen=self.most))
        watches = [_Watch(life, self, within_ns, begun[life.actor]) for life in read_lives(history)]
        offences = [offence for watch in watches for offence in watch.follow()]
        checked = sum(watch.checked for watch in watches)
        reason = "" if checked else "nothing waited while an execution might have begun"
        return judged(self, history, offences, checked=checked, noun="idle time", reason=reason)


@dataclass(slots=True)
class _Watch:
    """One life. `since_ns`: from when on something waited, trading was allowed and a place was free; None: not now."""

    life: Life
    rule: WorkConserving
    within_ns: int
    begun: deque[int]
    recount: Recount = field(default_factory=Recount)
    running: set[str] = field(default_factory=set)
    allowed_ns: int | None = None
    since_ns: int | None = None
    checked: int = 0

    def follow(self) -> Iterator[Offence]:
        """Go through the life step by step."""
        for step in self.life.steps:
            if step.kind == "closing":
                break
            if self.since_ns is not None and (step.kind in {"began", "trading"} or self._goes_stale(step)):
                self.checked += step.kind == "began"
                yield from self._over(step.time_ns)
            self._apply(step)
            if not self._might_begin():
                yield from self._over(step.time_ns)
            elif self.since_ns is None:
                self.since_ns = step.time_ns
        else:
            step = Step(0, self.life.end_ns, "closing")
        yield from self._over(step.time_ns)

    def _apply(self, step: Step) -> None:
        self.recount.apply(step)
        if step.kind == "began":
            self.begun.append(step.time_ns)
            self.running.add(step.subject)
        elif step.kind == "ended":
            self.running.discard(step.subject)
        elif step.kind == "trading":
            self.allowed_ns = step.time_ns if step.value.get("allowed") else None

    def _might_begin(self) -> bool:
        return bool(self.recount.live) and self.allowed_ns is not None and len(self.running) < self.rule.places

    def _goes_stale(self, step: Step) -> bool:
        """Tell whether all that waited has gone stale, announced or not, by the time of a new offer."""
        return step.kind == "offered" and all(one.stale_ns <= step.time_ns for one in self.recount.live.values())

    def _over(self, now_ns: int) -> Iterator[Offence]:
        """End the time in which an execution might have begun, and see whether it was too long."""
        since_ns, self.since_ns = self.since_ns, None
        if since_ns is None or self.allowed_ns is None:
            return
        rule = self.rule
        free_ns = self.begun[0] + rule.window_ns if len(self.begun) == rule.most else 0
        new_ns = self.life.steps[0].time_ns + rule.window_ns
        due_ns = max(since_ns, free_ns, new_ns, self.allowed_ns + rule.notice_ns)
        if now_ns - due_ns <= self.within_ns:
            return
        waiting = self.recount.live.values()
        end_ns = min(now_ns, max((one.stale_ns for one in waiting), default=now_ns))
        if end_ns - due_ns <= self.within_ns:
            return
        self.checked += 1
        idle = human(end_ns - due_ns)
        what = f"began nothing for {idle} although it might have (limit {human(self.within_ns)})"
        state = f"{len(waiting)} wait, {len(self.running)} of {rule.places} places taken"
        rows = (
            Moment(due_ns, self.life.actor, "an execution might have begun", ""),
            Moment(end_ns, self.life.actor, f"idle for {idle}: {state}", "", offending=True),
        )
        yield Offence(self.life.actor, what, end_ns, rows, end_ns - due_ns)


def work_conserving(
    most: int = 2,
    window_ns: int = seconds(1),
    *,
    places: int = 8,
    notice_ns: int = ms(250),
    within_ns: int = ms(20),
    real_within_ns: int = seconds(2),
    id: str = "SF8",  # noqa: A002
) -> WorkConserving:
    """Declare that what may begin, begins. `places`: executions at once that any signal must find room beside.

    Eight are more than any rate of two a second needs for executions of up to 4 s. In the real world it may take two
    seconds, as a busy machine stands still for one now and then. Raises ValueError for senseless figures.
    """
    return WorkConserving(
        id=id,
        name="works",
        statement="while a signal waits, the rate allows and places are free, an execution begins",
        most=most,
        window_ns=window_ns,
        places=places,
        notice_ns=notice_ns,
        within_ns=within_ns,
        real_within_ns=real_within_ns,
    )
