"""Puts an exchange behind a server: the one place where both are named."""

from typing import TYPE_CHECKING

from harness.dependencies.binance.exchange import Exchange
from harness.dependencies.binance.server import Make, Recorder, Server

if TYPE_CHECKING:
    from harness.dependencies.binance.core import Clock, Core, Record
    from harness.dependencies.binance.settings import Settings
    from harness.dependencies.binance.streams import StreamOut
    from harness.tape import Stream


def maker(settings: "Settings", dice: "Stream") -> Make:
    """Return what makes exchanges of those settings; one made after a reset goes on with the same dice."""

    def make(record: "Record", streams: "StreamOut") -> "Core":
        return Exchange(settings, dice=dice, record=record, streams=streams)

    return make


def server(
    settings: "Settings", dice: "Stream", clock: "Clock", recorder: Recorder, *, ip: str | None = None
) -> Server:
    """Return a server of an exchange of those settings. With `ip`, all clients count as that address."""
    return Server(maker(settings, dice), clock, recorder, ip=ip)
