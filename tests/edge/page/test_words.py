"""What the page says, in each language, and whether one can read it."""

from __future__ import annotations

import re

import pytest

from edge.page.web.page_app import STATIC
from edge.page.web.rendering import TEMPLATES
from edge.page.words import LANGUAGES, chosen_language, words
from edge.supervision.states import State
from edge.verdict import Outcome

TEXT = 4.5
"""WCAG AA for text of any size."""
EDGE = 3.0
"""The same for the edge of a control."""


def test_every_language_says_the_same_and_leaves_nothing_out() -> None:
    english = words("en")
    for language in LANGUAGES:
        said = words(language)
        assert list(said) == list(english), language
        assert not [key for key, text in said.items() if not text.strip()], language
        for key, text in said.items():
            assert sorted(re.findall(r"{\w+}", text)) == sorted(re.findall(r"{\w+}", english[key])), (language, key)


def test_japanese_is_japanese() -> None:
    untranslated = [key for key, text in words("ja").items() if not re.search(r"[\u3040-\u30ff\u4e00-\u9fff]", text)]
    assert set(untranslated) <= {"outcome_PASS", "outcome_REJECT"}


def test_every_text_that_is_used_is_there_and_every_one_there_is_used() -> None:
    files = "".join(path.read_text() for path in [*TEMPLATES.glob("*.html"), *STATIC.glob("*.js")])
    used = set(re.findall(r"\bt\.(\w+)", files)) | set(re.findall(r"texts\.(\w+)", files))
    said = set(words("en"))
    assert used - said - {"get"} == set()
    made = ("role_", "action_", "activation_", "origin_", "outcome_", "state_", "remedy_", "js_phase_", "js_stage_")
    python = "".join(path.read_text() for path in TEMPLATES.parent.glob("web/*.py"))
    unused = {key for key in said - used if not key.startswith(made) and f'"{key}"' not in python}
    assert unused == set()


def test_every_outcome_state_and_stage_has_a_word() -> None:
    said = words("en")
    assert {f"outcome_{one.value}" for one in Outcome} | {f"state_{one.value}" for one in State} <= set(said)


def test_everything_that_can_be_wrong_has_a_remedy() -> None:
    known = ["camera", "engine", "line stop", "challenge", "starts", "watchdog", "heartbeat", "precision", "heat", "memory"]
    known += ["verdict log", "records", "archive", "recording", "page", "plant"]
    for what in known:
        assert f"remedy_{what.replace(' ', '_')}" in words("en")


@pytest.mark.parametrize(
    ("cookie", "accepted", "chosen"),
    [("ja", "en", "ja"), (None, "fr, ja-JP;q=0.9, en", "ja"), (None, "", "en"), ("../x", "de", "en"), (None, "en-GB", "en")],
)
def test_which_language(cookie: str | None, accepted: str, chosen: str) -> None:
    assert chosen_language(cookie, accepted, "en") == chosen


def colors() -> dict[str, str]:
    css = (STATIC / "page.css").read_text()
    return dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6});", css))


def luminance(color: str) -> float:
    channels = [int(color[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [one / 12.92 if one <= 0.04045 else ((one + 0.055) / 1.055) ** 2.4 for one in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(first: str, second: str) -> float:
    high, low = sorted((luminance(first), luminance(second)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def test_the_contrast_is_computed_as_wcag_says() -> None:
    assert contrast("#ffffff", "#000000") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)


@pytest.mark.parametrize(
    ("text", "ground"),
    [
        *((text, ground) for text in ("text", "muted", "link") for ground in ("ground", "surface", "raised")),
        *((text, ground) for text in ("ok", "ng", "fault") for ground in ("ground", "surface", "raised", f"{text}-ground")),
        ("text", "ng-ground"), ("text", "fault-ground"), ("on-primary", "primary"), ("on-danger", "danger"),
    ],
)  # fmt: skip
def test_text_can_be_read(text: str, ground: str) -> None:
    assert contrast(colors()[text], colors()[ground]) >= TEXT


def test_the_edge_of_a_field_can_be_seen() -> None:
    css = (STATIC / "page.css").read_text()
    found = re.search(r"input, select {.*?border: 1px solid (#[0-9a-f]{6})", css)
    assert found is not None
    for ground in ("ground", "surface"):
        assert contrast(found[1], colors()[ground]) >= EDGE


def test_nothing_is_fetched_from_elsewhere_and_nothing_is_inline() -> None:
    for path in [*TEMPLATES.glob("*.html"), *STATIC.glob("*")]:
        text = path.read_text().replace("http://www.w3.org/2000/svg", "")
        assert "http://" not in text, path
        assert "https://" not in text, path
        assert "innerHTML" not in text, path
        if path.suffix == ".html":
            assert not re.search(r"<style|<script>|\son\w+=|style=|\|\s*safe", text), path
