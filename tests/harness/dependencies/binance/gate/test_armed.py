"""Arms: what may be asked for, whom they hit, and what they count."""

from collections import Counter

import pytest

from harness.dependencies.binance.arms import KINDS, Arm
from harness.dependencies.binance.gate.armed import OPTIONS, Armed, checked
from harness.errors import WorldError
from harness.tape import Stream

ORDER = ("POST", "/fapi/v1/order", "BTCUSDT")


def armed(seed: int = 1) -> Armed:
    """Nothing armed yet."""
    return Armed(Stream("exchange", seed, {}))


def test_every_kind_has_its_options_declared() -> None:
    """A kind that is added to arms.py must be thought about here."""
    assert set(OPTIONS) == set(KINDS)


@pytest.mark.parametrize(
    ("kind", "options", "expected"),
    [
        ("too_many_requests", {}, {}),
        ("ban", {}, {"ms": 120_000}),
        ("too_many_orders", {}, {"status": 429}),
        ("unknown_error", {}, {"executed": 0.5, "after_ms": 0}),
        ("bus_unknown", {"executed": 1, "after_ms": 9}, {"executed": 1, "after_ms": 9}),
        ("backend_timeout", {}, {"executed": 0.5, "after_ms": 0}),
        ("latency", {}, {"ms": 2000, "jitter_ms": 0}),
        ("tenant", {"weight_per_s": 1.5}, {"weight_per_s": 1.5, "orders_per_s": 0}),
        ("limits", {}, {"factor": 0.5}),
        ("thin_book", {}, {"factor": 0.05, "refill_ms": 5000}),
        ("price_move", {}, {"bps": 80}),
        ("price_fall", {}, {"bps": 2000, "over_ms": 3000}),
        ("stream_disconnect", {}, {"every_ms": 1000}),
        ("listen_key_expiry", {}, {"ms": 1000}),
        ("reject", {"code": -2019}, {"code": -2019}),
    ],
)
def test_options_default_as_arms_says(kind, options, expected) -> None:
    """The defaults in brackets of arms.py."""
    assert checked(Arm(kind=kind, options=options)) == expected


@pytest.mark.parametrize(
    ("arm", "text"),
    [
        (Arm(kind="latancy"), "unknown kind of fault 'latancy'; did you mean 'latency'?"),
        (Arm(kind="latency", options={"mss": 1}), "unknown option of latency 'mss'; did you mean 'ms'?"),
        (Arm(kind="firewall", options={"ms": 1}), "unknown option of firewall 'ms'; known: none"),
        (Arm(kind="latency", options={"ms": "1"}), "ms of latency is an integer, not '1'"),
        (Arm(kind="latency", options={"ms": 1.5}), "ms of latency is an integer, not 1.5"),
        (Arm(kind="latency", options={"ms": True}), "ms of latency is an integer, not True"),
        (Arm(kind="latency", options={"ms": 5, "jitter_ms": 6}), "jitter_ms of latency is at most its ms"),
        (Arm(kind="unknown_error", options={"executed": 1.1}), "executed of unknown_error is 0 to 1, not 1.1"),
        (Arm(kind="unknown_error", options={"executed": float("nan")}), "executed of unknown_error is 0 to 1"),
        (Arm(kind="too_many_orders", options={"status": 418}), "status of too_many_orders is 400 or 429, not 418"),
        (Arm(kind="reject"), "reject needs code"),
        (Arm(kind="reject", options={"code": -9998}), "code of reject is none that the exchange knows: -9998"),
        (Arm(kind="tenant"), "tenant needs weight_per_s"),
        (Arm(kind="latency", share=0), "share of latency is above 0 and at most 1, not 0"),
        (Arm(kind="latency", share=1.5), "share of latency is above 0 and at most 1, not 1.5"),
        (Arm(kind="latency", count=-1), "count of latency is 0 (no end) or more, not -1"),
        (Arm(kind="ban", methods=("GET",)), "ban acts on the exchange as a whole"),
        (Arm(kind="tenant", share=0.5, options={"weight_per_s": 1}), "tenant acts on the exchange as a whole"),
    ],
)
def test_what_it_does_not_take_is_said_clearly(arm, text) -> None:
    """One line that says what was wrong, and the nearest right name."""
    made = armed()
    with pytest.raises(WorldError) as raised:
        made.arm(arm)
    assert str(raised.value).startswith(text)
    assert made.by_name == made.by_kind == {}


def test_disarming_what_is_not_armed_is_said() -> None:
    """Also a second time."""
    made = armed()
    name = made.arm(Arm(kind="latency")).name
    made.disarm(name)
    with pytest.raises(WorldError, match="unknown armed fault 'latency#1'"):
        made.disarm(name)


@pytest.mark.parametrize(
    ("narrowed", "hits"),
    [
        ({}, True),
        ({"methods": ("POST", "PUT")}, True),
        ({"methods": ("GET",)}, False),
        ({"paths": ("/fapi/v1/order",)}, True),
        ({"paths": ("/api/*", "/fapi/*")}, True),
        ({"paths": ("/fapi/v1/ord",)}, False),
        ({"symbols": ("ETHUSDT", "BTCUSDT")}, True),
        ({"symbols": ("ETHUSDT",)}, False),
    ],
)
def test_an_arm_hits_only_what_matches(narrowed, hits) -> None:
    """By method, by glob of the path, by symbol; all of them must fit."""
    made = armed()
    live = made.arm(Arm(kind="firewall", **narrowed))
    assert (made.hit("firewall", *ORDER) is live) == hits
    assert live.hits == int(hits)


def test_a_count_ends_it() -> None:
    """The first so many, and then nobody; what does not match does not count."""
    made = armed()
    made.arm(Arm(kind="firewall", count=2, methods=("POST",)))
    made.hit("firewall", "GET", *ORDER[1:])
    assert [made.hit("firewall", *ORDER) is not None for _ in range(4)] == [True, True, False, False]


def test_a_share_is_drawn_and_the_same_seed_draws_the_same() -> None:
    """Within five standard deviations of the share over 4,000 throws; certain arms throw no dice."""
    made, again = armed(3), armed(3)
    for each in (made, again):
        each.arm(Arm(kind="firewall", share=0.25))
    hits = [made.hit("firewall", *ORDER) is not None for _ in range(4_000)]
    assert hits == [again.hit("firewall", *ORDER) is not None for _ in range(4_000)]
    assert abs(Counter(hits)[True] - 1_000) < 5 * (4_000 * 0.25 * 0.75) ** 0.5
    certain = armed()
    certain.arm(Arm(kind="firewall"))
    certain.hit("firewall", *ORDER)
    assert len(certain._dice.values) == 0


def test_a_draw_of_nothing_is_no_fault() -> None:
    """0 is the simplest choice on a tape: what a shrunk run is full of."""
    made = Armed(Stream("exchange", 1, dict.fromkeys(range(10), 0)))
    made.arm(Arm(kind="firewall", share=0.999))
    assert [made.hit("firewall", *ORDER) for _ in range(10)] == [None] * 10


def test_the_second_arm_of_a_kind_gets_what_the_first_leaves() -> None:
    """They do not hide each other."""
    made = armed()
    first = made.arm(Arm(kind="firewall", count=1))
    second = made.arm(Arm(kind="firewall"))
    assert [made.hit("firewall", *ORDER) for _ in range(3)] == [first, second, second]
    made.disarm(first.name)
    assert made.hit("firewall", *ORDER) is second
    assert second.as_fields() == {"fault": "firewall", "arm": "firewall#2", "hits": 3}
