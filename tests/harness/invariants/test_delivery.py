"""EB1 to EB4 on histories written by hand: each holds, each way to violate it, each way to be undecided."""

import pytest

from harness.errors import HistoryError
from harness.invariants.base import judge_all
from harness.invariants.delivery import delivered_once, no_acked_loss, no_phantoms, order_per_key
from harness.invariants.flow import Flow
from harness.verdict import Outcome


def judge(invariant, history):
    """The result as a run would get it."""
    return judge_all(history, [invariant])[0]


class TestNoAckedLoss:
    def test_holds_when_every_group_got_every_acked_event(self, run):
        """One event, two groups: two things checked."""
        run.groups("risk", "books").publish("a", 1, 1.1).deliver("a", 1.2).deliver("a", 9, group="books")
        result = judge(no_acked_loss(), run.end(10))
        assert (result.verdict, result.checked, result.observed) == (Outcome.HOLDS, 2, 0)

    def test_an_event_missing_in_one_group_is_lost(self, run):
        """Delivery to the other group is no excuse, and is shown as context."""
        run.groups("risk", "books").fault(0.5, 2).publish("a", 1, 1.1).deliver("a", 1.2)
        result = judge(no_acked_loss(), run.end(10))
        assert (result.verdict, result.observed) == (Outcome.VIOLATED, 1)
        assert "1 acked event never reached books (limit 0)" in result.finding.sentence
        assert [row.event for row in result.finding.rows] == [
            "fault began: redis.outage (hang)",
            "publish orders",
            "acked as id-a",
            "delivered to risk as id-a",
            "fault healed: redis.outage (hang)",
        ]
        assert [row.event for row in result.finding.rows if row.offending] == ["acked as id-a"]

    @pytest.mark.parametrize("outcome", ["fail", "info"])
    def test_only_acked_events_are_owed(self, run, outcome):
        """A rejected event and one of unknown outcome may be missing."""
        run.groups("risk").publish("a", 1, 1.1, outcome).publish("b", 2, 2.1).deliver("b", 3)
        assert Outcome.HOLDS is judge(no_acked_loss(), run.end(10)).verdict

    def test_an_announced_overflow_is_excused(self, run):
        """Announced by bus id."""
        run.groups("risk").publish("a", 1, 1.1).overflow(5, "a").publish("b", 2, 2.1).deliver("b", 3)
        assert Outcome.HOLDS is judge(no_acked_loss(), run.end(10)).verdict

    def test_a_group_is_owed_only_the_types_it_declared(self, run):
        """Nothing else of this history is owed to anyone, so it decides nothing."""
        run.groups("risk", types=["fills"]).publish("a", 1, 1.1)
        assert Outcome.INCONCLUSIVE is judge(no_acked_loss(), run.end(10)).verdict

    def test_without_a_group_nothing_is_decided(self, run):
        """And the reason says so."""
        result = judge(no_acked_loss(), run.publish("a", 1, 1.1).end(10))
        assert (result.verdict, result.reason) == (Outcome.INCONCLUSIVE, "no consumer group was declared")

    @pytest.mark.parametrize("delivered", [True, False])
    def test_a_history_cut_short_decides_nothing(self, run, delivered):
        """What is missing may be late, and what is complete so far may not be so in the end."""
        run.groups("risk").publish("a", 1, 1.1)
        if delivered:
            run.deliver("a", 2)
        result = judge(no_acked_loss(), run.cut())
        assert (result.verdict, result.finding) == (Outcome.INCONCLUSIVE, None)
        assert "cut short" in result.reason

    def test_a_retried_key_is_acked_once_any_attempt_is(self, run):
        """The first attempt died with its publisher; the second was acked and lost."""
        run.groups("risk").publish("a", 1).publish("a", 3, 3.1, incarnation=2)
        assert Outcome.VIOLATED is judge(no_acked_loss(), run.end(10)).verdict

    def test_the_names_of_the_flow_can_be_chosen(self, run):
        """Under another vocabulary this history holds nothing."""
        run.groups("risk").publish("a", 1, 1.1)
        assert Outcome.INCONCLUSIVE is judge(no_acked_loss(flow=Flow(publish="send")), run.end(10)).verdict

    def test_twenty_five_rows_are_the_most(self, run):
        """Count, first and last cover all; the timeline does not grow."""
        run.groups("risk")
        for number in range(100):
            run.publish(f"p-{number}", number, number + 0.1)
        finding = judge(no_acked_loss(), run.end(200)).finding
        assert (finding.count, len(finding.rows)) == (100, 25)
        assert (finding.first, finding.last) == ("p-0 at 0.000 s", "p-99 at 99.000 s")
        assert [row.time_s for row in finding.rows] == sorted(row.time_s for row in finding.rows)


