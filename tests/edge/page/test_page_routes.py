"""What the pages show and do: past parts, calibrations, settings. The live page is in test_live_page.py."""

from __future__ import annotations

import csv
import io
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from edge.clock import ManualClock
from edge.line.part_tracker import Action
from edge.page.accounts import FOLDER as PAGE_FOLDER
from edge.page.roles import Role
from edge.records.audit_log import AuditTrail
from edge.records.part_records import FILE, FOLDER, PartRecords
from edge.records.records_config import RecordsConfig
from edge.supervision.stop_order import FILE as STOP_FILE
from edge.verdict import Outcome, Scores, Verdict
from tests.edge.page.conftest import Page, form_token

MANY = 130


@pytest.fixture
def recorded(page: Page) -> Page:
    """130 parts: each tenth a reject, one with a reason that a spreadsheet would run."""
    clock = ManualClock(wall_ns=page.clock.wall_ns() - 3600 * 10**9)
    records = PartRecords(page.state / FOLDER, RecordsConfig(), clock, lambda _: None)
    for part_id in range(MANY):
        outcome = Outcome.REJECT if part_id % 10 == 0 else Outcome.PASS
        reason = "=cmd()" if part_id == 50 else ""
        scores = Scores(1.0, 2.0, 3.5 if part_id % 10 == 0 else 0.5, 0.0, 0.0, 0.0, 0.0)
        clock.advance_ms(1000)
        records.decided(Verdict(part_id, outcome, reason, "s", 1, 2, 3, clock.wall_ns(), scores, 1.0, 2), "fp32")
        records.finished(part_id, outcome, reason, Action.REJECTED if outcome is Outcome.REJECT else Action.PASSED)
    records.close()
    return page


def rows(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text.lstrip("\ufeff"))))


def test_all_parts_are_found_page_by_page_each_once(recorded: Page) -> None:
    import re

    browser = recorded.logged_in(Role.OPERATOR)
    address, found = "/history", []
    while address:
        text = browser.get(address).text
        found += [int(one) for one in re.findall(r'href="/history/(\d+)"', text)]
        more = re.search(r'href="(/history\?[^"]*before=\d+)"', text)
        address = more[1].replace("&amp;", "&") if more else ""
    assert found == list(range(MANY - 1, -1, -1))


def test_a_filter_finds_what_it_names(recorded: Page) -> None:
    browser = recorded.logged_in(Role.OPERATOR)
    assert len(rows(browser.get("/history.csv?outcome=REJECT").text)) == MANY // 10
    assert len(rows(browser.get("/history.csv?action=passed").text)) == MANY - MANY // 10
    assert not rows(browser.get("/history.csv?outcome=FAULT").text)
    middle = time.strftime("%Y-%m-%dT%H:%M:%S", time.localtime(recorded.clock.wall_ns() / 1e9 - 3600 + 60))
    assert (
        len(rows(browser.get(f"/history.csv?since={middle}").text)) + len(rows(browser.get(f"/history.csv?until={middle}").text))
        == MANY
    )
    assert browser.get("/history?outcome=FAULT").text.count("No parts found") == 1


