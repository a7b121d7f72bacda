"""The HTML report in a real browser: nothing leaves it, nothing is blocked, everything can be read and reached."""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

import reports
from harness.history.history import History
from harness.verdict import Session, Verdict
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

JENKINS = "sandbox allow-same-origin; default-src 'none'; img-src 'self'; style-src 'self';"
"""The policy that Jenkins serves archived pages with: no script, and no style sheet inside the page either."""

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


def opened(
    browser: Any, folder: Path, session: Session, histories: dict[str, History] | None = None, **options: Any
) -> Opened:
    """Write the session's page and open it from its file."""
    [path] = reports.write(reports.build(session, histories or synthetic.histories(session)), folder, ["html"])
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
    found = opened(browser, tmp_path, hostile.session(text), hostile.histories(text))
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
    assert figures.count() == page.locator("figure details").count() == 7
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
    assert len(shown) == 6
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


@pytest.mark.parametrize(
    ("case", "scheme"), [("fail", "dark"), ("inconclusive", "light"), ("regression", "dark"), ("empty", "light")]
)
def test_accessibility_rules(browser: Any, tmp_path: Path, case: str, scheme: str) -> None:
    """axe-core finds nothing: WCAG 2.2 A and AA and its best practices, with every data table open."""
    rules = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe-core is not installed")
    session = synthetic.session(synthetic.run(Verdict.FAIL)) if case == "fail" else synthetic.sessions()[case]
    found = opened(browser, tmp_path, session, color_scheme=scheme)
    found.page.evaluate("document.querySelectorAll('details').forEach(one => one.open = true)")
    result = rules.Axe().run(found.page, options={"resultTypes": ["violations", "incomplete"]}).response
    assert [(one["id"], one["nodes"][0]["html"][:200]) for one in result["violations"]] == []
    assert len(result["passes"]) > 20
    assert found.complaints == []
    assert len(found.requests) == 1
    found.page.close()


def test_the_rules_are_not_vacuous(browser: Any, tmp_path: Path) -> None:
    """The same check reports a picture without a name, a pale text and a region that no key reaches."""
    rules = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe-core is not installed")
    page = opened(browser, tmp_path, synthetic.sessions()["pass"]).page
    page.evaluate(
        """() => {
        document.querySelector("svg.chart > title").remove();
        document.querySelector("p.lede").setAttribute("class", "pale");
        document.querySelector("p.pale").style.color = "#bbb";
        document.querySelectorAll("h2")[1].textContent = "";
    }"""
    )
    violated = {one["id"] for one in rules.Axe().run(page).response["violations"]}
    assert {"svg-img-alt", "color-contrast", "empty-heading"} <= violated
    page.close()


def test_without_style_sheet_and_script_it_can_be_read(browser: Any, tmp_path: Path) -> None:
    """Under the policy of Jenkins the page is not blank: all text is there, and lines are lines, each in a colour."""
    path = tmp_path / "report.html"
    session = synthetic.sessions()["fail"]
    reports.write(reports.build(session, synthetic.histories(session)), tmp_path, ["html"])
    page = browser.new_page()
    page.route(
        "http://jenkins.test/report.html",
        lambda route: route.fulfill(
            body=path.read_bytes(),
            headers={"Content-Type": "text/html; charset=utf-8", "Content-Security-Policy": JENKINS},
        ),
    )
    page.goto("http://jenkins.test/report.html")
    assert page.evaluate("getComputedStyle(document.body).fontVariantNumeric") == "normal"  # no style sheet of ours
    text = page.inner_text("body")
    assert "NOT READY" in text
    assert synthetic.SENTENCE in text
    lines = page.evaluate(
        "[...document.querySelectorAll('path.line')].map(one => getComputedStyle(one)).map(s => [s.fill, s.stroke])"
    )
    assert len(lines) > 10
    assert {fill for fill, _ in lines} == {"none"}
    assert len({stroke for _, stroke in lines} - {"none"}) >= 3
    for kind in ("limit", "edge", "axis", "grid"):
        assert page.evaluate(f"getComputedStyle(document.querySelector('.{kind}')).stroke") != "none"
    assert page.evaluate("document.querySelector('svg.defs').getBoundingClientRect().height") == 0
    page.close()


def test_a_session_of_a_gates_size_opens_within_a_second(browser: Any, tmp_path: Path) -> None:
    """Parsed, laid out and painted: a page near its limit of a megabyte is there in less than a second."""
    session = synthetic.session(*(synthetic.run(Verdict.FAIL, scenario=f"s-{at}") for at in range(16)))
    page = opened(browser, tmp_path, session).page
    assert (tmp_path / "report.html").stat().st_size > 500_000
    frame = "new Promise((done) => requestAnimationFrame(() => done(performance.now())))"
    page.evaluate(frame)
    painted_ms = page.evaluate(frame)
    assert painted_ms < 1000
    page.close()