class TestOrder:
    def test_holds_in_order(self, run):
        """One pair to compare."""
        run.publish("a", 1, 1.1).publish("b", 2, 2.1).deliver("a", 3).deliver("b", 3)
        result = judge(order_per_key(), run.end(10))
        assert (result.verdict, result.checked) == (Outcome.HOLDS, 1)

    def test_an_overtaking_in_one_group(self, run):
        """The other group's order was right, which does not help."""
        run.publish("a", 1, 1.1).publish("b", 2, 2.1).deliver("b", 3).deliver("a", 3.5)
        run.deliver("a", 3, group="books").deliver("b", 3.5, group="books")
        result = judge(order_per_key(), run.end(10))
        assert (result.verdict, result.observed) == (Outcome.VIOLATED, 1)
        assert "risk was given b before a" in result.finding.sentence
        assert [row.id for row in result.finding.rows if row.offending] == ["b", "a"]

    def test_one_instant_is_enough(self, run):
        """Ack and next publish share their time, and so do the deliveries: the order of the record decides."""
        run.publish("a", 1, 1).publish("b", 1, 1).deliver("b", 1).deliver("a", 1)
        assert Outcome.VIOLATED is judge(order_per_key(), run.end(10)).verdict

    @pytest.mark.parametrize(
        "other",
        [
            {"start": 1.05},
            {"start": 2, "type": "fills"},
            {"start": 2, "actor": "other"},
        ],
    )
    def test_overlapping_or_unrelated_publishes_are_free(self, run, other):
        """Overlapping in time, of another type, or of another producer."""
        run.publish("a", 1, 1.1).publish("b", ack=2.5, **other).deliver("b", 3).deliver("a", 4)
        assert Outcome.VIOLATED is not judge(order_per_key(), run.end(10)).verdict

    def test_a_producer_is_the_same_after_its_restart(self, run):
        """Order is owed across incarnations."""
        run.publish("a", 1, 1.1).publish("b", 2, 2.1, incarnation=2).deliver("b", 3).deliver("a", 4)
        assert Outcome.VIOLATED is judge(order_per_key(), run.end(10)).verdict

    def test_the_earliest_ack_behind_a_delivery_decides(self, run):
        """B overtook A, though what came last, C, was free to come after B."""
        run.publish("a", 1, 1.1).publish("b", 2, 2.1).publish("c", 2.5, 2.6)
        result = judge(order_per_key(), run.deliver("b", 3).deliver("a", 4).deliver("c", 5).end(10))
        assert (result.verdict, result.observed) == (Outcome.VIOLATED, 1)

    def test_a_retried_key_is_ordered_by_its_first_ack(self, run):
        """A was acked before B began; that it was tried once more later changes nothing."""
        run.publish("a", 1, 1.1).publish("b", 2, 2.1).publish("a", 3, 3.1, incarnation=2)
        assert judge(order_per_key(), run.deliver("b", 4).deliver("a", 5).end(10)).verdict is Outcome.VIOLATED

    def test_an_unacked_event_may_not_overtake_either(self, run):
        """B was never acked, yet it was offered after A's ack."""
        run.publish("a", 1, 1.1).publish("b", 2).deliver("b", 3).deliver("a", 4)
        assert Outcome.VIOLATED is judge(order_per_key(), run.end(10)).verdict

    def test_repetitions_and_losses_are_not_its_business(self, run):
        """A late second delivery of A, and C that never came."""
        run.publish("a", 1, 1.1).publish("c", 1.2, 1.3).publish("b", 2, 2.1).deliver("a", 3, 5).deliver("b", 4)
        assert Outcome.HOLDS is judge(order_per_key(), run.end(10)).verdict

    def test_a_single_delivery_has_no_order(self, run):
        """So nothing is decided."""
        assert Outcome.INCONCLUSIVE is judge(order_per_key(), run.publish("a", 1, 2).deliver("a", 3).end(9)).verdict


