"""ES1 to ES7 on histories written by hand: what they hold, what they catch, and what is nobody's offence."""

import pytest

from harness.history.events import SCHEMA, Observation, RunStarted
from harness.invariants.stop_arming import breach, cooldown
from harness.invariants.stop_authorised import authorised
from harness.invariants.stop_durable import durable
from harness.invariants.stop_heard import heard
from harness.invariants.stop_legal import LEGAL, legal
from harness.invariants.stop_orders import no_order_after_trip
from harness.units import seconds
from harness.verdict import Outcome

HOLDS, VIOLATED = Outcome.HOLDS, Outcome.VIOLATED
COOLDOWN = 900


class StopRun:
    """A run with an emergency stop on the host `desk`, on top of the common builder."""

    def __init__(self, run, world="sim"):
        self.run = run
        run.events[0] = RunStarted(0, "harness", 1, SCHEMA, "0", "s", "full", world, 7, {}, [])
        self.see("ess_limits", 0, cooldown_s=COOLDOWN, metrics_max_age_s=10)

    def see(self, name, time, actor="desk", incarnation=1, **value):
        self.run.events.append(Observation(seconds(time), actor, incarnation, name, value))
        return self

    def stands(self, time, state, trip="", transition=None, incarnation=1):
        """A sample; the transition is named after the state and the trip."""
        named = f"{state}/{trip}" if transition is None else transition
        return self.see("ess", time, incarnation=incarnation, state=state, trip=trip, transition=named, may=False)

    def do(self, name, start, end=None, outcome="ok", result=None, incarnation=1, **value):
        self.run.call(name, start, end, outcome, value, result, actor="desk", incarnation=incarnation)
        return self

    def metrics(self, time, drawdown=0.01, loss=0.01, state="ARMED", took=0.0):
        value = {"drawdown": repr(drawdown), "loss": repr(loss)}
        return self.do("metrics", time, time + took, result={"state": state}, **value)

    def tripped(self, time, trip="t1", took=0.1):
        """A trip from inside, acked after `took` seconds, and carried out at once."""
        self.do(
            "trip", time, time + took, result={"state": "TRIPPED", "trip": trip}, reason=f"why {trip}", actor="risk"
        )
        self.do("cancel_all", time + took, time + took + 0.1)
        return self.stands(time + took + 0.1, "COOLING_DOWN", trip)

    def called(self, time, call="reset", status=200, code="", defect="", expect=0, key=None, **value):
        result = {"status": status, "code": code, **({"state": "ARMED"} if call == "reset" and status == 200 else {})}
        named = {"call": call, "key": key or f"call-{time}", "operator": "alice", "defect": defect, "expect": expect}
        return self.do("call", time, time + 0.1, result=result, **named, **value)

    def trail(self, time, *rows, refused=None):
        """The audit: rows as (id, trip, from, to[, actor, reason])."""
        told = []
        for id_, trip, source, target, *who in rows:
            actor, reason = who or ("system", "a limit")
            fields = {"id": id_, "trip": trip, "from": source, "to": target}
            told.append({**fields, "actor": actor, "reason": reason, "at_ms": 1_700_000_000_000})
        self.see("audit", time, trail=told)
        return self.see("refused_calls", time, by_code=refused or {})

    def died(self, time, back):
        self.run.host("desk", "killed", time)
        self.run.host("desk", "started", back, incarnation=2)
        return self

    def damaged(self, start, end):
        self.run.fault(start, end, name="disk.damage", mode="emptied", on="desk")
        return self

    def judged(self, invariant, end=2_000):
        return invariant.judge(self.run.end(end))

    def verdict(self, invariant, end=2_000):
        return self.judged(invariant, end).verdict


@pytest.fixture
def stop(run):
    run.host("desk", "started", 0)
    return StopRun(run)


