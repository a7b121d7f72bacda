"""Correct histories hold, whatever they look like; one thing broken is caught by the invariant meant for it.

Every history, broken or not, is also judged by naive oracles, which must agree on EB1 to EB6.
"""

import importlib.util
import sys
from dataclasses import replace
from pathlib import Path

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from harness.invariants.base import judge_all
from harness.invariants.bounds import bounded, capacity
from harness.invariants.delivery import delivered_once, no_acked_loss, no_phantoms, order_per_key
from harness.invariants.recovery import recovers_within
from harness.units import ms, seconds
from harness.verdict import Outcome


def _beside(name):
    """Import a module beside this file: test directories are no packages."""
    path = Path(__file__).with_name(f"{name}.py")
    spec = importlib.util.spec_from_file_location(f"invariants_{name}", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


model = _beside("bus_model")
oracles = _beside("oracles")

property_test = settings(max_examples=60, deadline=None)


def violated_by(bus):
    """The ids of what a bus violates; the invariants and the oracles must agree, and nothing may be undecided."""
    history = bus.history()
    results = judge_all(
        history,
        [
            no_acked_loss(),
            order_per_key(),
            no_phantoms(),
            delivered_once(),
            bounded("publish", ms(250)),
            recovers_within(seconds(5), after="redis.outage"),
            capacity(bus.capacity),
        ],
    )
    assert {Outcome.HOLDS, Outcome.VIOLATED} >= {one.verdict for one in results}, results
    for one in results:
        assert (one.verdict is Outcome.VIOLATED) == (one.finding is not None)
        if one.finding is not None:
            assert 1 <= len(one.finding.rows) <= 25
            assert any(row.offending for row in one.finding.rows)
    found = {one.id for one in results if one.verdict is Outcome.VIOLATED}
    assert oracles.violated(history) == found - {"EB7"}
    return found


@property_test
@given(model.buses())
def test_a_correct_bus_holds(bus):
    """All seven, with and without overflow."""
    assert set() == violated_by(bus)


@property_test
@given(model.buses(), st.data())
def test_a_dropped_delivery_is_a_loss(bus, data):
    """EB1; and EB6 where it was owed after an outage."""
    victim = data.draw(st.sampled_from(bus.handed))
    found = violated_by(replace(bus, handed=tuple(one for one in bus.handed if one is not victim)))
    assert {"EB1"} <= found <= {"EB1", "EB6"}


@property_test
@given(model.buses(), st.data())
def test_an_overtaking_is_a_breach_of_order(bus, data):
    """EB2; and EB6 if what was overtaken thereby came too late."""
    pairs = [
        (early, late)
        for early in bus.handed
        for late in bus.handed
        if early.group == late.group
        and (early.message.producer, early.message.type) == (late.message.producer, late.message.type)
        and early.message.ack < late.message.start
    ]
    early, late = data.draw(st.sampled_from(pairs))
    assert {"EB2"} <= violated_by(model.moved_behind(bus, early, late)) <= {"EB2", "EB6"}


@property_test
@given(model.buses(), st.data())
def test_a_repetition_is_caught(bus, data):
    """EB4, and nothing else."""
    again = data.draw(st.sampled_from(bus.handed))
    later = replace(again, time=data.draw(st.integers(again.time, model.END)))
    assert {"EB4"} == violated_by(replace(bus, handed=(*bus.handed, later)))


@property_test
@given(model.buses(), st.data(), st.sampled_from([{"digest": "changed"}, {"type": "z"}]))
def test_a_changed_event_is_a_phantom(bus, data, change):
    """EB3, and nothing else."""
    victim = data.draw(st.sampled_from(bus.handed))
    handed = tuple(replace(one, **change) if one is victim else one for one in bus.handed)
    assert {"EB3"} == violated_by(replace(bus, handed=handed))


@property_test
@given(model.buses(), st.data())
def test_an_invented_event_is_a_phantom(bus, data):
    """EB3, and nothing else."""
    invented = model.Message("p9-999", "p9", "x", 0, 0)
    time = data.draw(st.integers(0, model.END))
    handed = (*bus.handed, model.Handed(time, "risk", invented))
    assert {"EB3"} == violated_by(replace(bus, handed=handed))


@property_test
@given(model.buses(), st.data(), st.integers(251, 2_000) | st.none())
def test_a_slow_or_endless_publish_is_caught(bus, data, took):
    """EB5, and nothing else. A late ack demands less of order and recovery, an absent one nothing."""
    victim = data.draw(st.sampled_from([one for one in bus.messages if one.key not in bus.given_up]))
    slow = replace(victim, ack=None if took is None else victim.start + took)
    messages = tuple(slow if one is victim else one for one in bus.messages)
    assert {"EB5"} == violated_by(replace(bus, messages=messages))


@property_test
@given(model.buses(), st.integers(1, 5))
def test_too_many_rows_are_caught(bus, rows):
    """EB7, and nothing else."""
    samples = (*bus.samples, (25_000, bus.capacity + rows))
    assert {"EB7"} == violated_by(replace(bus, samples=samples))


@property_test
@given(model.buses(overflow=True), st.data())
def test_unannounced_overflow_is_caught(bus, data):
    """EB7 for the silence, EB1 and EB6 since nothing excuses the missing event any more."""
    silent = data.draw(st.sampled_from(bus.given_up))
    given_up = tuple(key for key in bus.given_up if key != silent)
    for counted in (bus.dropped, len(given_up)):
        broken = replace(bus, given_up=given_up, dropped=counted)
        assert {"EB1", "EB6", "EB7"} == violated_by(broken)


@property_test
@given(model.buses(), st.integers(-3, 3).filter(bool))
def test_a_wrong_counter_is_caught(bus, error):
    """EB7, and nothing else."""
    assume(bus.dropped + error >= 0)
    assert {"EB7"} == violated_by(replace(bus, dropped=bus.dropped + error))
