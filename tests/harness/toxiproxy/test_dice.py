"""Chance repeats: same seed, same proxy, same connection, same toxic - same draws."""

import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.toxiproxy.dice import dice_of

KEYS = st.tuples(st.integers(), st.text(), st.integers(1, 10_000), st.text())


def draws(seed, proxy, connection, toxic):
    """Return ten draws."""
    dice = dice_of(seed, proxy, connection)(toxic)
    return [dice.below(1 << 52) for _ in range(10)]


@given(KEYS)
def test_draws_repeat(key):
    """The same key gives the same draws, whatever was drawn elsewhere."""
    first = draws(*key)
    draws(key[0] + 1, *key[1:])
    assert draws(*key) == first


@given(KEYS, KEYS)
def test_draws_are_independent(one, other):
    """Another seed, proxy, connection or toxic gives other draws."""
    if one != other and "/" not in "".join((one[1], one[3], other[1], other[3])):
        assert draws(*one) != draws(*other)


@given(st.integers(1, 1 << 52))
def test_draws_are_below_their_bound(bound):
    """Every draw is in `[0, bound)`."""
    dice = dice_of(1, "p", 1)("t")
    assert all(0 <= dice.below(bound) < bound for _ in range(20))


@pytest.mark.real
def test_a_seed_repeats_who_is_taken(make_server, receive):
    """The same seed takes the same connections, another one others; the API tells the seed."""

    def taken(seed):
        server = make_server("--seed", str(seed))
        assert server.call("GET", "/effects").json()["seed"] == seed
        with socket.create_server(("127.0.0.1", 0)) as upstream:
            address = f"127.0.0.1:{upstream.getsockname()[1]}"
            listen = server.call("POST", "/proxies", {"name": "p", "upstream": address}).json()["listen"]
            toxic = {"type": "discard_first", "toxicity": 0.5, "attributes": {"bytes": 1}}
            assert server.call("POST", "/proxies/p/toxics", toxic).status == 200
            pattern = ""
            for _ in range(40):
                with socket.create_connection(("127.0.0.1", int(listen.rpartition(":")[2])), 10) as client:
                    end, _ = upstream.accept()
                    with end:
                        end.sendall(b"12")
                        pattern += receive(client, 1).decode()
        assert server.stop() == 0
        return pattern

    first = taken(7)
    assert set(first) == {"1", "2"}
    assert taken(7) == first
    assert taken(8) != first
