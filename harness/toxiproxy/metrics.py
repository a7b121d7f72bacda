"""The counts of a server for Prometheus. Names and labels of bytes are Toxiproxy's; the rest are ours."""

from collections.abc import Iterable, Sequence

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from harness.toxiproxy.proxy import Proxy

_LINK = ("direction", "listener", "proxy", "upstream")
_TOXIC = ("proxy", "toxic", "type", "stream", "effect")


def exposition(proxies: Sequence[Proxy]) -> bytes:
    """Return the counts of these proxies in Prometheus's text format. Counting itself costs nothing extra."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Counts(proxies))
    return generate_latest(registry)


class _Counts(Collector):
    def __init__(self, proxies: Sequence[Proxy]) -> None:
        self._proxies = proxies

    def collect(self) -> Iterable[Metric]:
        """Implement `Collector`."""
        received = CounterMetricFamily("toxiproxy_proxy_received_bytes", "Bytes received by a proxy.", labels=_LINK)
        sent = CounterMetricFamily("toxiproxy_proxy_sent_bytes", "Bytes passed on by a proxy.", labels=_LINK)
        accepted = CounterMetricFamily("toxiproxy_proxy_connections", "Connections accepted.", labels=["proxy"])
        unreached = CounterMetricFamily(
            "toxiproxy_proxy_unreached_connections", "Connections whose upstream was not there.", labels=["proxy"]
        )
        live = GaugeMetricFamily("toxiproxy_proxy_live_connections", "Connections there are now.", labels=["proxy"])
        effects = CounterMetricFamily("toxiproxy_toxic_effects", "What a toxic really did.", labels=_TOXIC)
        for proxy in self._proxies:
            proxy.collect_lost()
            for stream, flow in proxy.traffic.flows.items():
                link = (stream, proxy.listen, proxy.name, proxy.upstream)
                received.add_metric(link, flow.received)
                sent.add_metric(link, flow.sent)
            accepted.add_metric([proxy.name], proxy.traffic.connections)
            unreached.add_metric([proxy.name], proxy.traffic.unreached)
            live.add_metric([proxy.name], proxy.live)
            for active in proxy.actives:
                for effect, count in sorted(active.effects.items()):
                    labels = (proxy.name, active.name, active.toxic.type, active.stream, effect)
                    effects.add_metric(labels, count)
        return [received, sent, accepted, unreached, live, effects]
