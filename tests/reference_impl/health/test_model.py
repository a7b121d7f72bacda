"""Services and options that make no sense are refused; all together are as bad as the worst that matters."""

from typing import Any

import pytest

from reference_impl._health.model import Options, Service, State, causes_of, check_services, overall

H, D, C, U = State.HEALTHY, State.DEGRADED, State.CRITICAL, State.UNKNOWN


def service(name: str, *depends_on: str, critical: bool = True) -> Service:
    """Return a service."""
    return Service(name=name, url=f"http://{name}/health", critical=critical, depends_on=depends_on)


@pytest.mark.parametrize("url", ["", "risk:8000/health", "ftp://risk/health", "http:///health", "file:///etc/passwd"])
def test_a_service_has_an_http_url(url: str) -> None:
    """Nothing else can be polled."""
    with pytest.raises(ValueError, match="http"):
        Service(name="risk", url=url)


def test_credentials_in_a_url_are_refused_without_being_shown() -> None:
    """The message goes to a log."""
    with pytest.raises(ValueError, match="credentials") as caught:
        Service(name="risk", url="http://user:hunter2@risk/health")
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("services", "problem"),
    [
        ([], "there must be services"),
        ([service("a"), service("a")], "a name of its own"),
        ([service("a", "b")], "not watched"),
        ([service("a", "a")], "depends on itself"),
        ([service("a", "b"), service("b", "c"), service("c", "a")], "depends on itself"),
    ],
)
def test_services_fit_together(services: list[Service], problem: str) -> None:
    """Unique names, known dependencies, no circle."""
    with pytest.raises(ValueError, match=problem):
        check_services(services)


def test_causes_are_found_over_others_each_once() -> None:
    """The nearest first."""
    services = {one.name: one for one in (service("a", "b", "c"), service("b", "d"), service("c", "d"), service("d"))}
    assert causes_of("a", services) == ("b", "c", "d")
    assert causes_of("d", services) == ()


@pytest.mark.parametrize(
    ("states", "together"),
    [
        ((H, H, H), H),
        ((H, D, H), D),
        ((H, H, D), D),
        ((H, C, D), C),
        ((H, H, C), D),
        ((U, D, H), U),
        ((H, H, U), U),
        ((U, C, U), C),
        ((U, H, C), U),
    ],
)
def test_all_together(states: tuple[State, State, State], together: State) -> None:
    """Two critical services and an optional one, which alone makes nothing CRITICAL, and is never passed over."""
    services = [service("a"), service("b"), service("c", critical=False)]
    assert overall(dict(zip("abc", states, strict=True)), services) is together


@pytest.mark.parametrize(
    "wrong",
    [
        {"timeout": 0.0},
        {"timeout": 6.0},
        {"interval": -1.0},
        {"fast_interval": 0.0},
        {"fast_interval": 9.0},
        {"fall": 0},
        {"rise": 0},
        {"history_max": 0},
        {"flap_window": 0.0},
        {"body_bytes_max": 0},
        {"timeout": float("nan")},
    ],
)
def test_options_that_make_no_sense(wrong: dict[str, Any]) -> None:
    """Are refused when they are given, not when they are used."""
    with pytest.raises(ValueError, match=r"does not hold|at least 1|above 0"):
        Options(**wrong)


def test_options_follow_the_interval() -> None:
    """Half of it while in doubt, two of it until nothing is known, 15 for flapping."""
    options = Options(interval=4.0, timeout=1.0)
    assert (options.fast, options.stale_after, options.flap_span) == (2.0, 9.0, 60.0)
