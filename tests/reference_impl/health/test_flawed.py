"""Each flawed variant works while nothing fails: a defect that shows without a fault would prove nothing."""

import asyncio

import httpx
import pytest

from reference_impl.flawed import health_service as flawed

pytestmark = pytest.mark.real


def test_every_variant_is_a_name_of_its_module() -> None:
    """Scenarios name variants as `module:attribute`."""
    assert {name: getattr(flawed, name) for name in flawed.VARIANTS} == flawed.VARIANTS
    assert len(flawed.VARIANTS) == 16


@pytest.mark.parametrize("variant", flawed.VARIANTS)
async def test_a_flawed_variant_works_while_nothing_fails(serve, tmp_path, variant: str) -> None:
    """Healthy services are shown as such, and nobody is told anything."""
    served = [await serve() for _ in range(3)]
    services = [
        {"name": f"s{number}", "url": one.url, "critical": True, "depends_on": []} for number, one in enumerate(served)
    ]
    alerts = []
    monitor = flawed.VARIANTS[variant](
        services=services, directory=tmp_path, name="m", on_alert=alerts.append, interval=5.0, timeout=5.0
    )
    await monitor.start()
    transport = httpx.ASGITransport(monitor.app())
    async with httpx.AsyncClient(transport=transport, base_url="http://m") as client, asyncio.timeout(20):
        states = {"UNKNOWN"}
        while states != {"HEALTHY"} or not all(one.asked for one in served):
            await asyncio.sleep(0.01)
            health = (await client.get("/api/health")).json()
            states = {one["state"] for one in health["services"].values()}
    await monitor.close()
    assert alerts == []
