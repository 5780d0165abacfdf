"""A real browser goes through the page as people do: on a 10-inch panel, on a phone, in both languages."""

from __future__ import annotations

import shutil
import threading
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

playwright = pytest.importorskip("playwright.sync_api")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
if CHROMIUM is None:
    warnings.warn(pytest.PytestWarning("NO BROWSER: apt-get install chromium; the page is not proved in one"), stacklevel=1)
    pytest.skip("needs a chromium on the PATH", allow_module_level=True)

from edge.cameras.camera_settings import CameraSettings
from edge.capture.frame_server import FrameServer
from edge.capture.frame_sharing import SOCKET
from edge.clock import SystemClock
from edge.frame import Frame
from edge.page.roles import Role
from edge.supervision.stop_order import FILE
from tests.different_parts import different_part
from tests.edge.page.running_line import PASSWORD, Line, running_line

pytestmark = pytest.mark.browser
PANEL, PHONE = {"width": 1280, "height": 800}, {"width": 390, "height": 844}
TARGET = 48
CLOCK = SystemClock()


@pytest.fixture
def line(two_slots_dir: Path, tmp_path: Path) -> Iterator[Line]:
    with running_line(two_slots_dir, tmp_path, Role.ENGINEER) as one:
        yield one


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    with playwright.sync_playwright() as running:
        browser = running.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def shared_camera(line: Line) -> Iterator[None]:
    """What a running inspection shares of a live camera, which a test machine has not: new pictures of good parts."""
    server, stop = FrameServer(line.state / SOCKET, CLOCK), threading.Event()
    settings = CameraSettings(exposure_us=8000, gain=2)

    def offer() -> None:
        seed = 1000
        while not stop.wait(0.03):
            seed += 1
            server.offer(Frame(different_part(seed, 96, 96), seed, CLOCK.monotonic_ns(), "camera"), "camera", settings)

    thread = threading.Thread(target=offer)
    thread.start()
    yield
    stop.set()
    thread.join()
    server.close()


def opened(chromium: Any, line: Line, size: dict[str, int], language: str) -> tuple[Any, list[str]]:
    """A tab that is logged in, and what goes wrong in it: errors of scripts, what the policy blocks, what asks elsewhere."""
    context = chromium.new_context(viewport=size, locale=language)
    tab = context.new_page()
    wrong: list[str] = []
    tab.on("pageerror", lambda error: wrong.append(str(error)))
    tab.on("console", lambda message: wrong.append(message.text) if message.type in ("error", "warning") else None)
    tab.on("request", lambda asked: wrong.append(asked.url) if not asked.url.startswith(f"http://127.0.0.1:{line.port}/") else None)
    tab.goto(f"http://127.0.0.1:{line.port}/")
    tab.fill("[name=name]", "op")
    tab.fill("[name=password]", PASSWORD)
    tab.click("main button.primary")
    tab.wait_for_selector("#verdict")
    return tab, wrong


def require_large_targets(tab: Any) -> None:
    """Whatever one touches is 48 pixels high and wide, and nothing is wider than the screen."""
    tab.wait_for_load_state("load")
    small = tab.evaluate(
        """least => [...document.querySelectorAll("a, button, input:not([type=hidden]), select")].filter(one => {
            if (one.matches(".skip, .check input")) return false;
            const box = one.getBoundingClientRect();
            return box.width && (box.width < least - 0.5 || box.height < least - 0.5);
        }).map(one => one.outerHTML.slice(0, 100))""",
        TARGET,
    )
    assert small == []
    assert tab.evaluate("document.documentElement.scrollWidth <= window.innerWidth")


@pytest.mark.parametrize(("size", "language"), [(PANEL, "en"), (PHONE, "ja")])
def test_the_live_page(chromium: Any, line: Line, size: dict[str, int], language: str) -> None:
    tab, wrong = opened(chromium, line, size, language)
    line.trigger(4)
    tab.wait_for_selector("#verdict[data-outcome=REJECT] >> text=NG")
    playwright.expect(tab.locator("#count-all")).to_have_text("4")
    playwright.expect(tab.locator("#rejects li").first).to_contain_text("NG")
    tab.wait_for_selector("#picture:not([hidden])")
    assert tab.evaluate("document.getElementById('picture').naturalWidth") == 96
    tab.click("#heat")
    playwright.expect(tab.locator("#heat")).to_have_attribute("aria-pressed", "false")
    playwright.expect(tab.locator("#picture")).to_have_attribute("src", __import__("re").compile("heat=false"))
    assert "4" in tab.get_attribute("#trend", "aria-label")
    playwright.expect(tab.locator("#alerts")).to_contain_text("RECORDING GPIO")
    require_large_targets(tab)
    if size is PANEL:  # all of it is to be seen without scrolling
        assert tab.evaluate("document.documentElement.scrollHeight <= window.innerHeight")
        assert tab.locator("#trend").bounding_box()["y"] < size["height"] - 100
    line.process.terminate()
    line.process.wait(30)
    playwright.expect(tab.locator("#alerts .bad")).to_be_visible(timeout=20_000)
    del wrong[:]  # the connection that was lost
    tab.context.close()