class TestNoOrderAfterTrip:
    """ES1."""

    @pytest.mark.parametrize(
        ("reached", "verdict"),
        [(10.05, HOLDS), (10.149, HOLDS), (10.151, VIOLATED), (15, VIOLATED), (25, HOLDS), (35, HOLDS)],
    )
    def test_orders_around_a_stop(self, stop, reached, verdict) -> None:
        """Acked at 10.1, known to hold until 20, armed again by 30; in between nobody knows."""
        stop.stands(9, "ARMED").tripped(10).stands(20, "COOLING_DOWN", "t1").stands(30, "ARMED", "t1")
        assert stop.see("reached", reached, key="o").verdict(no_order_after_trip()) is verdict

    def test_a_trip_that_is_not_acked_yet_is_none(self, stop) -> None:
        """A sample of TRIPPED is the target's intention; its ack is the answer of who asked, or COOLING_DOWN."""
        stop.stands(1, "TRIPPED", "t1").see("reached", 3, key="o").stands(5, "TRIPPED", "t1")
        assert stop.judged(no_order_after_trip()).checked == 0

    def test_a_limit_that_trips_is_acked_by_the_answer(self, stop) -> None:
        """It names no trip; the next sample does."""
        stop.metrics(1, drawdown=0.06, state="TRIPPED").see("reached", 3, key="o")
        assert stop.stands(5, "TRIPPED", "t1").verdict(no_order_after_trip()) is VIOLATED

    def test_two_stops_with_an_unseen_arming_in_between_are_two(self, stop) -> None:
        """Armed by itself and tripped again between two samples: orders in between were allowed."""
        stop.tripped(1).stands(5, "COOLING_DOWN", "t1").see("reached", 7, key="o")
        stop.metrics(9, drawdown=0.06, state="TRIPPED").stands(9, "TRIPPED", "t2").stands(12, "COOLING_DOWN", "t2")
        assert stop.verdict(no_order_after_trip()) is HOLDS

    def test_a_restart_does_not_end_a_stop(self, stop) -> None:
        """The same trip before and after it."""
        stop.tripped(1).died(2, 3).see("reached", 4, key="o", incarnation=2).stands(
            5, "COOLING_DOWN", "t1", incarnation=2
        )
        assert stop.verdict(no_order_after_trip()) is VIOLATED

    def test_the_exchange_knows_better(self, stop, market) -> None:
        """Where there is one, its record is judged, and cancels are no orders."""
        market.events += stop.run.events[1:]
        stop.run = market
        stop.tripped(1).see("reached", 3, key="o").stands(9, "COOLING_DOWN", "t1")
        market.order(0.5).ask(4, method="DELETE", path="/fapi/v1/order")
        assert stop.verdict(no_order_after_trip()) is HOLDS
        market.order(5)
        found = stop.judged(no_order_after_trip())
        assert (found.verdict, found.observed) == (VIOLATED, 1)

    def test_the_real_world_has_a_limit_of_its_own(self, run) -> None:
        """An order and an ack may pass each other on the wire."""
        stop = StopRun(run, world="real").tripped(1).see("reached", 1.3, key="o").stands(9, "COOLING_DOWN", "t1")
        assert stop.verdict(no_order_after_trip()) is HOLDS
        assert stop.see("reached", 1.4, key="o").verdict(no_order_after_trip()) is VIOLATED


