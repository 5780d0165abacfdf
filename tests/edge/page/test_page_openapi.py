"""Whatever anybody sends to any route: no error of the program's own, and no answer that the route does not have."""

from __future__ import annotations

import pytest

schemathesis = pytest.importorskip("schemathesis")

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from edge.page.roles import Role
from tests.edge.page.conftest import Page, form_token

LEFT_OUT = ("/live/events", "/logout")
"""One never ends; the other ends what the rest needs."""


def test_no_request_breaks_the_page(page: Page) -> None:
    browser = page.logged_in(Role.ENGINEER)
    token = form_token(browser)
    schema = schemathesis.openapi.from_asgi("/openapi.json", _with_openapi(page))
    count = 0
    for result in schema.get_all_operations():
        operation = result.ok()
        if operation.path in LEFT_OUT:
            continue

        @settings(
            max_examples=15, deadline=None, derandomize=True, database=None, phases=[Phase.explicit, Phase.generate],
            suppress_health_check=list(HealthCheck),
        )  # fmt: skip
        @given(case=operation.as_strategy(), with_token=st.booleans())
        def attack(case: object, with_token: bool) -> None:
            nonlocal count
            count += 1
            request = case.as_transport_kwargs(base_url="http://localhost")  # type: ignore[attr-defined]
            headers = {name: value for name, value in request.get("headers", {}).items() if name.lower() not in ("user-agent",)}
            if with_token:
                headers["x-form-token"] = token
            sent = {name: request[name] for name in ("params", "json", "data", "content") if request.get(name) is not None}
            answer = browser.request(request["method"], request["url"], headers=headers, **sent)
            assert answer.status_code < 500, (request, answer.text[-400:])
            assert answer.status_code in (200, 303, 401, 403, 404, 409, 413, 422, 429), answer.status_code

        page.clock.advance_ms(60_000)
        attack()
    assert count > 150


def _with_openapi(page: Page) -> object:
    """The schema is not served; here it is, beside the page."""
    from fastapi import FastAPI

    app = FastAPI(openapi_url=None)
    content = page.app.openapi()
    app.get("/openapi.json")(lambda: content)
    return app
