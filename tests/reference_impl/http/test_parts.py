"""The parts of the guard by themselves: tokens, ids, and the bound on records of refused calls."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reference_impl._http import tokens as tokens_module
from reference_impl._http.audit import RefusalLog, Throttle
from reference_impl._http.nonces import RecentNonces, well_formed
from reference_impl._http.refusals import Refused
from reference_impl._http.tokens import Tokens

CALL = Refused(who=None, source="10.0.0.9", method="POST", path="/x", status=401, code="unauthorized")


@pytest.mark.parametrize(
    "token", ["", "short", "x" * 15, "with space in it....", "umlaut-ä-0123456789", "new\nline-0123456789"]
)
def test_tokens_that_cannot_be_used_are_refused_by_name(token) -> None:
    """At the start, by the operator's name and not by the token."""
    with pytest.raises(ValueError, match="token of alice") as caught:
        Tokens({"alice": token})
    assert not token or token not in str(caught.value)


def test_two_operators_cannot_share_a_token() -> None:
    """Nobody could say who called."""
    with pytest.raises(ValueError, match="token of bob"):
        Tokens({"alice": "x" * 20, "bob": "x" * 20})


def test_every_token_is_compared_by_the_constant_time_function(monkeypatch) -> None:
    """Digests of one length, all of them, also after the one that matched."""
    compared = []

    def compare(one, other):
        compared.append((len(one), len(other)))
        return one == other

    monkeypatch.setattr(tokens_module.hmac, "compare_digest", compare)
    tokens = Tokens({"alice": "a" * 20, "bob": "b" * 30, "carol": "c" * 40})
    assert tokens.operator([b"Bearer " + b"a" * 20]) == "alice"
    assert compared == [(32, 32)] * 3


@pytest.mark.parametrize("header", [b"bearer " + b"a" * 20, b"BEARER  " + b"a" * 20, b"Bearer " + b"a" * 20 + b" "])
def test_the_scheme_is_in_any_case(header) -> None:
    """As RFC 9110 has it, with more than one space too."""
    assert Tokens({"alice": "a" * 20}).operator([header]) == "alice"


def test_no_token_at_all_lets_nobody_in() -> None:
    """A service without operators is closed, not open."""
    assert Tokens({}).operator([b"Bearer "]) is None


def test_ids_are_remembered_up_to_a_number_for_each_operator() -> None:
    """The oldest is forgotten, and one operator's ids push out none of another's."""
    nonces = RecentNonces(kept=2)
    assert nonces.use("bob", "b1")
    assert [nonces.use("alice", nonce) for nonce in ("a1", "a2", "a1", "a3", "a3", "a1")] == [
        True,
        True,
        False,
        True,
        False,
        True,
    ]
    assert not nonces.use("bob", "b1")


def test_forms_of_ids() -> None:
    """UUIDs are; what could break a line of a log is not."""
    assert well_formed("0190f5fe-7c00-7a00-8000-000000000000")
    assert not any(well_formed(nonce) for nonce in ("1234567", "x" * 65, "abcdefgh\n", "äbcdefgh"))


@given(st.lists(st.floats(0, 40), max_size=60), st.integers(1, 5))
def test_a_throttle_loses_no_call_and_tells_of_few(gaps, limit) -> None:
    """All calls are accounted for, in at most `limit` records and one sum for each window."""
    throttle = Throttle(window_s=10, limit=limit)
    now, told = 0.0, []
    for gap in gaps:
        now += gap
        told += throttle.offer(CALL, now)
    told += throttle.due(now, closing=True)
    assert sum(one.count for one in told) == len(gaps)
    assert len(told) <= (limit + 1) * (now // 10 + 1)
    assert throttle.due_at is None


async def test_a_flood_is_told_of_when_its_window_is_over() -> None:
    """By itself, without another call; what is left is told of at the end."""
    told, over = [], asyncio.Event()

    async def keep(refused):
        told.append((refused.code, refused.count))
        if refused.code == "flood":
            over.set()

    refusals = RefusalLog(keep, Throttle(window_s=0.02, limit=2))
    for _ in range(50):
        await refusals.tell(CALL)
    assert told == [("unauthorized", 1)] * 2
    await asyncio.wait_for(over.wait(), 5)
    assert told[2:] == [("flood", 48)]
    for _ in range(3):
        await refusals.tell(CALL)
    await refusals.close()
    assert sum(count for _, count in told) == 53