@pytest.mark.parametrize(("size", "language"), [(PANEL, "ja"), (PHONE, "en")])
def test_history_settings_and_audit(chromium: Any, line: Line, size: dict[str, int], language: str) -> None:
    line.trigger(5)
    tab, wrong = opened(chromium, line, size, language)
    tab.click("nav a[href='/history']")
    playwright.expect(tab.locator("tbody tr")).to_have_count(5)
    require_large_targets(tab)
    tab.select_option("[name=outcome]", "REJECT")
    tab.click("button.primary")
    playwright.expect(tab.locator("tbody tr")).to_have_count(1)
    with tab.expect_download() as download:
        tab.click("[formaction='/history.csv']")
    assert Path(download.value.path()).read_text(encoding="utf-8-sig").count("\n") == 2
    tab.click("tbody a")
    playwright.expect(tab.locator("h1")).to_contain_text("3")
    require_large_targets(tab)
    for page in ("/settings", "/audit"):
        tab.goto(f"http://127.0.0.1:{line.port}{page}")
        require_large_targets(tab)
    playwright.expect(tab.locator("tbody")).to_contain_text("login")
    other, word = ("en", "Audit") if language == "ja" else ("ja", "監査ログ")
    tab.click(f"button[value={other}]")
    playwright.expect(tab.locator("h1")).to_have_text(word)
    assert wrong == []
    tab.context.close()


def test_calibrate_at_the_line_look_at_it_activate_and_go_back(chromium: Any, line: Line, shared_camera: None) -> None:
    tab, wrong = opened(chromium, line, PANEL, "en")
    tab.click("nav a[href='/calibration']")
    require_large_targets(tab)
    tab.fill("[name=frames]", "60")
    tab.fill("[name=every_s]", "0.1")
    tab.click("text=Start")
    playwright.expect(tab.locator("#stage")).to_contain_text("Taking pictures", timeout=30_000)
    playwright.expect(tab.locator("#phase")).to_contain_text("The calibration is there", timeout=90_000)
    require_large_targets(tab)
    tab.click("#look")
    playwright.expect(tab.locator("h1")).to_have_text("Calibration 3")
    tab.fill("[name=reason]", "new light")
    tab.click("main button.primary")
    playwright.expect(tab.locator("tbody tr").first).to_contain_text("active")
    line.trigger(1)
    tab.click("nav a[href='/']")
    playwright.expect(tab.locator("#calibration")).to_have_text("3", timeout=20_000)
    tab.click("nav a[href='/calibration']")
    tab.fill(".danger >> xpath=ancestor::form >> [name=reason]", "worse")
    tab.click("button.danger")
    playwright.expect(tab.locator("text=Calibration 2 is active; 1 was before.")).to_be_visible()
    tab.goto(f"http://127.0.0.1:{line.port}/calibration/slot/3/report")
    assert wrong == []
    playwright.expect(tab.locator("#promise")).to_be_visible()
    assert tab.evaluate("[...document.images].every(one => one.naturalWidth > 0)")
    tab.context.close()


@pytest.mark.parametrize(("size", "language"), [(PANEL, "en"), (PHONE, "ja")])
def test_a_line_that_stands_is_released(
    chromium: Any, two_slots_dir: Path, tmp_path: Path, size: dict[str, int], language: str
) -> None:
    (two_slots_dir.parent / FILE).write_text("part 7 may have gone on\n")
    with running_line(two_slots_dir, tmp_path, Role.TECHNICIAN) as line:
        tab, wrong = opened(chromium, line, size, language)
        playwright.expect(tab.locator("#alerts .bad")).to_contain_text("part 7 may have gone on")
        require_large_targets(tab)
        tab.click("#release button")
        playwright.expect(tab.locator("#release")).to_be_hidden()
        playwright.expect(tab.locator("#alerts .bad")).to_have_count(0)
        assert not (two_slots_dir.parent / FILE).exists()
        assert wrong == []
        tab.context.close()


def test_a_tab_whose_session_ended_goes_back_to_the_login(chromium: Any, line: Line) -> None:
    tab, _ = opened(chromium, line, PANEL, "en")
    tab.click("text=Log out")
    tab.wait_for_url("**/login")
    tab.go_back()
    tab.reload()
    assert tab.url.endswith("/login")  # nothing was kept to be shown again
    tab.context.close()