class TestLegal:
    """ES2."""

    ROWS = (
        ("a", "", "DISABLED", "ARMED", "alice", "start"),
        ("b", "b", "ARMED", "TRIPPED", "risk", "why"),
        ("c", "b", "TRIPPED", "COOLING_DOWN"),
        ("d", "b", "COOLING_DOWN", "ARMED"),
    )

    def seen(self, stop):
        """What was seen of these four."""
        stop.stands(1, "ARMED", "", "a").stands(2, "TRIPPED", "b", "b").do("cancel_all", 2, 3)
        return stop.stands(4, "COOLING_DOWN", "b", "c").stands(5, "ARMED", "b", "d")

    def test_a_whole_trail_holds(self, stop) -> None:
        """All rows, and all that was seen."""
        found = self.seen(stop).trail(9, *self.ROWS).judged(legal(cancel="cancel_all"))
        assert (found.verdict, found.checked) == (HOLDS, 8)

    @pytest.mark.parametrize("missing", range(4))
    def test_a_missing_row_is_caught(self, stop, missing) -> None:
        """Each of them."""
        rows = [row for number, row in enumerate(self.ROWS) if number != missing]
        assert self.seen(stop).trail(9, *rows).verdict(legal()) is VIOLATED

    @pytest.mark.parametrize("source", ["DISABLED", "ARMED", "TRIPPED", "COOLING_DOWN"])
    @pytest.mark.parametrize("target", ["DISABLED", "ARMED", "TRIPPED", "COOLING_DOWN"])
    def test_each_step_is_legal_or_not(self, stop, source, target) -> None:
        """TRIPPED -> ARMED is the plan's own hole."""
        ways = {
            "DISABLED": [],
            "ARMED": [self.ROWS[0]],
            "TRIPPED": self.ROWS[:2],
            "COOLING_DOWN": self.ROWS[:3],
        }
        found = stop.trail(9, *ways[source], ("x", "x", source, target)).verdict(legal())
        assert found is (HOLDS if (source, target) in LEGAL else VIOLATED)

    @pytest.mark.parametrize("who", [("", "why"), ("risk", "")])
    def test_a_row_without_actor_or_reason_is_caught(self, stop, who) -> None:
        """It is what the trail is for."""
        assert stop.trail(9, self.ROWS[0][:4] + who).verdict(legal()) is VIOLATED

    def test_a_state_that_the_trail_tells_otherwise_is_caught(self, stop) -> None:
        """The id is there, and led elsewhere."""
        assert stop.stands(1, "TRIPPED", "", "a").trail(9, *self.ROWS).verdict(legal()) is VIOLATED

    def test_cooling_down_before_orders_were_cancelled_is_caught(self, stop) -> None:
        """A cancel that failed is none, nor one before the trip."""
        stop.do("cancel_all", 0, 0.5).stands(1, "ARMED", "", "a").stands(2, "TRIPPED", "b", "b")
        stop.do("cancel_all", 2, 3, outcome="fail").stands(4, "COOLING_DOWN", "b", "c").trail(9, *self.ROWS)
        assert stop.verdict(legal(cancel="cancel_all")) is VIOLATED
        assert stop.verdict(legal()) is HOLDS

    def test_what_was_lost_with_a_file_is_not_missed(self, stop) -> None:
        """The trail begins anew after damage, with a trip."""
        self.seen(stop).damaged(6, 7).trail(9, ("z", "z", "DISABLED", "TRIPPED"))
        assert stop.verdict(legal()) is HOLDS
        assert stop.stands(8, "COOLING_DOWN", "b", "c").verdict(legal()) is VIOLATED


class TestCooldown:
    """ES3."""

    @pytest.mark.parametrize(("armed", "verdict"), [(905, VIOLATED), (909, VIOLATED), (911, HOLDS)])
    def test_by_itself_after_the_cooldown_only(self, stop, armed, verdict) -> None:
        """Counted from what was known last before the trip, at 10."""
        stop.stands(10, "ARMED").tripped(10).stands(900, "COOLING_DOWN", "t1").stands(armed, "ARMED", "t1")
        assert stop.verdict(cooldown()) is verdict

    @pytest.mark.parametrize(
        ("call", "verdict"),
        [
            ({"trip": "t1"}, HOLDS),
            ({"trip": "t0"}, VIOLATED),
            ({"trip": "t1", "defect": "wrong token", "expect": 401}, VIOLATED),
            ({"trip": "t1", "status": 409, "code": "breached"}, VIOLATED),
            ({"trip": "t1", "call": "trigger"}, VIOLATED),
        ],
    )
    def test_an_authorised_reset_of_that_trip_may(self, stop, call, verdict) -> None:
        """Of another trip, without a token, or one that was refused, may not."""
        stop.stands(10, "ARMED").tripped(10).called(20, **call).stands(21, "ARMED", "t1")
        assert stop.verdict(cooldown()) is verdict

    def test_a_reset_from_inside_counts_unless_it_failed(self, stop) -> None:
        """One whose outcome nobody knows may have armed it."""
        stop.stands(10, "ARMED").tripped(10).do("reset", 20, 21, "info", trip="t1", reason="r", actor="bob")
        assert stop.stands(22, "ARMED", "t1").verdict(cooldown()) is HOLDS
        stop.tripped(30, "t2").do("reset", 40, 41, "fail", trip="t2", reason="r", actor="bob")
        assert stop.stands(42, "ARMED", "t2").verdict(cooldown()) is VIOLATED

    def test_each_trip_has_a_cooldown_of_its_own(self, stop) -> None:
        """A second trip within the first one's begins anew."""
        stop.stands(10, "ARMED").tripped(10).stands(499, "COOLING_DOWN", "t1").tripped(500, "t2")
        assert stop.stands(920, "ARMED", "t2").verdict(cooldown()) is VIOLATED

    def test_a_run_without_arming_says_nothing(self, stop) -> None:
        """Nothing was checked."""
        assert stop.stands(10, "ARMED").tripped(10).judged(cooldown()).checked == 0


