"""The page over two calibrations of the tiny bundle, with one account of each role."""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

pytest.importorskip("fastapi")
from fastapi import FastAPI
from fastapi.testclient import TestClient

from edge.clock import ManualClock, SystemClock
from edge.page import accounts
from edge.page.accounts import AccountFile, Accounts
from edge.page.page_server import add_page_flags
from edge.page.place import Place
from edge.page.roles import Role
from edge.page.web.page_app import page_app
from tests.edge.page.running_line import PASSWORD, Line, running_line

ORIGIN = {"origin": "http://localhost"}


@dataclass
class Page:
    """The application and what a browser does with it."""

    app: FastAPI
    state: Path
    clock: ManualClock

    def browser(self) -> TestClient:
        """One without cookies, which sends what browsers send."""
        return TestClient(self.app, base_url="http://localhost", follow_redirects=False, headers=ORIGIN, client=("192.0.2.7", 4711))

    def logged_in(self, role: Role) -> TestClient:
        """A browser of the account of that role."""
        browser = self.browser()
        answer = browser.post("/login", data={"name": role.word, "password": PASSWORD + role.word[:2]})
        assert answer.status_code == 303, answer.text
        return browser


def form_token(browser: TestClient) -> str:
    """As the pages carry it."""
    found = re.search(r'data-form-token="([^"]+)"', browser.get("/").text)
    assert found is not None
    return found[1]


@pytest.fixture(scope="session", autouse=True)
def _quick_hashes() -> Iterator[None]:
    """The real algorithm with the least of memory and time."""
    from argon2 import PasswordHasher

    with pytest.MonkeyPatch.context() as monkeypatch:
        hasher = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
        monkeypatch.setattr(accounts, "_hasher", lambda: hasher)
        monkeypatch.setattr(accounts, "_nobody", lambda: hasher.hash("nobody"))
        yield


def options(*arguments: str) -> argparse.Namespace:
    """As the command line gives them."""
    parser = argparse.ArgumentParser()
    add_page_flags(parser)
    return parser.parse_args(arguments)


@pytest.fixture
def make_page(two_slots_dir: Path) -> Callable[..., Page]:
    """``make_page(*arguments)``: further ones of the command line."""

    def make(*arguments: str) -> Page:
        clock = ManualClock(wall_ns=SystemClock().wall_ns())
        bundle = [] if "--recipes" in arguments else ["--bundle", str(two_slots_dir)]
        place = Place(options(*bundle, "--http", ":8080", *arguments), clock)
        people = Accounts(AccountFile(place.state), clock)
        for role in Role:
            people.add(role.word, role, PASSWORD + role.word[:2])
        return Page(page_app(place, clock), place.state, clock)

    return make


@pytest.fixture
def page(make_page: Callable[..., Page]) -> Page:
    """With the station's defaults."""
    return make_page()


@pytest.fixture
def line(calibrated_dir: Path, tmp_path: Path) -> Iterator[Line]:
    """A running inspection with its page; an operator is logged in."""
    with running_line(calibrated_dir, tmp_path) as one:
        yield one
