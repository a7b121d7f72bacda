"""The rows of a timeline that tell what became of one event of a flow."""

from collections.abc import Iterator

from harness.invariants.findings import Moment
from harness.invariants.flow import Delivery, FlowRecord, Publish


def publish_moments(
    flow: FlowRecord, publish: Publish, *, offending: str = "", deliveries: bool = True
) -> Iterator[Moment]:
    """Yield the rows of one event: offered, acked, given to each group. `offending` = "ack" marks its ack."""
    yield Moment(publish.start_ns, publish.producer, f"publish {publish.attempts[0].type}", publish.key)
    if publish.ack_ns is not None:
        ids = ", ".join(publish.ids)
        yield Moment(publish.ack_ns, publish.producer, f"acked as {ids}", publish.key, offending=offending == "ack")
    if deliveries:
        for first in flow.first.values():
            if publish.key in first:
                yield delivery_moment(first[publish.key])


def offer_moments(flow: FlowRecord, key: str) -> Iterator[Moment]:
    """Yield the rows of the publishing of that key, if there was one."""
    if key in flow.publishes:
        yield from publish_moments(flow, flow.publishes[key], deliveries=False)


def delivery_moment(delivery: Delivery, *, offending: bool = False, note: str = "") -> Moment:
    """Return the row of one delivery."""
    text = f"delivered to {delivery.group} as {delivery.id}" + (f": {note}" if note else "")
    return Moment(delivery.time_ns, delivery.consumer, text, delivery.key, offending=offending)
