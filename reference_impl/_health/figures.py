"""The figures for Prometheus, in a registry of their own. States are those of the moment of the scrape."""

from collections.abc import Callable, Iterator
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from reference_impl._health.model import State
from reference_impl._health.snapshot import Snapshot

_BUCKETS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class Figures:
    """Counts checks and alerts."""

    def __init__(self, snapshot: Callable[[], Snapshot]) -> None:
        self._registry = CollectorRegistry()
        self._registry.register(_States(snapshot))
        labels = ("service", "result")
        self._checks = Counter("health_checks", "Checks made, by what they found.", labels, registry=self._registry)
        self._seconds = Histogram(
            "health_check_seconds", "How long checks took.", ("service",), registry=self._registry, buckets=_BUCKETS
        )
        self._alerts = Counter("health_alerts", "Alerts told.", ("service", "kind"), registry=self._registry)
        self._unsaved = Counter(
            "health_history_save_failures", "Times the history was not saved.", registry=self._registry
        )

    def checked(self, service: str, result: str, seconds: float) -> None:
        """Count a check."""
        self._checks.labels(service, result).inc()
        self._seconds.labels(service).observe(seconds)

    def alerted(self, service: str, kind: str) -> None:
        """Count an alert."""
        self._alerts.labels(service, kind).inc()

    def unsaved(self) -> None:
        """Count a history that could not be saved."""
        self._unsaved.inc()

    def render(self) -> bytes:
        """Return all in Prometheus's text format."""
        return generate_latest(self._registry)


class _States(Collector):
    def __init__(self, snapshot: Callable[[], Snapshot]) -> None:
        self._snapshot = snapshot

    def describe(self) -> Iterator[GaugeMetricFamily]:
        """Name them without asking for a snapshot: there is none yet when this is registered."""
        yield GaugeMetricFamily("health_state", "")
        yield GaugeMetricFamily("health_overall", "")

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Return 1 for the state that is, 0 for the others."""
        snapshot = self._snapshot()
        states = GaugeMetricFamily("health_state", "1 for the service's state.", labels=["service", "state"])
        for service in snapshot.services:
            for state in State:
                states.add_metric([service.name, state], float(service.state is state))
        yield states
        together = GaugeMetricFamily("health_overall", "1 for the state of all together.", labels=["state"])
        for state in State:
            together.add_metric([state], float(snapshot.overall is state))
        yield together