def test_the_csv_has_every_part_once_and_no_formula(recorded: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edge.page.history.CSV_CHUNK", 7)
    answer = recorded.logged_in(Role.OPERATOR).get("/history.csv")
    assert answer.headers["content-disposition"] == 'attachment; filename="parts.csv"'
    found = rows(answer.text)
    assert [int(one["part_id"]) for one in found] == list(range(MANY - 1, -1, -1))
    assert found[MANY - 51]["reason"] == "'=cmd()"


@pytest.mark.parametrize(
    "query", ["since=yesterday", "until=9999-99-99", "outcome=GOOD", "action=x", "before=-1", "since=0001-01-01", "before=x"]
)
def test_a_bad_filter_is_told(recorded: Page, query: str) -> None:
    assert recorded.logged_in(Role.OPERATOR).get(f"/history?{query}").status_code in (409, 422)


def test_where_there_are_no_records_it_says_so(page: Page) -> None:
    answer = page.logged_in(Role.OPERATOR).get("/history")
    assert answer.status_code == 409
    assert "expected part records, there are none" in answer.text


def test_one_part_with_and_without_its_picture(recorded: Page) -> None:
    browser = recorded.logged_in(Role.OPERATOR)
    picture = recorded.state / "archive" / "2026-11-24" / "ng" / "000000010_060000.png"
    picture.parent.mkdir(parents=True)
    picture.write_bytes(b"a picture")
    with sqlite3.connect(recorded.state / FOLDER / FILE) as connection:
        connection.execute("UPDATE parts SET image = ? WHERE part_id = 10", ("2026-11-24/ng/000000010_060000.png",))
    connection.close()
    assert browser.get("/history/10/picture").content == b"a picture"
    assert browser.get("/history/10/picture?heat=true").status_code == 404
    assert '<img class="whole" src="/history/10/picture"' in browser.get("/history/10").text
    assert "No picture of this part" in browser.get("/history/11").text
    for missing in ("/history/4711", "/history/99999999999999999999999", "/history/-1", "/history/11/picture"):
        assert browser.get(missing).status_code == 404


def test_going_back_and_forth_between_calibrations(page: Page) -> None:
    browser = page.logged_in(Role.TECHNICIAN)
    token = form_token(browser)
    active = page.state / "calibration" / "tiny" / "current"
    assert "Calibration 2 is active; 1 was before." in browser.get("/calibration").text
    back = {"form_token": token, "serial": 1, "active": 2, "reason": "worse"}
    assert browser.post("/calibration/rollback", data=back).status_code == 303
    assert active.resolve().name == "000001"
    late = browser.post("/calibration/rollback", data=back)  # another technician's page, now out of date
    assert late.status_code == 409
    assert "has become active meanwhile" in late.text
    assert browser.post("/calibration/rollback", data={**back, "serial": 2, "active": 1}).status_code == 409  # not the one before
    assert browser.post("/calibration/activate", data={**back, "serial": 2, "active": 1}).status_code == 303
    assert active.resolve().name == "000002"
    text = browser.get("/calibration").text
    assert text.count("<td>technician</td>") == 2
    assert "worse" in text


def test_a_change_without_a_reason_or_of_no_calibration_is_refused(page: Page) -> None:
    browser = page.logged_in(Role.TECHNICIAN)
    data = {"form_token": form_token(browser), "serial": 1, "active": 2, "reason": ""}
    assert browser.post("/calibration/rollback", data=data).status_code == 422
    answer = browser.post("/calibration/activate", data={**data, "serial": 7, "reason": "x"})
    assert answer.status_code == 409
    assert "has no calibration 7; there are: 1, 2" in answer.text


def test_a_line_is_released_by_who_saw_why_it_stands(page: Page) -> None:
    stop = page.state / STOP_FILE
    browser = page.logged_in(Role.TECHNICIAN)

    def release(seen: str) -> int:
        return browser.post("/live/release", data={"form_token": form_token(browser), "seen": seen}).status_code

    assert release("part 3 may have gone on") == 409  # none stands
    stop.write_text("part 4 may have gone on\n")
    assert release("part 3 may have gone on; look for it") == 409
    stop.write_text("part 3 may have gone on; part 4 may have gone on\n")
    assert release("part 3 may have gone on; look for it") == 409  # of the other one this page said nothing yet
    assert stop.exists()
    stop.write_text("part 4 may have gone on\n")
    assert release("part 41 may have gone on; look for it") == 409
    assert release("part 3 may have gone on; part 4 may have gone on; look for it") == 303
    assert not stop.exists()
    newest = AuditTrail(page.state / PAGE_FOLDER / "audit").newest(1)[0]
    assert (newest.kind, newest.details["name"], newest.details["reason"]) == (
        "line released", "technician", "part 4 may have gone on"
    )  # fmt: skip


def test_a_damaged_calibration_is_shown_as_such_and_not_taken(page: Page) -> None:
    browser = page.logged_in(Role.TECHNICIAN)
    token = form_token(browser)
    record = page.state / "calibration" / "tiny" / "000001" / "slot.yaml"
    record.write_text(record.read_text().replace("operator: Ann", "operator: Eve").replace("threshold: ", "threshold: 1"))
    assert "was edited since it was written" in browser.get("/calibration").text
    data = {"form_token": token, "serial": 1, "active": 2, "reason": "x"}
    assert browser.post("/calibration/rollback", data=data).status_code == 409
    assert (page.state / "calibration" / "tiny" / "current").resolve().name == "000002"


def test_one_calibration_its_report_and_what_differs(page: Page) -> None:
    browser = page.logged_in(Role.TECHNICIAN)
    assert "60 for the threshold" in browser.get("/calibration/slot/1").text
    assert "<h1>" in browser.get("/calibration/slot/1/report").text
    assert "threshold" in browser.get("/calibration/difference?first=1&second=2").text
    assert browser.get("/calibration/slot/9/report").status_code == 404
    assert browser.get("/calibration/slot/9").status_code == 409


def test_the_settings_are_shown_as_they_count(make_page: Callable[..., Page], tmp_path: Path) -> None:
    station = tmp_path / "station.yaml"
    station.write_text("reject_pulse_ms: 123\n")
    page = make_page("--station", str(station))
    text = page.logged_in(Role.TECHNICIAN).get("/settings").text
    assert "reject_pulse_ms: 123" in text
    assert "pass_valid_ms: 1000" in text
    assert "Accounts" not in text
    assert "<th>technician</th>" in page.logged_in(Role.ENGINEER).get("/settings").text


def test_the_first_start_says_how_to_make_an_account(page: Page) -> None:
    assert "edge-page user add" not in page.browser().get("/login").text
    with sqlite3.connect(page.state / "page" / "accounts.sqlite") as connection:
        connection.execute("DELETE FROM accounts")
    connection.close()
    assert "edge-page user add NAME --role engineer" in page.browser().get("/login").text


def test_both_languages(page: Page) -> None:
    browser = page.browser()
    assert 'lang="en"' in browser.get("/login").text
    assert "ログイン" in browser.get("/login", headers={"accept-language": "ja"}).text
    browser.post("/language", data={"language": "ja"})
    assert "ログイン" in browser.get("/login").text


def test_two_products_each_with_its_own(make_page: Callable[..., Page], two_slots_dir: Path, tmp_path: Path) -> None:
    recipes = tmp_path / "recipes.yaml"
    recipes.write_text(f"recipes:\n  bottle: {{bundle: {two_slots_dir}}}\n  lid: {{bundle: {two_slots_dir}}}\n")
    page = make_page("--recipes", str(recipes), "--state", str(two_slots_dir.parent))
    browser = page.logged_in(Role.TECHNICIAN)
    text = browser.get("/calibration?product=lid").text
    assert "Inspect this product" in text
    data = {"form_token": form_token(browser), "name": "lid", "reason": "next order"}
    assert browser.post("/calibration/product", data=data).status_code == 303
    assert '"name": "lid"' in (page.state / "recipe-wanted.json").read_text()
    assert browser.post("/calibration/product", data={**data, "name": "cap"}).status_code == 409
    assert browser.post("/calibration/product", data={**data, "name": "../cap"}).status_code == 422
    assert browser.get("/calibration?product=cap").status_code == 409