class TestBreach:
    """ES4."""

    @pytest.mark.parametrize(
        ("drawdown", "loss", "verdict"),
        [
            (0.05, 0.0, VIOLATED),
            (0.0, 0.1, VIOLATED),
            (float("nan"), 0.0, VIOLATED),
            (0.0, float("inf"), VIOLATED),
            (float("-inf"), 0.0, VIOLATED),
            (0.0499, 0.0999, HOLDS),
        ],
    )
    def test_armed_after_figures_in_breach_is_caught(self, stop, drawdown, loss, verdict) -> None:
        """5 % and 10 % themselves, and what is no number."""
        stop.metrics(1, 0.06, state="TRIPPED")  # something to look at
        stop.metrics(2, drawdown, loss, state="ARMED").stands(2.5, "ARMED")
        assert stop.metrics(3).stands(3.5, "ARMED").verdict(breach(), end=5) is verdict

    def test_while_figures_are_on_their_way_nobody_knows(self, stop) -> None:
        """Armed before they were taken, or after better ones were offered, is no offence."""
        stop.stands(1, "ARMED").metrics(1, 0.06, state="TRIPPED", took=0.5).metrics(2, took=1).stands(2.5, "ARMED")
        assert stop.verdict(breach(), end=4) is HOLDS

    def test_a_reset_that_arms_in_a_breach_is_caught(self, stop) -> None:
        """Its answer says so."""
        stop.metrics(1, 0.06, state="TRIPPED").called(2, trip="t1")
        assert stop.metrics(3).verdict(breach(), end=4) is VIOLATED

    @pytest.mark.parametrize(("at", "verdict"), [(10.5, HOLDS), (11.2, VIOLATED)])
    def test_silence_is_a_breach(self, stop, at, verdict) -> None:
        """Figures of 1 are stale at 11, and 100 ms are allowed for noticing."""
        stop.metrics(1).stands(at, "ARMED")
        assert stop.stands(12, "TRIPPED", "t1").metrics(20, state="TRIPPED").verdict(breach(), end=21) is verdict

    def test_a_dead_host_owes_nothing(self, stop) -> None:
        """Silence ends with its life."""
        stop.metrics(1, 0.06, state="TRIPPED").metrics(2).died(3, 30).stands(31, "ARMED", incarnation=2)
        assert stop.verdict(breach(), end=35) is HOLDS

    @pytest.mark.parametrize(("state", "verdict"), [("TRIPPED", HOLDS), ("ARMED", VIOLATED)])
    def test_five_errors_in_a_row_must_trip(self, stop, state, verdict) -> None:
        """The fifth one's answer tells; a success in between begins anew."""
        for number, ok in enumerate((False, False, True, False, False, False, False)):
            stop.do("execution", number, number, result={"state": "ARMED"}, ok=ok)
        stop.do("execution", 8, 8, result={"state": state}, ok=False)
        assert stop.verdict(breach(), end=9) is verdict


