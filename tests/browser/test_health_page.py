"""The monitor's status page in a real browser: nothing leaves it, nothing is blocked, everybody can read it."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from reference_impl._health.model import Reading, State
from reference_impl._health.page import CSP, render_page
from reference_impl.health_service import HealthService, Service

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")

CHROMIUM = next(
    (path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), None
)
pytestmark = [
    pytest.mark.browser,
    pytest.mark.xdist_group("browser"),
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on PATH (chromium, chromium-browser, google-chrome)"),
]

CONTRAST = (Path(__file__).parent / "contrast.js").read_text(encoding="utf-8")
PAGE = "http://monitor.test/"
HOSTILE = '"><img src=x onerror=alert(1)>'


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """One headless Chromium for all tests of this file."""
    with playwright.sync_playwright() as play:
        browser = play.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def document(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The page of a monitor that found one service in each state."""
    states = {"store": State.CRITICAL, "bot": State.CRITICAL, "feed": State.DEGRADED, HOSTILE: State.HEALTHY}
    services = [
        Service(name=name, url="http://x/health", depends_on=("store",) if name == "bot" else ())
        for name in (*states, "journal")
    ]
    monitor = HealthService(services, tmp_path_factory.mktemp("monitor") / "health.json")
    for _ in range(2):
        for service in services[:-1]:
            state = states[service.name]
            monitor._take(service, Reading(state, "" if state is State.HEALTHY else "timeout"), 0.01)
    return render_page(monitor.snapshot(), monitor._record.alerts)


@pytest.fixture(params=["light", "dark"])
def opened(browser: Any, document: str, request: pytest.FixtureRequest) -> Iterator[Any]:
    """The page, as its monitor would serve it, and what it complained about or asked for."""
    page = browser.new_page(viewport={"width": 1280, "height": 900}, color_scheme=request.param)
    page.complaints, page.requests = [], []
    page.on("console", lambda message: page.complaints.append(message.text))
    page.on("pageerror", lambda error: page.complaints.append(str(error)))
    page.on("dialog", lambda dialog: (page.complaints.append("dialog"), dialog.dismiss()))
    page.on("request", lambda one: page.requests.append(one.url))
    headers = {"Content-Type": "text/html; charset=utf-8", "Content-Security-Policy": CSP}
    page.route("**/*", lambda route: route.fulfill(status=200, headers=headers, body=document))
    page.goto(PAGE)
    yield page
    page.close()


def test_nothing_leaves_and_nothing_is_blocked(opened: Any) -> None:
    """One request, for the page; its own style passes its own policy; a hostile name does nothing."""
    assert [url for url in opened.requests if not url.endswith("/favicon.ico")] == [PAGE]
    assert opened.complaints == []
    assert opened.locator("img").count() == 0
    assert opened.locator("th[scope=row]", has_text=HOSTILE).count() == 1


def test_states_are_words(opened: Any) -> None:
    """And symbols; the colours are extra."""
    cells = opened.locator("td.state").all_inner_texts()
    assert cells == ["✖ CRITICAL", "✖ CRITICAL", "▲ DEGRADED", "✔ HEALTHY", "? UNKNOWN"]
    assert opened.get_by_role("status").inner_text() == "✖ CRITICAL"
    assert "because of store" in opened.locator("tr", has_text="bot").first.inner_text()


def test_everything_can_be_read(opened: Any) -> None:
    """WCAG's 4.5 to 1, in both schemes."""
    measured = opened.evaluate(CONTRAST)
    assert measured["texts"] > 40
    assert measured["low"] == []


def test_it_fits_on_a_telephone(opened: Any) -> None:
    """Tables scroll in their own region, which the keyboard reaches; the page does not."""
    opened.set_viewport_size({"width": 360, "height": 640})
    assert opened.evaluate("document.documentElement.scrollWidth <= innerWidth")
    opened.keyboard.press("Tab")
    assert opened.evaluate("document.activeElement.getAttribute('role')") == "region"
