"""The page holds what the record says, for anyone who opens it, whatever the files are called."""

from __future__ import annotations

import base64
import os
import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge.bundle import file_sha256
from tests.calibration.test_cli import calibrate, record
from tests.tiny_bundle import part_image, write_tiny_bundle

VOID = {"meta", "img", "br"}
UNCLOSED = VOID | {"html"}


class Page(HTMLParser):
    """Text by the id of the element around it, pictures, figures, and tags that do not match."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.ids: dict[str, str] = {}
        self.text, self.unmatched = "", []
        self.pictures: list[tuple[str, bytes]] = []
        self.captions: list[str] = []
        self.tags: set[str] = set()
        self._open: list[tuple[str, str | None]] = []
        self.feed(path.read_text(encoding="utf-8"))
        self.unmatched += [tag for tag, _ in self._open if tag != "html"]

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        named = dict(attributes)
        self.tags.add(tag)
        if tag == "img":
            kind, _, content = str(named["src"]).partition(";base64,")
            self.pictures.append((kind, base64.b64decode(content)))
        if tag == "figcaption":
            self.captions.append("")
        if tag not in VOID:
            self._open.append((tag, named.get("id")))

    def handle_endtag(self, tag: str) -> None:
        if tag == "html":
            return
        if self._open and self._open[-1][0] == tag:
            self._open.pop()
        else:
            self.unmatched.append(tag)

    def handle_data(self, data: str) -> None:
        inside = [tag for tag, _ in self._open]
        if "style" in inside:
            return
        self.text += data
        if "figcaption" in inside:
            self.captions[-1] += data
        for _, name in self._open:
            if name is not None:
                self.ids[name] = " ".join((self.ids.get(name, "") + " " + data).split())


def page_of(bundle_dir: Path) -> Page:
    return Page(bundle_dir.parent / "calibration" / "tiny" / "current" / "report.html")


def defects(folder: Path, count: int = 3) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for index in range(count):
        assert cv2.imwrite(str(folder / f"{index}.png"), part_image(500 + index, defect=True))
    return folder


def test_the_page_holds_what_the_record_says_and_needs_nothing_else(bundle_dir: Path, normal_dir: Path, tmp_path: Path) -> None:
    defects(tmp_path / "bad" / "square")
    assert calibrate(normal_dir, "--bundle", bundle_dir, "--operator", "Ann", "--check", tmp_path / "bad") == 0
    page, slot = page_of(bundle_dir), record(bundle_dir)
    assert page.unmatched == []
    assert not page.tags & {"script", "link", "iframe"}
    assert f"at most {slot['promise']['false_reject_rate']:.2%}" in page.ids["promise"].lower()
    assert "95% confidence" in page.ids["promise"]
    assert slot["promise"]["kind"] in page.ids["promise"]
    facts = page.ids["facts"]
    for words in (
        f"threshold {slot['threshold']:.6g}", f"{slot['created']} by Ann", slot["model_sha256"][:12], slot["runtime"],
        slot["center_source"], *(f"{len(files)} for" for files in slot["images"].values()), "images of 96×96",
    ):  # fmt: skip
        assert words in facts
    assert "square 3 3 0" in page.ids["checked"]
    assert slot["checked"] == {"square": {"images": 3, "rejected": 3}}
    for name in ("brightness", "saturation", "sharpness"):
        assert name in page.ids["quality"]
    assert "Calibration 1 of tiny" in page.text
    (histogram, *heat) = page.pictures
    assert histogram == ("data:image/png", (bundle_dir.parent / "calibration/tiny/current/histogram.png").read_bytes())
    assert len(heat) == len(page.captions) >= 10
    for kind, content in heat:
        assert kind == "data:image/jpeg"
        assert cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR).shape == (320, 640, 3)


def test_names_are_escaped_and_bytes_that_are_no_text_are_spelt_out(bundle_dir: Path, normal_dir: Path, tmp_path: Path) -> None:
    odd = part_image(900)
    odd[30:50, 40:60, :2] = (255, 20)
    cv2.imwrite(str(tmp_path / "odd.png"), odd)
    (tmp_path / "odd.png").rename(normal_dir / "<script>alert(1)&<b>.png")
    (normal_dir / "broken<b>.png").write_bytes(b"no image")
    bad = tmp_path / "bad"
    defects(bad / "<i>[bold]")
    (bad / "<i>[bold]").rename(os.fsdecode(os.fsencode(bad) + b"/\xff<i>[bold]"))
    normal = normal_dir.rename(os.fsdecode(os.fsencode(tmp_path) + b"/parts\xfe"))
    assert calibrate(normal, "--bundle", bundle_dir, "--drop-suspects", "--check", bad) == 0
    page = page_of(bundle_dir)
    assert page.unmatched == []
    assert not page.tags & {"script", "b", "i"}
    assert any(caption.startswith("<script>alert(1)&<b>.png · score") for caption in page.captions)
    assert "broken<b>.png: expected an image" in page.text
    assert r"\udcff<i>[bold] 3 3 0" in page.ids["checked"]
    assert r"\udcff<i>[bold]" in record(bundle_dir)["checked"]
    assert r"parts\udcfe" in page.ids["facts"]


def test_suspects_come_with_their_reasons_and_dropped_ones_apart(bundle_dir: Path, normal_dir: Path) -> None:
    cv2.imwrite(str(normal_dir / "bad.png"), part_image(900, defect=True))
    assert calibrate(normal_dir, "--bundle", bundle_dir) == 0
    (bad,) = (caption for caption in page_of(bundle_dir).captions if caption.startswith("bad.png"))
    assert "a defect, or another part" in bad
    assert calibrate(normal_dir, "--bundle", bundle_dir, "--drop-suspects") == 0
    page = page_of(bundle_dir)
    assert "Left out" in page.text
    assert sum(caption.startswith("bad.png") for caption in page.captions) == 1
    assert "suspects, left out" in page.ids["facts"]
    assert record(bundle_dir)["dropped"].keys() >= {file_sha256(normal_dir / "bad.png")}


def test_a_suspect_that_had_a_part_in_c_is_shown_by_a_c_without_it(
    bundle_dir: Path, tmp_path: Path, write_parts: Callable[..., Path]
) -> None:
    """By the final C, a centre of which may be its own, its map would be cold; by one without it, the square is hot."""
    folder = write_parts(tmp_path / "parts", 30)
    cv2.imwrite(str(folder / "bad.png"), part_image(900, defect=True))
    learned = tuple(file_sha256(path) for path in folder.iterdir())
    bundle = write_tiny_bundle(tmp_path / "trained", learned)
    write_parts(folder, 12, first_seed=300)
    for path in folder.iterdir():  # the fresh ones must be other files
        if file_sha256(path) not in learned:
            path.rename(folder / f"fresh{path.name}")
    write_parts(folder, 12)
    assert calibrate(folder, "--bundle", bundle) == 0
    assert "training images" in record(bundle)["center_source"]
    page = page_of(bundle)
    place = next(index for index, caption in enumerate(page.captions) if caption.startswith("bad.png"))
    heat = cv2.imdecode(np.frombuffer(page.pictures[1 + place][1], np.uint8), cv2.IMREAD_COLOR).astype(int)[:, 320:]
    redness = heat[..., 2] - heat[..., 1]
    square, whole = redness[110:160, 145:190], redness
    assert square.mean() > 80 > whole.mean() + 40


def test_before_and_after_counts_by_the_old_slots_own_tensors(
    bundle_dir: Path, tmp_path: Path, normal_dir: Path, write_parts: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    assert calibrate(normal_dir, "--bundle", bundle_dir, "--center", "bundle") == 0
    assert "no calibration before" in page_of(bundle_dir).ids["before-after"]
    other = write_parts(tmp_path / "other", 20, first_seed=700)
    for path in other.iterdir():  # redder to the left, for all of them alike: the old L2 calls each of them bad
        image = cv2.imread(str(path)).astype(np.float32)
        image[:40, :40, 2] *= 1.5
        cv2.imwrite(str(path), np.clip(image, 0, 255).astype(np.uint8))
    assert calibrate(other, "--bundle", bundle_dir, "--center", "bundle") == 0
    said = "alibration 1 rejects 20 of the 20 images that set the threshold, the new one 0"
    assert said in page_of(bundle_dir).ids["before-after"]
    assert said in " ".join(capsys.readouterr().err.split())
    assert calibrate(other, "--bundle", bundle_dir, "--center", "bundle", "--dry-run", "--report", tmp_path / "dry.html") == 0
    page = Page(tmp_path / "dry.html")
    assert "(dry run)" in page.text
    assert "calibration 2 rejects 0 of the 20" in page.ids["before-after"].lower()
    assert "20 of them had a part in the old one" in page.ids["before-after"]


def test_an_old_slot_of_another_view_is_not_compared(bundle_dir: Path, normal_dir: Path, tmp_path: Path) -> None:
    assert calibrate(normal_dir, "--bundle", bundle_dir) == 0
    station = tmp_path / "station.yaml"
    station.write_text("region: {x: 0, y: 0, width: 90, height: 90}\n")
    assert calibrate(normal_dir, "--bundle", bundle_dir, "--station", station) == 0
    words = page_of(bundle_dir).ids["before-after"]
    assert "cannot be compared" in words
    assert "90×90" in words


def test_sessions_are_compared(bundle_dir: Path, tmp_path: Path, write_parts: Callable[..., Path]) -> None:
    for number, day in enumerate(("monday", "tues<b>day")):
        write_parts(tmp_path / "parts" / day, 20, first_seed=100 * number)
    assert calibrate(tmp_path / "parts", "--bundle", bundle_dir, "--center", "bundle") == 0
    assert re.search(r"monday 20 .*tues<b>day 20 ", page_of(bundle_dir).ids["sessions"])


@pytest.mark.parametrize("name", ["report.pdf", "report"])
def test_a_report_of_another_kind_is_refused_at_once(name: str, normal_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as error:
        calibrate(normal_dir, "--report", name)
    assert error.value.code == 2
    assert "ends with .html or .png" in capsys.readouterr().err


def test_a_picture_that_is_gone_since_costs_its_picture_alone(
    bundle_dir: Path, normal_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from calibration import cli

    whole, references = cli.compare_with_active, cli.reference_images

    def then_lose(*arguments: object) -> object:
        for path in normal_dir.iterdir():
            if path.name >= "030":
                path.unlink()
        return whole(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(cli, "compare_with_active", then_lose)
    monkeypatch.setattr(
        cli, "reference_images", lambda engine, view, paths: references(engine, view, list(filter(Path.exists, paths)))
    )
    assert calibrate(normal_dir, "--bundle", bundle_dir) == 0
    page = page_of(bundle_dir)
    assert "the file can no longer be read" in page.text
    assert len(page.captions) == 10 > len(page.pictures) - 1
