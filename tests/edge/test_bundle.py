from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from edge.bundle import MANIFEST, ReferenceImage, open_bundle
from edge.engines.open_engine import open_engine
from edge.errors import BundleError, HashMismatchError, NewerFormatError
from tests.tiny_bundle import part_image


def edit(bundle: Path, change: Callable[[dict], None]) -> None:
    content = yaml.safe_load((bundle / MANIFEST).read_text())
    change(content)
    (bundle / MANIFEST).write_text(yaml.safe_dump(content))


def test_a_whole_bundle_opens(bundle_dir: Path) -> None:
    bundle = open_bundle(bundle_dir)
    assert bundle.model_path().is_file()
    assert bundle.start_calibration()["centers_0"].shape == (16, 2)
    with pytest.raises(BundleError, match="has no fp16 model"):
        bundle.model_path("fp16")


@pytest.mark.parametrize("size", [1e-3, 1.0, 500.0])
def test_an_engine_is_judged_by_how_large_the_scores_are(bundle_dir: Path, size: float) -> None:
    """λ by hand may be small: one that says 0 to everything must not pass for the engine that recorded."""
    picture = part_image(0)[:64, :64]
    with open_engine(open_bundle(bundle_dir)) as engine:
        neutral = open_bundle(bundle_dir).start_calibration()
        engine.bind(neutral.with_weights(size, size))
        reference = ReferenceImage.of("one.npy", engine.infer(picture).scores, 0.01)
        for tolerance in (None, 0.01):
            engine.bind(neutral.with_weights(1.009 * size, 1.009 * size))
            assert not reference.disagreement(picture, engine, tolerance)
            engine.bind(neutral.with_weights(1.011 * size, 1.011 * size))
            assert "when it was recorded" in reference.disagreement(picture, engine, tolerance)


def test_no_bundle_at_all(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="make one with edge-export"):
        open_bundle(tmp_path / "none")


@pytest.mark.parametrize("name", ["model.fp32.onnx", "calibration/centers_0.npy"])
def test_one_changed_byte_is_found(bundle_dir: Path, name: str) -> None:
    content = bytearray((bundle_dir / name).read_bytes())
    content[len(content) // 2] ^= 1
    (bundle_dir / name).write_bytes(content)
    with pytest.raises(HashMismatchError, match=name):
        open_bundle(bundle_dir)


def test_a_missing_file_is_named(bundle_dir: Path) -> None:
    (bundle_dir / "model.fp32.onnx").unlink()
    with pytest.raises(BundleError, match=r"model\.fp32\.onnx is missing"):
        open_bundle(bundle_dir)


def test_a_newer_format_is_told_before_anything_else_of_it_is_judged(bundle_dir: Path) -> None:
    edit(bundle_dir, lambda m: m.update(format_version=99, something_new=1))
    with pytest.raises(NewerFormatError, match="update edge-inspect"):
        open_bundle(bundle_dir)


@pytest.mark.parametrize("name", ["../outside", "/etc/passwd"])
def test_a_manifest_cannot_name_files_outside(bundle_dir: Path, name: str) -> None:
    edit(bundle_dir, lambda m: m["files"].update({name: "0" * 64}))
    with pytest.raises(BundleError, match="outside the folder"):
        open_bundle(bundle_dir)


@pytest.mark.parametrize("name", ["../../escaped", "", "a/b", "A"])
def test_a_model_id_is_a_plain_name(bundle_dir: Path, name: str) -> None:
    edit(bundle_dir, lambda m: m.update(model_id=name))
    with pytest.raises(BundleError, match="model_id"):
        open_bundle(bundle_dir)


def test_what_is_loaded_has_a_hash(bundle_dir: Path) -> None:
    edit(bundle_dir, lambda m: m["files"].pop("calibration/centers_0.npy"))
    with pytest.raises(BundleError, match=r"no hash for calibration/centers_0\.npy"):
        open_bundle(bundle_dir)


def test_an_unknown_key_or_broken_yaml_is_a_bundle_error(bundle_dir: Path) -> None:
    edit(bundle_dir, lambda m: m.update(oops=1))
    with pytest.raises(BundleError, match="unknown key `oops`"):
        open_bundle(bundle_dir)
    (bundle_dir / MANIFEST).write_text("format_version: [")
    with pytest.raises(BundleError, match="not valid YAML"):
        open_bundle(bundle_dir)


@pytest.mark.parametrize(
    ("reliability", "message"),
    [([1.0], "expected 2 numbers"), ([1.0, 0.0], "greater than 0"), ([1.0, 2.0], "less than or equal to 1")],
)
def test_a_reliability_edited_by_hand_is_told(bundle_dir: Path, reliability: list[float], message: str) -> None:
    edit(bundle_dir, lambda m: m.update(reliability=reliability))
    with pytest.raises(BundleError, match=message):
        open_bundle(bundle_dir)


def test_a_cut_manifest_is_to_be_copied_again(bundle_dir: Path) -> None:
    (bundle_dir / "manifest.yaml").write_text("")
    with pytest.raises(BundleError, match=r"manifest\.yaml is damaged; copy the bundle again"):
        open_bundle(bundle_dir)