class TestNoPhantoms:
    @pytest.mark.parametrize("ack", [{}, {"ack": 1.1}, {"ack": 1.1, "outcome": "info"}])
    def test_whatever_was_offered_may_arrive(self, run, ack):
        """Acked or not."""
        assert Outcome.HOLDS is judge(no_phantoms(), run.publish("a", 1, **ack).deliver("a", 2).end(9)).verdict

    @pytest.mark.parametrize(
        ("key", "changed", "words"),
        [
            ("b", {}, "b was never offered"),
            ("a", {"digest": "x"}, "came with another payload"),
            ("a", {"type": "fills"}, "came as type 'fills'"),
        ],
    )
    def test_anything_else_is_a_phantom(self, run, key, changed, words):
        """Each kind says what is wrong with it."""
        run.publish("a", 1, 1.1).deliver(key, 2, **changed)
        result = judge(no_phantoms(), run.end(9))
        assert (result.verdict, result.observed) == (Outcome.VIOLATED, 1)
        assert words in result.finding.sentence

    def test_nothing_arrives_before_it_is_offered(self, run):
        """A delivery of the future is a phantom as well."""
        result = judge(no_phantoms(), run.publish("a", 3, 3.1).deliver("a", 2).end(9))
        assert "came before it was offered" in result.finding.sentence

    def test_a_payload_without_a_key_is_a_phantom(self, run):
        """A mangled payload is the target's fault, not an unreadable history."""
        run.publish("a", 1, 1.1).deliver("a", 2)
        run.events[-1].value["key"] = None
        assert "(no key) was never offered" in judge(no_phantoms(), run.end(9)).finding.sentence

    def test_a_record_that_lacks_a_field_is_an_error(self, run):
        """Never a verdict on the target."""
        run.publish("a", 1, 1.1).deliver("a", 2)
        del run.events[-1].value["digest"]
        result = judge(no_phantoms(), run.end(9))
        assert Outcome.ERROR is result.verdict
        assert HistoryError.__name__ in result.reason
        assert "digest" in result.reason


class TestDeliveredOnce:
    def test_once_for_each_group(self, run):
        """Two groups, one delivery each."""
        run.publish("a", 1, 1.1).deliver("a", 2).deliver("a", 2, group="books")
        result = judge(delivered_once(), run.end(9))
        assert (result.verdict, result.checked) == (Outcome.HOLDS, 2)

    def test_a_repetition(self, run):
        """Counted without the first one."""
        result = judge(delivered_once(), run.publish("a", 1, 1.1).deliver("a", 2, 3, 4.5).end(9))
        assert (result.verdict, result.observed) == (Outcome.VIOLATED, 2)
        assert "risk was given a again after 1 s" in result.finding.sentence
        assert result.finding.worst == "a to risk at 4.500 s"

    def test_a_repetition_under_a_new_id(self, run):
        """Giving the same event another id does not make it another event."""
        run.publish("a", 1, 1.1).deliver("a", 2).deliver("a", 3, id="other")
        assert Outcome.VIOLATED is judge(delivered_once(), run.end(9)).verdict

    @pytest.mark.parametrize(("second_id", "verdict"), [("id-a2", Outcome.HOLDS), ("id-a", Outcome.VIOLATED)])
    def test_a_key_tried_twice_may_come_twice_under_two_ids(self, run, second_id, verdict):
        """To the bus those are two events; under one id it is still a repetition."""
        run.publish("a", 1).publish("a", 3, 3.1, id="id-a2", incarnation=2).deliver("a", 4).deliver(
            "a", 5, id=second_id
        )
        assert verdict is judge(delivered_once(), run.end(9)).verdict

    def test_no_delivery_decides_nothing(self, run):
        """Nothing arrived, so nothing arrived twice - which is no merit."""
        assert Outcome.INCONCLUSIVE is judge(delivered_once(), run.publish("a", 1, 2).end(9)).verdict
