"""The figures of a run."""

from harness.history.events import Observation, RunEnded, RunStarted
from harness.history.history import History
from harness.metrics import metrics

STARTED = RunStarted(0, "harness", 1, 1, "0", "s", "short", "real", 1, {}, [])


def test_a_load_has_its_figures():
    """Requests are summed over hosts and their lives, each counted at its end; response times are the worst host's."""

    def requests(actor: str, incarnation: int, count: int, p99_ms: float, name: str = "Aggregated") -> Observation:
        times = {"p50_ms": 1, "p90_ms": 2, "p99_ms": p99_ms, "max_ms": 9}
        value = {"method": "", "name": name, "requests": count, "failures": 1, **times}
        return Observation(5, actor, incarnation, "load_requests", value)

    history = History.of(
        [
            STARTED,
            Observation(1, "a", 1, "load_users", {"users": 4, "wanted": 8, "workers": 2}),
            Observation(2, "a", 1, "load_users", {"users": 8, "wanted": 8, "workers": 2}),
            Observation(3, "a", 1, "load_users", {"users": 0, "wanted": 8, "workers": 2}),
            requests("a", 1, 10, 5),
            requests("a", 1, 15, 6),
            requests("a", 2, 7, 4),
            requests("b", 1, 100, 3),
            requests("b", 1, 90, 3, name="connect"),
            RunEnded(9, "harness", 1, None, 9),
        ]
    )
    figures = metrics(history, ())

    assert figures["load_users_max"] == 8
    assert (figures["load_requests"], figures["load_failures"]) == (122, 3)
    assert (figures["load_p50_ms"], figures["load_p99_ms"], figures["load_max_ms"]) == (1, 6, 9)


def test_without_a_load_there_are_none():
    """No row of zeros that somebody might read."""
    history = History.of([STARTED, RunEnded(9, "harness", 1, None, 1)])

    assert not [name for name in metrics(history, ()) if name.startswith("load")]
