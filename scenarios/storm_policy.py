"""Recording the policy store that `execution` goes by."""

import asyncio
from collections.abc import Mapping
from typing import Any, Final

from harness.units import ms, seconds
from harness.world.base import Host
from scenarios.policy_hosts import see
from scenarios.storm_record import Recorded

_POLICY_SAMPLE_NS: Final = ms(500)


class RecordedPolicy(Recorded):
    """A policy store: every read and update, and a read now and then."""

    def __init__(self, host: Host, part: Any, *, max_age_s: float, hard_limit_s: float) -> None:
        super().__init__(host, part)
        host.log.observe("policy_ages", max_age_ns=seconds(max_age_s), hard_limit_ns=seconds(hard_limit_s))

    async def start(self) -> None:
        """Start it."""
        await self.part.start()
        self.sample_every(_POLICY_SAMPLE_NS, self.get)

    def get(self) -> Any:
        """Read, and record what was read."""
        looked_ns = self.host.now_ns()
        view = self.part.get()
        see(self.host, view, looked_ns)
        return view

    async def update(
        self, sets: Mapping[str, Any], *, adds: Mapping[str, int], expected_version: int | None = None
    ) -> Any:
        """Update, as an operation `update`."""
        based_on = {} if expected_version is None else {"expected_version": expected_version}
        operation = self.host.log.begin("update", {"sets": dict(sets), "adds": dict(adds)})
        try:
            view = await self.part.update(sets, adds=adds, **based_on)
        except asyncio.CancelledError:
            operation.info("cancelled")
            raise
        except Exception as error:
            text = " ".join(f"{type(error).__name__}: {error}".split())[:200]
            if getattr(error, "unchanged", False) is True:
                operation.fail(text)
            else:
                operation.info(text)
            raise
        operation.ok(version=view.version)
        see(self.host, view)
        return view

    async def close(self) -> None:
        """Close it, after a last look."""
        self.end_sampling()
        self.get()
        await self.part.close()
