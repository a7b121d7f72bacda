"""The fault of a full disk: what it does to the world, and what proves that it bit."""

import pytest

from harness.errors import UsageError
from harness.faults.disk import disk_full
from harness.tape import Tape


async def test_full_inside_the_scope_and_free_after_it(noting):
    """And not before the scope is left."""
    async with disk_full("publisher").hold(noting, "full", Tape(1).stream("fault/0")):
        assert noting.world.calls == [("fill", "publisher")]
    assert noting.world.calls == [("fill", "publisher"), ("free", "publisher")]


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError])
async def test_freed_on_every_way_out(noting, error):
    """An error inside the scope frees the disk, and is passed on as it is."""
    with pytest.raises(error):
        async with disk_full("publisher").hold(noting, "full", Tape(1).stream("fault/0")):
            raise error
    assert noting.world.calls[-1] == ("free", "publisher")


async def test_an_unknown_host_is_named(noting):
    """Before anything is done."""
    with pytest.raises(UsageError, match="unknown host 'consumer'"):
        async with disk_full("consumer").hold(noting, "full", Tape(1).stream("fault/0")):
            pass
    assert noting.world.calls == []


def test_it_bit_if_writes_were_refused(seen_under):
    """The counts add up, that of the moment of healing included."""
    seen = [(at, "publisher", "disk", {"failed_writes": 3}) for at in (100, 150, 200)]
    judged = disk_full("publisher").evidence(*seen_under(disk_full("publisher"), *seen))
    assert judged.bit
    assert judged.counts == {"failed_writes": 9, "operations": 0}


@pytest.mark.parametrize(
    "seen",
    [
        [],
        [(150, "publisher", "disk", {"failed_writes": 0})],
        [(99, "publisher", "disk", {"failed_writes": 1})],
        [(201, "publisher", "disk", {"failed_writes": 1})],
        [(150, "consumer", "disk", {"failed_writes": 1})],
        [(150, "publisher", "failures", {"failed_writes": 1})],
    ],
    ids=["nothing", "none refused", "before", "after", "another host", "another observation"],
)
def test_anything_less_is_no_proof(seen_under, seen):
    """A host that never wrote, another host, or another time."""
    fault = disk_full("publisher")
    assert not fault.evidence(*seen_under(fault, *seen)).bit
