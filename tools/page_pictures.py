"""The README's pictures of the operator page, of a report and of heat maps: made by a browser from a run of the demo.

``edge-demo run --out demo`` first, then ``python -m tools.page_pictures demo --out docs/pictures``; with playwright and a chromium.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import cycle, islice
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
from rich.console import Console

from edge.bundle import open_bundle
from edge.console.exit_code import reported
from edge.errors import ConfigError
from edge.pictures.image_file import list_images
from edge.records.part_archive import FOLDER
from edge.slots.calibration_slot import SlotStore
from edge.storage.archive_room import HEAT_SUFFIX
from tools.page_run import NAME, PASSWORD, PageRun, page_run

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

PARTS = 90
EVERY_S = 0.6
GOOD_AFTER_EACH = 5
"""Good parts between two of the demo's bad ones, so that the trend looks like a line."""
PANEL, PHONE = (1280, 800), (390, 844)
DEADLINE_MS = 3000
HEATS = 4
FIRST = 4
"""Of the kinds of bad parts, so that the last one of the line is a chip, which is small."""


def main(arguments: list[str] | None = None) -> int:
    """Entry point; returns the exit code."""
    parser = argparse.ArgumentParser("page_pictures", description=__doc__)
    parser.add_argument("demo", type=Path, help="what edge-demo run made")
    parser.add_argument("--out", type=Path, required=True, help="folder for the pictures")
    options = parser.parse_args(arguments)
    console = Console(stderr=True)
    with reported("page_pictures", console) as outcome:
        make_pictures(options.demo, options.out)
        console.print(f"pictures: {options.out}", highlight=False, soft_wrap=True)
    return outcome.code


def make_pictures(demo: Path, out: Path) -> None:
    """Write live.png, live-phone.png, calibration.png, report.png and heat.jpg into ``out``; raises ConfigError."""
    out.mkdir(parents=True, exist_ok=True)
    bundle = open_bundle(demo / "bundle")
    store = SlotStore(demo, bundle)
    with page_run(store, _line(demo / "images"), DEADLINE_MS) as run, _browser() as browser:
        panel, phone = _tab(browser, run, PANEL, "en"), _tab(browser, run, PHONE, "ja")
        run.trigger(PARTS, EVERY_S)
        panel.wait_for_selector("#verdict[data-outcome=REJECT]")
        panel.wait_for_timeout(1500)
        _shoot(panel, out / "live.png")
        _shoot(phone, out / "live-phone.png")
        panel.goto(f"{run.address}/calibration")
        _shoot(panel, out / "calibration.png")
        panel.goto(f"{run.address}/calibration/slot/{store.active_serial()}/report")
        _shoot(panel, out / "report.png")
        heats = sorted((run.state / FOLDER).glob(f"*/ng/*{HEAT_SUFFIX}"))[:HEATS]
        if len(heats) < HEATS:
            raise ConfigError(f"expected {HEATS} rejects with heat maps, there are {len(heats)}; is {demo} a demo's folder?")
        pictures = [cv2.imread(str(path)) for path in heats]
        rows = [cv2.hconcat([one for one in pictures[at : at + 2] if one is not None]) for at in range(0, HEATS, 2)]
        cv2.imwrite(str(out / "heat.jpg"), cv2.resize(cv2.vconcat(rows), None, fx=0.6, fy=0.6, interpolation=cv2.INTER_AREA))


def _line(images: Path) -> list[Path]:
    """Good parts, and now and then a bad one; the last is bad, so that the page shows what that looks like."""
    good = cycle(list_images(images / "test" / "good"))
    folders = sorted(one for one in (images / "test").iterdir() if one.is_dir() and one.name != "good")
    bad = cycle([list_images(folder)[0] for folder in (*folders[FIRST:], *folders[:FIRST])])
    line: list[Path] = []
    while len(line) < PARTS:
        line += [*islice(good, GOOD_AFTER_EACH), next(bad)]
    return line[-PARTS:]


@contextmanager
def _browser() -> Iterator[Browser]:
    try:
        from playwright.sync_api import sync_playwright
    except ImportError as error:
        raise ConfigError("the pictures need playwright; run: pip install playwright") from error
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        raise ConfigError("the pictures need a chromium on the PATH; run: apt-get install chromium")
    with sync_playwright() as running:
        browser = running.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield browser
        browser.close()


def _tab(browser: Browser, run: PageRun, size: tuple[int, int], language: str) -> Page:
    context = browser.new_context(viewport={"width": size[0], "height": size[1]}, locale=language)
    tab = context.new_page()
    tab.goto(f"{run.address}/login")
    tab.fill("[name=name]", NAME)
    tab.fill("[name=password]", PASSWORD)
    tab.click("main button.primary")
    tab.wait_for_selector("#verdict")
    return tab


def _shoot(tab: Page, path: Path) -> None:
    tab.screenshot(path=str(path))
    picture = cv2.imread(str(path))
    assert picture is not None
    cv2.imwrite(str(path), picture, [cv2.IMWRITE_PNG_COMPRESSION, 9])


if __name__ == "__main__":
    sys.exit(main())