class TestDurable:
    """ES5."""

    @pytest.mark.parametrize(
        ("state", "trip", "verdict"),
        [
            ("TRIPPED", "t1", HOLDS),
            ("COOLING_DOWN", "t1", HOLDS),
            ("TRIPPED", "t2", HOLDS),
            ("ARMED", "t1", VIOLATED),
            ("DISABLED", "", VIOLATED),
        ],
    )
    def test_a_stop_survives(self, stop, state, trip, verdict) -> None:
        """The same one, or a newer one."""
        stop.stands(5, "ARMED").tripped(10).died(12, 15).stands(16, state, trip, incarnation=2)
        assert stop.verdict(durable()) is verdict

    def test_an_ack_without_a_sample_counts(self, stop) -> None:
        """Killed right after the answer."""
        stop.stands(5, "ARMED").do("trip", 6, 7, result={"state": "TRIPPED", "trip": "t1"}, reason="r", actor="risk")
        assert stop.died(7.1, 9).stands(10, "ARMED", incarnation=2).verdict(durable()) is VIOLATED

    @pytest.mark.parametrize("last", ["ARMED", "DISABLED"])
    def test_what_was_not_stopped_may_begin_anyhow(self, stop, last) -> None:
        """Nothing is riskier."""
        assert stop.stands(5, last).died(12, 15).stands(16, "ARMED", incarnation=2).verdict(durable()) is HOLDS

    def test_a_cooldown_that_was_over_may_have_ended_unseen(self, stop) -> None:
        """After 900 s of it."""
        stop.stands(5, "ARMED").tripped(10).stands(904, "COOLING_DOWN", "t1").died(912, 915)
        assert stop.stands(916, "ARMED", "t1", incarnation=2).verdict(durable()) is HOLDS

    def test_a_reset_under_way_may_have_been_done(self, stop) -> None:
        """Its answer died with the host; one that was answered before the stop was seen last has not armed it."""
        stop.stands(5, "ARMED").tripped(10).do("reset", 11.5, trip="t1", reason="r", actor="bob")
        assert stop.died(12, 15).stands(16, "ARMED", "t1", incarnation=2).verdict(durable()) is HOLDS

    def test_damage_excuses_nothing(self, stop) -> None:
        """An emptied file is no reason to begin out of service, which is one step from armed."""
        stop.stands(5, "ARMED").tripped(10).damaged(11, 13).died(11, 13).stands(14, "DISABLED", incarnation=2)
        assert stop.verdict(durable()) is VIOLATED


class TestHeard:
    """ES6."""

    def told(self, stop, *groups, trip="t1", to="TRIPPED", transition="b", time=20):
        for group in groups:
            stop.see("heard", time, "subscriber", group=group, trip=trip, to=to, transition=transition)
        return stop

    def subscribed(self, stop):
        stop.run.host("subscriber", "started", 0)
        return stop.see("groups", 0, "subscriber", groups=["pager", "dashboard"], types=[])

    @pytest.mark.parametrize(
        ("groups", "verdict"), [(("pager", "dashboard"), HOLDS), (("pager",), VIOLATED), ((), VIOLATED)]
    )
    def test_every_group_hears_of_a_trip(self, stop, groups, verdict) -> None:
        """However late, and known only from the answer."""
        self.subscribed(stop).do("trip", 1, 2, result={"state": "TRIPPED", "trip": "t1"}, reason="r", actor="risk")
        assert self.told(stop, *groups).verdict(heard()) is verdict

    def test_the_end_of_a_stop_is_no_news_of_its_beginning(self, stop) -> None:
        """The same trip, another transition."""
        self.subscribed(stop).tripped(1)
        assert self.told(stop, "pager", "dashboard", to="COOLING_DOWN").verdict(heard()) is VIOLATED

    def test_rows_of_the_trail_are_owed_too(self, stop) -> None:
        """Also those that nobody saw happen, up to the last that somebody saw."""
        self.subscribed(stop).stands(5, "ARMED", "", "b")
        stop.trail(30, ("a", "", "DISABLED", "ARMED"), ("b", "", "ARMED", "DISABLED"), ("c", "", "DISABLED", "ARMED"))
        self.told(stop, "pager", "dashboard", trip="", to="DISABLED", transition="b")
        assert stop.verdict(heard()) is VIOLATED
        assert self.told(stop, "pager", "dashboard", trip="", to="ARMED", transition="a").verdict(heard()) is HOLDS

    @pytest.mark.parametrize(("tripped", "verdict"), [(8.5, HOLDS), (5, VIOLATED)])
    def test_what_a_damaged_file_may_have_held_is_not_owed(self, stop, tripped, verdict) -> None:
        """A trip of its last second."""
        self.subscribed(stop).tripped(tripped, took=0.01).damaged(9, 10).tripped(12, "t2")
        assert self.told(stop, "pager", "dashboard", trip="t2").verdict(heard()) is verdict

    def test_who_has_ended_hears_nothing(self, stop) -> None:
        """A trip within a second of that is not owed."""
        self.subscribed(stop).tripped(10).tripped(50, "t2", took=0.01)
        stop.run.host("subscriber", "stopped", 50.5)
        assert self.told(stop, "pager", "dashboard").verdict(heard()) is HOLDS


