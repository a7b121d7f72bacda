"""`GET /metrics`, read by Prometheus's own parser."""

import pytest
from prometheus_client.parser import text_string_to_metric_families

pytestmark = pytest.mark.real


def test_metrics(proxied, receive):
    """Bytes and connections of each proxy and what each toxic did, under the original's names where it has them."""
    proxied.add("discard_first", "upstream", bytes=2)
    client, server = proxied.connect()
    client.sendall(b"12345")
    assert receive(server, 3) == b"345"
    answer = proxied.server.call("GET", "/metrics")
    assert answer.status == 200
    assert answer.headers["content-type"].startswith("text/plain; version=")
    samples = {
        (sample.name, *sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(answer.body.decode())
        for sample in family.samples
    }
    listen = f"127.0.0.1:{proxied.address[1]}"
    upstream = f"127.0.0.1:{proxied.upstream.getsockname()[1]}"
    link = (("direction", "upstream"), ("listener", listen), ("proxy", "link"), ("upstream", upstream))
    assert samples["toxiproxy_proxy_received_bytes_total", *link] == 5
    assert samples["toxiproxy_proxy_sent_bytes_total", *link] == 3
    assert samples["toxiproxy_proxy_connections_total", ("proxy", "link")] == 1
    assert samples["toxiproxy_proxy_live_connections", ("proxy", "link")] == 1
    toxic = (("proxy", "link"), ("stream", "upstream"), ("toxic", "discard_first_upstream"), ("type", "discard_first"))
    assert samples["toxiproxy_toxic_effects_total", ("effect", "dropped"), *toxic] == 2
