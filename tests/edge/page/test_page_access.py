"""Attacks: who may see and change what, and what a hostile browser, site or network neighbour gets."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path

import pytest

from edge.page.accounts import FOLDER
from edge.page.certificate import certificate_files, fingerprint
from edge.page.page_config import PageConfig
from edge.page.roles import Role
from edge.page.web.guard import MOST_BODY_BYTES
from edge.records.audit_log import AuditTrail
from edge.supervision.stop_order import FILE as STOP_FILE
from tests.edge.page.conftest import Page, form_token
from tests.edge.page.running_line import PASSWORD

OPEN = {("/login", "GET"), ("/login", "POST"), ("/language", "POST")}
TECHNICIANS = ("/calibration", "/settings")
ENGINEERS = ("/audit",)


def routes(page: Page) -> list[tuple[str, str]]:
    """(path, method) of all there are, with numbers and names in place."""
    found = []
    for template, methods in page.app.openapi()["paths"].items():
        path = template.replace("{part_id}", "1").replace("{serial}", "1").replace("{name}", "x")
        found += [(path, method.upper()) for method in methods]
    assert len(found) > 20
    return found


def test_nothing_is_shown_to_who_is_not_logged_in(page: Page) -> None:
    browser = page.browser()
    for path, method in routes(page):
        if (path, method) in OPEN:
            continue
        answer = browser.request(method, path, data={"reason": "x", "serial": 1, "active": 2} if method == "POST" else None)
        assert answer.status_code in (303, 401), (path, method)
        assert answer.status_code == 401 or answer.headers["location"] == "/login"


def test_each_role_sees_what_it_may_and_no_more(page: Page) -> None:
    for role in Role:
        browser = page.logged_in(role)
        for path, method in routes(page):
            if method != "GET" or path in ("/login", "/live/events"):
                continue
            needed = Role.ENGINEER if path in ENGINEERS else Role.TECHNICIAN if path.startswith(TECHNICIANS) else Role.OPERATOR
            refused = browser.get(path).status_code == 403
            assert refused == (role < needed), (role, path)
    operator = page.logged_in(Role.OPERATOR)
    data = {"form_token": form_token(operator), "serial": 1, "active": 2, "reason": "x", "seen": "x"}
    for path in ("/calibration/activate", "/calibration/rollback", "/calibration/run", "/calibration/run/stop", "/live/release"):
        assert operator.post(path, data=data).status_code == 403


@pytest.mark.parametrize(
    "change",
    ["/calibration/activate", "/calibration/run", "/calibration/run/stop", "/calibration/product", "/live/release", "/logout"],
)
def test_a_change_needs_the_sessions_own_token(page: Page, change: str) -> None:
    browser, other = page.logged_in(Role.ENGINEER), page.logged_in(Role.TECHNICIAN)
    data = {"serial": 1, "active": 2, "reason": "x", "name": "x", "seen": "x"}
    for token in (None, "", "x", form_token(other), form_token(browser)[:-1]):
        answer = browser.post(change, data=data if token is None else {**data, "form_token": token})
        assert answer.status_code == 403
    assert browser.get("/").status_code == 200


@pytest.mark.parametrize(
    "headers", [{"origin": "http://evil.example"}, {"origin": "null"}, {"origin": ""}, {"sec-fetch-site": "cross-site"}]
)
def test_another_site_changes_nothing_and_logs_nobody_in(page: Page, headers: dict[str, str]) -> None:
    browser = page.logged_in(Role.ENGINEER)
    token = form_token(browser)
    assert browser.post("/logout", data={"form_token": token}, headers=headers).status_code == 403
    assert browser.get("/").status_code == 200
    right = {"name": "engineer", "password": PASSWORD + "en"}
    assert page.browser().post("/login", data=right, headers=headers).status_code == 403


@pytest.mark.parametrize("host", ["evil.example", "evil.example:8080", "", "localhost.evil.example"])
def test_a_name_that_is_not_ours_gets_nothing(page: Page, host: str) -> None:
    assert page.browser().get("/login", headers={"host": host}).status_code == 421


@pytest.mark.parametrize("host", ["localhost:8080", "127.0.0.1:8080", "[::1]:8080", "192.0.2.1"])
def test_a_number_or_our_own_name_is_answered(page: Page, host: str) -> None:
    assert page.browser().get("/login", headers={"host": host}).status_code == 200


def test_a_session_is_never_one_that_the_browser_brought(page: Page) -> None:
    planted = page.browser()
    planted.cookies.set("edge-inspect", "A" * 43, domain="localhost.local")
    before = planted.post("/login", data={"name": "operator", "password": PASSWORD + "op"})
    first = before.cookies["edge-inspect"]
    assert first != "A" * 43
    browser = page.browser()
    browser.cookies.set("edge-inspect", first)
    assert browser.get("/").status_code == 200
    again = browser.post("/login", data={"name": "operator", "password": PASSWORD + "op"})
    assert again.cookies["edge-inspect"] != first
    thief = page.browser()
    thief.cookies.set("edge-inspect", first)
    assert thief.get("/").status_code == 303  # the session before is over


def test_the_cookie_is_out_of_reach_of_scripts_and_other_sites(make_page: Callable[..., Page], page: Page) -> None:
    answer = page.browser().post("/login", data={"name": "operator", "password": PASSWORD + "op"})
    assert {"httponly", "samesite=strict", "path=/"} <= set(answer.headers["set-cookie"].lower().split("; "))


def test_over_tls_the_cookie_is_for_tls_only(make_page: Callable[..., Page], tmp_path: Path) -> None:
    station = tmp_path / "station.yaml"
    station.write_text("page: {tls: 'on'}\n")
    page = make_page("--station", str(station))
    answer = page.browser().post("/login", data={"name": "operator", "password": PASSWORD + "op"})
    assert answer.headers["set-cookie"].startswith("__Host-edge-inspect=")
    assert "secure" in answer.headers["set-cookie"].lower()


def test_log_out_ends_the_session_for_everybody_who_has_its_token(page: Page) -> None:
    browser = page.logged_in(Role.OPERATOR)
    thief = page.browser()
    thief.cookies.update(browser.cookies)
    assert thief.get("/").status_code == 200
    assert browser.post("/logout", data={"form_token": form_token(browser)}).status_code == 303
    assert thief.get("/").status_code == 303


def test_guessing_is_slow_and_says_the_same_of_names_that_do_not_exist(page: Page) -> None:
    answers = {}
    for name in ("engineer", "nobody"):
        page.clock.advance_ms(60_000)
        browser = page.browser()
        texts = [browser.post("/login", data={"name": name, "password": "wrong"}) for _ in range(7)]
        answers[name] = [(one.status_code, one.text) for one in texts]
        if name == "engineer":  # locked, whatever the password
            page.clock.advance_ms(20_000)
            assert page.browser().post("/login", data={"name": name, "password": PASSWORD + "en"}).status_code == 429
    assert answers["engineer"] == answers["nobody"]
    assert [status for status, _ in answers["engineer"]] == [401] * 5 + [429] * 2
    right = {"name": "engineer", "password": PASSWORD + "en"}
    page.clock.advance_ms(60_000)
    assert page.browser().post("/login", data=right).status_code == 303


def test_one_address_has_so_many_attempts_over_all_names(page: Page) -> None:
    browser = page.browser()
    statuses = [browser.post("/login", data={"name": f"name{number}", "password": "wrong"}).status_code for number in range(14)]
    assert statuses == [401] * 10 + [429] * 4
    assert page.browser().get("/login").status_code == 200


@pytest.mark.parametrize(
    "path",
    [
        "/static/../page.css", "/static/..%2f..%2faccounts.py", "/static/%2e%2e/%2e%2e/accounts.py", "/static//etc/passwd",
        "/calibration/captured/..%2f..%2fpage", "/calibration/captured/%2e%2e", "/calibration/slot/..%2f/report",
        "/history/..%2f..%2fpage/picture", "/calibration?product=../../page", "/live/picture/..%2fx", "/static/page.css%00.png",
    ],
)  # fmt: skip
def test_no_path_leads_out(page: Page, path: str) -> None:
    answer = page.logged_in(Role.ENGINEER).get(path)
    assert answer.status_code in (404, 409, 422), answer.text
    assert "root:" not in answer.text
    assert "sqlite" not in answer.text


def test_what_the_database_names_is_served_from_the_archive_only(tmp_path: Path) -> None:
    from edge.page.history import archived_picture

    archive = tmp_path / "archive"
    real = archive / "2026-11-24" / "ng" / "000000001_060000.png"
    real.parent.mkdir(parents=True)
    real.write_bytes(b"x")
    assert archived_picture(archive, "2026-11-24/ng/000000001_060000.png", False) == real
    secret = tmp_path / "000000002_060000.png"
    secret.write_bytes(b"secret")
    (archive / "2026-11-24" / "ng" / "000000002_060000.png").symlink_to(secret)
    for image in (
        "", "../secret", "/etc/passwd", "2026-11-24/ng/../../../secret", "../x/ng/000000001_060000.png", "2026-11-24/ng/x.png",
        "2026-11-24/other/000000001_060000.png", "2026-11-24/ng/000000002_060000.png",
    ):  # fmt: skip
        assert archived_picture(archive, image, False) is None, image


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "CONNECT"])
def test_other_methods_are_refused(page: Page, method: str) -> None:
    assert page.browser().request(method, "/login").status_code == 405


def test_a_body_has_a_limit_whether_or_not_it_says_its_length(page: Page) -> None:
    form = {"content-type": "application/x-www-form-urlencoded"}
    big = b"name=" + b"x" * MOST_BODY_BYTES
    assert page.browser().post("/login", content=big, headers=form).status_code == 413
    assert page.browser().post("/login", content=iter([big[:40_000], big[40_000:]]), headers=form).status_code == 413
    assert page.browser().post("/login", content=b"x", headers={**form, "content-length": "-1"}).status_code == 413


def test_every_answer_forbids_what_the_page_never_does(page: Page) -> None:
    browser = page.logged_in(Role.ENGINEER)
    for path in ("/", "/static/page.css", "/nothing", "/login", "/live/picture/1"):
        headers = browser.get(path).headers
        assert "default-src 'none'" in headers["content-security-policy"]
        assert "unsafe" not in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
        assert "frame-ancestors 'none'" in headers["content-security-policy"]
    report = browser.get("/calibration/slot/1/report").headers["content-security-policy"]
    assert report.startswith("sandbox; default-src 'none'")
    assert "script" not in report


@pytest.mark.parametrize(
    "referer", ["http://localhost//evil.example", "http://evil.example/", "", "http://localhost/\\evil.example"]
)
def test_the_language_leads_to_no_other_site(page: Page, referer: str) -> None:
    answer = page.browser().post("/language", data={"language": "ja"}, headers={"referer": referer})
    location = answer.headers["location"]
    assert location.startswith("/")
    assert not location.startswith(("//", "/\\"))


def test_what_is_shown_is_text_and_nothing_else(page: Page) -> None:
    browser = page.logged_in(Role.TECHNICIAN)
    bad = "<script>alert(1)</script>"
    answer = browser.post(
        "/calibration/rollback", data={"form_token": form_token(browser), "serial": 1, "active": 2, "reason": bad}
    )
    assert answer.status_code == 303
    text = browser.get("/calibration").text
    assert bad not in text
    assert "&lt;script&gt;" in text


def test_every_login_and_change_is_in_the_trail(page: Page) -> None:
    page.browser().post("/login", data={"name": "engineer", "password": "wrong"})
    browser = page.logged_in(Role.ENGINEER)
    data = {"form_token": form_token(browser), "serial": 1, "active": 2, "reason": "worse"}
    assert browser.post("/calibration/rollback", data=data).status_code == 303
    trail = AuditTrail(page.state / FOLDER / "audit")
    assert [(one.kind, one.details["name"]) for one in trail.events()] == [
        ("login failed", "engineer"), ("login", "engineer"), ("rollback", "engineer"),
    ]  # fmt: skip
    assert not trail.verify().breaks
    shown = browser.get("/audit").text
    assert "rollback" in shown
    assert "✓" in shown


def test_a_change_that_cannot_be_written_down_is_not_made(page: Page) -> None:
    browser = page.logged_in(Role.ENGINEER)
    token = form_token(browser)
    folder = page.state / FOLDER / "audit"
    for one in folder.iterdir():
        one.unlink()
    folder.rmdir()
    folder.write_text("in the way")
    (page.state / STOP_FILE).write_text("part 3 may have gone on")
    changes = {
        "/calibration/rollback": {"serial": 1, "active": 2, "reason": "x"},
        "/live/release": {"seen": "part 3 may have gone on; look for it"},
    }
    for path, data in changes.items():
        assert browser.post(path, data={"form_token": token, **data}).status_code == 503
    assert (page.state / STOP_FILE).exists()
    assert (page.state / "calibration" / "tiny" / "current").resolve().name == "000002"


def test_a_certificate_is_made_once_and_its_key_is_ours_alone(tmp_path: Path) -> None:
    config = PageConfig(listen="192.0.2.1:8443", host_names=["panel.example"])
    now = datetime(2026, 11, 24, tzinfo=timezone.utc)
    certificate, key = certificate_files(config, tmp_path / "page", now)
    first = fingerprint(certificate)
    assert key.stat().st_mode & 0o777 == 0o600
    assert certificate_files(config, tmp_path / "page", now) == (certificate, key)
    assert fingerprint(certificate) == first
    context = ssl.create_default_context(cafile=str(certificate))
    context.load_cert_chain(certificate, key)
    names = [entry[1] for entry in ssl._ssl._test_decode_cert(str(certificate))["subjectAltName"]]  # type: ignore[attr-defined]
    assert {"192.0.2.1", "panel.example", "localhost", "127.0.0.1"} <= set(names)