class TestAuthorised:
    """ES7."""

    @pytest.mark.parametrize(("status", "verdict"), [(401, HOLDS), (200, VIOLATED), (409, VIOLATED), (500, VIOLATED)])
    def test_bad_calls_are_refused_as_such(self, stop, status, verdict) -> None:
        """With the status that belongs to the defect, not by the luck of another refusal."""
        stop.called(5, status=status, code="unauthorized", defect="wrong token", expect=401, trip="t1")
        assert stop.trail(9, refused={"unauthorized": 1}).verdict(authorised()) is verdict

    @pytest.mark.parametrize(
        ("refused", "verdict"),
        [
            ({"unauthorized": 2}, HOLDS),
            ({"unauthorized": 3, "invalid": 1}, HOLDS),
            ({"unauthorized": 1, "flood": 1}, HOLDS),
            ({"unauthorized": 1}, VIOLATED),
            ({"invalid": 2}, VIOLATED),
            ({}, VIOLATED),
        ],
    )
    def test_refused_calls_are_in_the_audit(self, stop, refused, verdict) -> None:
        """Each, by its code; a flood of them as one."""
        for time in (5, 6):
            stop.called(time, status=401, code="unauthorized", defect="no token", expect=401)
        assert stop.trail(9, refused=refused).verdict(authorised()) is verdict

    def test_what_was_audited_before_a_loss_is_not_missed(self, stop) -> None:
        """It went with the file."""
        stop.called(5, status=401, code="unauthorized", defect="no token", expect=401).damaged(6, 7)
        assert stop.trail(9).verdict(authorised()) is HOLDS

    @pytest.mark.parametrize(
        ("actor", "reason", "verdict"),
        [
            ("alice", "good", HOLDS),
            ("alice", "bad", VIOLATED),
            ("mallory", "good", VIOLATED),
            ("risk", "why t1", HOLDS),
            ("system", "anything", HOLDS),
        ],
    )
    def test_whatever_a_person_did_was_asked_for(self, stop, actor, reason, verdict) -> None:
        """By a good call, or from inside, in that name and with that reason."""
        stop.tripped(1).called(5, call="trigger", key="good")
        stop.called(6, call="trigger", key="bad", status=401, code="unauthorized", defect="no token", expect=401)
        stop.trail(9, ("a", "a", "DISABLED", "TRIPPED", actor, reason), refused={"unauthorized": 1})
        assert stop.verdict(authorised()) is verdict


@pytest.mark.parametrize(
    "invariant", [no_order_after_trip(), legal(), cooldown(), breach(), durable(), heard(), authorised()]
)
def test_nothing_seen_is_nothing_checked(run, invariant) -> None:
    """An empty run gives them nothing to hold."""
    assert invariant.judge(run.end(1)).checked == 0


@pytest.mark.parametrize("invariant", [legal(), authorised()])
def test_a_run_that_was_cut_short_is_no_finding(stop, invariant) -> None:
    """Its audit was read at the beginning only, and cannot tell of what came after."""
    stop.trail(1).stands(5, "TRIPPED", "t1")
    stop.called(6, status=401, code="unauthorized", defect="no token", expect=401)
    assert invariant.judge(stop.run.cut()).verdict is HOLDS
