"""Each flawed variant works while nothing fails: its defect is of a kind that only a fault shows."""

import pytest

from reference_impl.flawed import policy_store as flawed

pytestmark = pytest.mark.real


@pytest.mark.parametrize("variant", flawed.VARIANTS)
async def test_a_flawed_variant_works_while_nothing_fails(server, make_store, eventually, variant) -> None:
    """One writer, one reader that hears of it, and figures that are added to once."""
    writer = make_store(server.url, "writer", flawed.VARIANTS[variant])
    reader = make_store(server.url, "reader", flawed.VARIANTS[variant])
    await writer.start()
    await reader.start()
    await eventually(lambda: server.client.pubsub_numsub("policy.updated")[0][1] >= 1)
    await writer.update({"profile": "AGGRESSIVE"}, adds={"cap:x": 5})
    await eventually(lambda: writer.get().policy.caps == {"x": 5})
    await writer.update({"leverage": 20}, adds={"cap:x": 2})
    await eventually(lambda: writer.get().policy.caps == {"x": 7})
    await reader.refresh()
    await eventually(lambda: reader.get().policy == writer.get().policy)
    assert (reader.get().limits.leverage, reader.get().version) == (20, writer.get().version)


def test_every_variant_is_a_name_of_its_module() -> None:
    """Scenarios name variants as `module:attribute`."""
    assert {name: getattr(flawed, name) for name in flawed.VARIANTS} == flawed.VARIANTS
    assert len(flawed.VARIANTS) == 14
