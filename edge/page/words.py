"""All that the page says, in each language: ``languages/<code>.yaml``, the same keys in every one."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from edge.storage.strict_yaml import load_yaml

LANGUAGES = {"en": "English", "ja": "日本語"}
COOKIE = "language"
FOLDER = Path(__file__).parent / "languages"


@cache
def words(language: str) -> dict[str, str]:
    """Key → text of one of LANGUAGES."""
    return {key: str(text) for key, text in load_yaml(FOLDER / f"{language}.yaml").items()}


def chosen_language(cookie: str | None, accepted: str, default: str) -> str:
    """What the reader chose, else the first that the browser's Accept-Language asks for and that is there, else ``default``."""
    if cookie in LANGUAGES:
        return cookie
    for one in accepted.split(","):
        code = one.partition(";")[0].strip().lower().partition("-")[0]
        if code in LANGUAGES:
            return code
    return default
