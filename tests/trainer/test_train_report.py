"""report.html: every picture inside it, names escaped, the odd image first."""

from __future__ import annotations

import base64
import re
from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.trainer.test_training_run import config_file, train
from trainer.train_report import HELD_OUT_SHOWN, UNUSUAL

ODD = "<script>alert('x')&.png"


@pytest.fixture(scope="module")
def report(demo_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Of a run on the demo parts and, among them, one image of something else with an awkward name."""
    folder = tmp_path_factory.mktemp("report")
    parts = folder / "parts"
    parts.mkdir()
    for path in demo_dir.iterdir():
        (parts / path.name).write_bytes(path.read_bytes())
    (parts / "broken<b>.png").write_bytes(b"not an image")
    random = np.random.default_rng(1)
    noise = cv2.imencode(".png", random.integers(0, 256, (200, 200, 3), np.uint8))[1].tobytes()
    (parts / ODD).write_bytes(noise)
    assert train(parts, "--out", folder / "run", "--config", config_file(folder, steps=40, evaluate_every=10)) == 0
    return (folder / "run" / "report.html").read_text()


def test_every_picture_is_inside_and_whole(report: str) -> None:
    sources = re.findall(r'<img src="([^"]*)"', report)
    assert len(sources) == 2 + UNUSUAL + min(HELD_OUT_SHOWN, held_out(report))
    for source in sources:
        kind, _, content = source.partition("base64,")
        assert kind in ("data:image/png;", "data:image/jpeg;")
        assert cv2.imdecode(np.frombuffer(base64.b64decode(content), np.uint8), cv2.IMREAD_COLOR) is not None
    assert not re.search(r"(?:https?:)?//\w", re.sub(r"base64,[^\"]*", "", report))


def test_names_are_escaped(report: str) -> None:
    assert "<script" not in report
    assert "&lt;script&gt;alert(&#39;x&#39;)&amp;.png" in report
    assert "broken<b>" not in report
    assert "broken&lt;b&gt;.png" in report


def test_the_odd_image_is_the_first_to_look_at(report: str) -> None:
    names = re.findall(r"<figcaption>(.*?) ·", report)
    assert names[0].startswith("&lt;script")


def test_options_and_counts_are_told(report: str) -> None:
    assert "<th>steps</th><td>40</td>" in report
    assert f"{25 - held_out(report)} images to learn from" in report
    assert "1 skipped" in report


def held_out(report: str) -> int:
    found = re.search(r"(\d+) held out", report)
    assert found
    return int(found[1])
