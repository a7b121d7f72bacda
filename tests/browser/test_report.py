"""The HTML report in a real browser: nothing leaves it, nothing is blocked, everything can be read and reached."""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

import reports
from harness.verdict import Session
from tests.reports import hostile, synthetic

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


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """One headless Chromium for all tests of this file."""
    with playwright.sync_playwright() as play:
        browser = play.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@dataclass
class Opened:
    """A page and what it complained about or asked for."""

    page: Any
    complaints: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)


def opened(browser: Any, folder: Path, session: Session, **options: Any) -> Opened:
    """Write the session's page and open it from its file."""
    [path] = reports.write(reports.build(session, synthetic.histories(session)), folder, ["html"])
    page = browser.new_page(**{"viewport": {"width": 1280, "height": 900}, **options})
    found = Opened(page)
    page.on("console", lambda message: found.complaints.append(message.text))
    page.on("pageerror", lambda error: found.complaints.append(str(error)))
    page.on("dialog", lambda dialog: (found.complaints.append("dialog " + dialog.message), dialog.dismiss()))
    page.on("request", lambda request: found.requests.append(request.url))
    page.goto(path.as_uri())
    return found


@pytest.mark.parametrize("case", synthetic.sessions())
def test_no_complaint_and_no_request(browser: Any, tmp_path: Path, case: str) -> None:
    """The policy blocks nothing of ours, no script fails, and only the file itself is ever loaded."""
    found = opened(browser, tmp_path, synthetic.sessions()[case])
    if found.page.locator("svg.chart").count():
        found.page.locator("svg.chart").first.hover()
    assert found.complaints == []
    assert found.requests == [(tmp_path / "report.html").as_uri()]
    found.page.close()


def test_the_policy_blocks_what_is_not_ours(browser: Any, tmp_path: Path) -> None:
    """The policy is not decoration: an inline script, a style attribute and an image put into the page do not work."""
    found = opened(browser, tmp_path, synthetic.sessions()["pass"])
    found.page.evaluate(
        """() => {
        const script = document.createElement("script");
        script.textContent = "window.ran = true";
        document.body.append(script);
        document.body.insertAdjacentHTML("beforeend", "<p id=s style='color:rgb(1,2,3)'>s</p>");
        const image = document.createElement("img");
        image.src = "http://127.0.0.1:9/pixel.png";
        document.body.append(image);
    }"""
    )
    assert found.page.evaluate("window.ran") is None
    assert found.page.evaluate("getComputedStyle(document.querySelector('#s')).color") != "rgb(1, 2, 3)"
    assert len([text for text in found.complaints if "Content Security Policy" in text]) == 3
    found.page.close()


@pytest.mark.parametrize("text", hostile.TEXTS, ids=hostile.name)
def test_hostile_payloads_are_text(browser: Any, tmp_path: Path, text: str) -> None:
    """Whatever a target puts into names, ids and errors, no element, script, dialog or request comes of it."""
    found = opened(browser, tmp_path, hostile.session(text))
    page = found.page
    assert found.complaints == []
    assert len(found.requests) == 1
    assert page.evaluate("document.scripts.length") == 1
    assert page.locator("img, iframe, object, embed, form, base, link").count() == 0
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    shown = page.inner_text("main")
    assert not set("\x00\x1b\u202e\u2066") & set(shown)
    if text.startswith("<script"):
        assert text in shown
    page.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("case", ["pass", "fail", "inconclusive", "error", "unnoticed"])
def test_contrast(browser: Any, tmp_path: Path, case: str, scheme: str) -> None:
    """Text has a contrast of 4.5:1 and the marks of the charts 3:1, computed from what is on the page."""
    found = opened(browser, tmp_path, synthetic.sessions()[case], color_scheme=scheme)
    measured = found.page.evaluate(CONTRAST)
    assert measured["texts"] > 100
    assert measured["marks"] > 10
    assert measured["low"] == []
    found.page.close()


@pytest.mark.parametrize("width", [400, 320, 1280])
@pytest.mark.parametrize("case", ["fail", "campaign", "empty"])
def test_no_horizontal_scroll(browser: Any, tmp_path: Path, case: str, width: int) -> None:
    """The page itself never scrolls sideways; what is wide scrolls in a region of its own."""
    found = opened(browser, tmp_path, synthetic.sessions()[case], viewport={"width": width, "height": 800})
    assert found.page.evaluate("document.documentElement.scrollWidth") == width
    found.page.close()


def test_skip_link_and_keyboard(browser: Any, tmp_path: Path) -> None:
    """The first Tab shows the skip link, Enter jumps to the findings, and what has the focus is outlined."""
    page = opened(browser, tmp_path, synthetic.sessions()["fail"]).page
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    assert page.evaluate("document.activeElement.getBoundingClientRect().left") >= 0
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "content"
    for _ in range(25):
        page.keyboard.press("Tab")
        outline = page.evaluate(
            "(s => [s.outlineStyle, parseFloat(s.outlineWidth)])(getComputedStyle(document.activeElement))"
        )
        assert outline[0] == "solid"
        assert outline[1] >= 2
    page.close()


def test_data_tables_open_from_the_keyboard(browser: Any, tmp_path: Path) -> None:
    """Each chart has a data table, closed at first, opened by Enter on its summary."""
    page = opened(browser, tmp_path, synthetic.sessions()["pass"]).page
    figures = page.locator("figure")
    assert figures.count() == page.locator("figure details").count() == 6
    summary = page.locator("figure details summary").nth(1)
    summary.focus()
    page.keyboard.press("Enter")
    table = page.locator("figure details").nth(1).locator("table")
    assert table.is_visible()
    assert table.locator("tbody tr").count() >= 10
    page.close()


def test_hover_reads_the_values_of_one_instant(browser: Any, tmp_path: Path) -> None:
    """Hovering one chart shows the values of that instant above every chart of the run, and leaving hides them."""
    page = opened(browser, tmp_path, synthetic.sessions()["pass"]).page
    chart = page.locator("svg.chart").first
    chart.scroll_into_view_if_needed()
    box = chart.bounding_box()
    scale = box["width"] / 1000
    # 110 s into 150 s: after the outage, at a steady 50 a second.
    page.mouse.move(box["x"] + (86 + (816 - 86) * 110.5 / 150) * scale, box["y"] + 60 * scale)
    shown = [text for text in page.locator(".readout").all_inner_texts() if text]
    assert shown[0] == "110 s: publish ok 50, publish unknown 0"
    assert len(shown) == 5
    page.mouse.move(2, 2)
    assert [text for text in page.locator(".readout").all_inner_texts() if text] == []
    page.close()


def test_charts_have_names_for_those_who_do_not_see_them(browser: Any, tmp_path: Path) -> None:
    """Every chart is one image to assistive technology, named by its title."""
    page = opened(browser, tmp_path, synthetic.sessions()["fail"]).page
    images = page.locator("svg[role=img]")
    assert images.count() >= 6
    for at in range(images.count()):
        assert images.nth(at).locator("> title").text_content()
    page.close()


def test_print_is_light_and_whole(browser: Any, tmp_path: Path) -> None:
    """Printed from a dark desktop the page is black on white, without navigation, and the charts fit the paper."""
    page = opened(
        browser, tmp_path, synthetic.sessions()["fail"], color_scheme="dark", viewport={"width": 700, "height": 900}
    ).page
    page.emulate_media(media="print")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert not page.locator("nav").is_visible()
    assert page.evaluate(
        "[...document.querySelectorAll('svg.chart')].every(s => s.getBoundingClientRect().right <= 701)"
    )
    page.close()
