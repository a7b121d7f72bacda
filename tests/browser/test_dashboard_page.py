"""The live page in a real browser, with its server as a process that is killed and started again under it."""

import json
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")

CHROMIUM = next(
    (path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), None
)
pytestmark = [
    pytest.mark.browser,
    pytest.mark.real,
    pytest.mark.xdist_group("browser"),
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on PATH (chromium, chromium-browser, google-chrome)"),
]

HERE = Path(__file__).parent
CONTRAST = (HERE / "contrast.js").read_text(encoding="utf-8")
TOKEN = "a-token-of-the-page-test"
HOSTILE = '"><img src=x onerror=alert(1)><script>alert(2)</script>'
PATIENCE_MS = 20_000


class Server:
    """The server's process; it comes back on its port."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.port = 0
        self.start()

    def start(self) -> None:
        """Start it, and wait until it listens."""
        command = [
            sys.executable,
            str(HERE / "programs" / "feed_server.py"),
            str(self.directory),
            TOKEN,
            str(self.port),
        ]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        self.port = int(self.process.stdout.readline())

    def publish(self, topic: str, key: str, value: Any) -> int:
        """Publish; return the event's number."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps([topic, key, value]) + "\n")
        self.process.stdin.flush()
        return int(self.process.stdout.readline())

    def stop(self, how: int) -> None:
        """End it by that signal."""
        self.process.send_signal(how)
        self.process.wait()
        for stream in (self.process.stdin, self.process.stdout):
            assert stream is not None
            stream.close()


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """One headless Chromium for all tests of this file."""
    with playwright.sync_playwright() as play:
        browser = play.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One server for all tests of this file: starting one takes longer than most of them."""
    server = Server(tmp_path_factory.mktemp("feed"))
    yield server
    server.stop(signal.SIGKILL)


@pytest.fixture
def server(served: Server) -> Server:
    """It has published something of everything, just now."""
    fill(served)
    return served


@pytest.fixture
def page(browser: Any) -> Iterator[Any]:
    """An empty tab, and what it complains about or asks for."""
    page = browser.new_page(viewport={"width": 1280, "height": 1000})
    page.complaints, page.requests = [], []
    page.on("console", lambda message: page.complaints.append(message.text))
    page.on("pageerror", lambda error: page.complaints.append(str(error)))
    page.on("dialog", lambda dialog: (page.complaints.append("dialog"), dialog.dismiss()))
    page.on("request", lambda one: page.requests.append(one.url))
    page.on("websocket", lambda one: page.requests.append(one.url))
    page.set_default_timeout(PATIENCE_MS)
    yield page
    page.close()


def fill(server: Server) -> None:
    """Publish a state of affairs as a stack would."""
    server.publish("portfolio.equity", "", equity("1010250.40", drawdown=0.0123))
    server.publish("portfolio.equity", "", equity("1010262.15", drawdown=0.0112))
    server.publish("portfolio.equity", "", equity("1010257.90", drawdown=0.0117))
    for symbol, quantity, unrealised in (("BTCUSDT", "0.250", "112.40"), ("ETHUSDT", "-3.10", "-18.25")):
        value = {"quantity": quantity, "entry_price": "61204.5", "mark_price": "61654.1", "unrealised": unrealised}
        server.publish("portfolio.position", symbol, value)
    server.publish("portfolio.position", HOSTILE, {"quantity": HOSTILE, "mark_price": None})
    for model, status in (("xgb", "ok"), ("lgbm", "stale"), ("tft", "unavailable")):
        accuracy = None if status == "unavailable" else 0.547
        reason = None if status == "ok" else "no candles"
        value = {"status": status, "accuracy": accuracy, "samples": 412, "reason": reason, "as_of": None}
        server.publish("ai.metrics", model, value)
    for service, state in (("executor", "HEALTHY"), ("event-bus", "DEGRADED"), ("policy", "CRITICAL"), ("x", "odd")):
        server.publish("health.service", service, {"state": state, "reason": "", "since": None})
    server.publish("ess.state", "", {"state": "ARMED", "reason": HOSTILE, "actor": "system", "since": 1_764_000_000.0})
    for number, status in enumerate(("NEW", "FILLED", "REJECTED")):
        server.publish("order.update", "BTCUSDT", order(f"c-{number}", status))


def equity(total: str, **fields: Any) -> dict[str, Any]:
    """A value of the account."""
    return {"equity": total, "realised": "1204.11", "unrealised": "94.15", "fees": "38.02", **fields}


def order(name: str, status: str) -> dict[str, Any]:
    """A value of an order."""
    value = {"client_order_id": name, "side": "BUY", "status": status, "quantity": "0.25", "filled": "0.10"}
    return {**value, "average_price": "61204.5", "reason": None}


def opened(page: Any, server: Server, token: str = TOKEN) -> Any:
    """The page, live."""
    page.goto(f"http://127.0.0.1:{server.port}/#token={token}")
    page.wait_for_selector("body[data-feed=live]")
    page.wait_for_selector("#orders tr")
    return page


def text(page: Any, place: str) -> str:
    """What is shown there."""
    shown: str = page.locator(f"#{place}").inner_text()
    return shown


def becomes(page: Any, place: str, wanted: str) -> None:
    """Wait until that is shown there."""
    playwright.expect(page.locator(f"#{place}")).to_have_text(wanted, timeout=PATIENCE_MS)


def errors(page: Any) -> list[str]:
    """What it complained about, but that it could not connect, which the browser logs by itself."""
    return [one for one in page.complaints if "WebSocket connection to" not in one]


def test_what_was_published_is_shown_as_text(page: Any, server: Server) -> None:
    """All of it, hostile values too; nothing is asked for elsewhere, and the token is in no address."""
    opened(page, server)
    assert text(page, "equity") == "1 010 257.90".replace(" ", "\u202f")
    assert text(page, "drawdown") == "1.2 %"
    assert text(page, "ess-state") == "ARMED"
    assert text(page, "ess-reason") == HOSTILE
    assert page.locator("#positions th").all_inner_texts() == [HOSTILE, "BTCUSDT", "ETHUSDT"]
    assert page.locator("#models td.state").all_inner_texts() == [
        "▲ stale: no candles",
        "✖ unavailable: no candles",
        "✔ ok",
    ]
    assert page.locator("#services td.state").all_inner_texts() == ["▲ DEGRADED", "✔ HEALTHY", "✖ CRITICAL", "? odd"]
    assert "REJECTED" in text(page, "orders")
    assert page.locator("img").count() == 0
    assert errors(page) == []
    assert all("token" not in url for url in [page.url, *page.requests])
    assert {url.split("/")[2] for url in page.requests if url.startswith(("http", "ws"))} == {
        f"127.0.0.1:{server.port}"
    }


def test_it_survives_its_server(page: Any, server: Server) -> None:
    """Killed: it says so, comes back and is equal to the server; asked to stop: it resumes. Nothing missed."""
    opened(page, server)
    server.stop(signal.SIGKILL)
    page.wait_for_selector("body[data-feed=lost]")
    page.wait_for_selector("#notice:not([hidden])")
    assert "Reconnecting" in text(page, "feed-text")
    assert text(page, "ess-state") == "ARMED"
    server.start()
    server.publish("ess.state", "", {"state": "TRIPPED", "reason": "drawdown", "actor": "system", "since": None})
    server.publish("portfolio.equity", "", equity("900000.00"))
    page.wait_for_selector("#ess[data-state=TRIPPED]")
    becomes(page, "equity", "900\u202f000.00")
    page.wait_for_selector("body[data-feed=live]")
    assert (text(page, "missed"), text(page, "reconnects")) == ("0", "1")
    server.stop(signal.SIGTERM)
    page.wait_for_selector("body[data-feed=lost]")
    server.start()
    server.publish("order.update", "ETHUSDT", order("after", "FILLED"))
    last = server.publish("portfolio.position", "ETHUSDT", {"quantity": "0"})
    becomes(page, "seq", str(last))
    # Who comes late is sent a snapshot of that number, and the critical events before it only then.
    playwright.expect(page.locator("#orders tr").first).to_contain_text("after", timeout=PATIENCE_MS)
    assert (text(page, "missed"), text(page, "reconnects")) == ("0", "2")
    assert page.locator("#notice").is_hidden()
    assert errors(page) == []


def test_a_silent_server_is_noticed(page: Any, server: Server) -> None:
    """Frozen, so that the connection stays: the page says how stale it is, and is live again afterwards."""
    opened(page, server)
    server.process.send_signal(signal.SIGSTOP)
    page.wait_for_selector("body[data-feed=stale], body[data-feed=lost]")
    page.wait_for_selector("#notice:not([hidden])")
    server.process.send_signal(signal.SIGCONT)
    page.wait_for_selector("body[data-feed=live]")
    assert errors(page) == []


def test_a_token_is_asked_for(page: Any, server: Server) -> None:
    """Without one, and again when the server does not take it."""
    page.goto(f"http://127.0.0.1:{server.port}/")
    page.fill("#token", "not-the-token-of-it")
    page.click("button")
    becomes(page, "asking-why", "The server does not take this token.")
    page.fill("#token", TOKEN)
    page.press("#token", "Enter")
    page.wait_for_selector("body[data-feed=live]")
    assert page.evaluate("sessionStorage.getItem('token')") == TOKEN
    assert errors(page) == []


def test_everything_can_be_read(page: Any, server: Server) -> None:
    """WCAG's 4.5 to 1, in both schemes; on a telephone the page does not scroll sideways."""
    opened(page, server)
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        measured = page.evaluate(CONTRAST)
        assert measured["texts"] > 60
        assert measured["low"] == []
    page.set_viewport_size({"width": 360, "height": 640})
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
