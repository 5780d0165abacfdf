"""edge-train from a folder to a checkpoint, and whatever a person or a power cut may do to it."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
import yaml

from edge.errors import InputError
from edge.storage.documented_yaml import documented_yaml
from tests.trainer.conftest import SMALL, killed_at
from trainer import checkpoint
from trainer.cli import main
from trainer.dataset import find_normal_images
from trainer.model import Model
from trainer.train_config import TrainConfig


def config_file(tmp_path: Path, **changes: object) -> Path:
    path = tmp_path / f"{len(list(tmp_path.iterdir()))}.yaml"
    path.write_text(yaml.safe_dump(SMALL | changes))
    return path


def train(*arguments: str | Path) -> int:
    return main([str(argument) for argument in arguments])


def test_a_run_holds_its_config_its_images_and_its_metrics(demo_dir: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    assert train(demo_dir, "--out", out, "--config", config_file(tmp_path), "--seed", "3") == 0
    _, record = checkpoint.load(out)
    assert (record.finished, record.step, record.config.seed, record.config.input_size) == (True, 4, 3, 128)
    assert len(record.learned) + len(record.held_out) == 24
    assert not set(record.learned) & set(record.held_out)
    with open(out / "metrics.csv", newline="") as file:
        assert [int(row["step"]) for row in csv.DictReader(file)] == [1, 2, 3, 4]
    assert not [p for p in out.iterdir() if p.suffix in (".pt", ".pkl", ".pth")]


def test_a_killed_run_resumes_to_the_very_same_model(demo_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = config_file(tmp_path)
    assert train(demo_dir, "--out", tmp_path / "straight", "--config", config) == 0
    with killed_at(monkeypatch, 3):
        assert train(demo_dir, "--out", tmp_path / "killed", "--config", config) == 130
    assert checkpoint.load(tmp_path / "killed")[1].step == 2
    assert train(demo_dir, "--out", tmp_path / "killed", "--config", config) == 0
    straight, resumed = checkpoint.load(tmp_path / "straight")[1], checkpoint.load(tmp_path / "killed")[1]
    assert resumed.weights_sha256 == straight.weights_sha256
    for name in ("metrics.csv", checkpoint.FEATURES):
        assert (tmp_path / "killed" / name).read_bytes() == (tmp_path / "straight" / name).read_bytes()


def test_a_finished_run_is_never_overwritten(demo_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out, config = tmp_path / "run", config_file(tmp_path)
    assert train(demo_dir, "--out", out, "--config", config) == 0
    before = {p: p.read_bytes() for p in out.rglob("*") if p.is_file()}
    assert train(demo_dir, "--out", out, "--config", config) == 0
    assert "nothing to do" in " ".join(capsys.readouterr().err.split())
    assert train(demo_dir, "--out", out, "--config", config, "--seed", "9") == 2
    assert "holds a run with other options" in capsys.readouterr().err
    assert {p: p.read_bytes() for p in out.rglob("*") if p.is_file()} == before


@pytest.mark.parametrize("moment", range(4))
def test_a_kill_while_saving_leaves_a_whole_checkpoint(
    demo_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moment: int, small: TrainConfig
) -> None:
    """The second save is cut off before its n-th file; what loads is the first or the second checkpoint, never a mixture."""
    from trainer.model import Model

    images = find_normal_images(demo_dir, 0.1)
    first, second = Model(small), Model(small.model_copy(update={"seed": 1}))
    record = checkpoint.new_record(small, images, demo_dir, 2, finished=False)
    checkpoint.save(tmp_path, first, record, {})
    written = []
    write_file = checkpoint.write_file

    def dying(path: Path, content: bytes) -> None:
        if len(written) == moment:
            raise KeyboardInterrupt
        written.append(path)
        write_file(path, content)

    monkeypatch.setattr(checkpoint, "write_file", dying)
    record = checkpoint.new_record(small, images, demo_dir, 4, finished=False)
    if moment < 3:
        with pytest.raises(KeyboardInterrupt):
            checkpoint.save(tmp_path, second, record, {})
    else:
        checkpoint.save(tmp_path, second, record, {})
    loaded = checkpoint.load(tmp_path)[1]
    assert loaded.step == (2 if moment < 3 else 4)
    assert (tmp_path / checkpoint.state_name(loaded.weights_sha256)).is_file()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"stpes": 3}, "unknown key `stpes`; did you mean `steps`?"),
        ({"steps": "many"}, "`steps`"),
        ({"input_size": 100}, "multiple of 128"),
        ({"feature_rate": 0.0}, "greater than 0"),
    ],
)
def test_a_wrong_option_is_told(
    demo_dir: Path, tmp_path: Path, options: dict[str, object], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train(demo_dir, "--out", tmp_path / "run", "--config", config_file(tmp_path, **options)) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_bad_places_and_bad_images(demo_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").touch()
    assert train(demo_dir, "--out", tmp_path / "file" / "run") == 2
    assert "choose another --out" in capsys.readouterr().err
    (tmp_path / "empty").mkdir()
    assert train(tmp_path / "empty", "--out", tmp_path / "run") == 2
    few = tmp_path / "few"
    few.mkdir()
    for path in sorted(demo_dir.iterdir())[:9]:
        (few / path.name).write_bytes(path.read_bytes())
    assert train(few, "--out", tmp_path / "run") == 2
    assert "at least 10 different normal images, found 9" in " ".join(capsys.readouterr().err.split())


def test_a_changed_weights_file_is_not_loaded(demo_dir: Path, tmp_path: Path, small: TrainConfig) -> None:
    checkpoint.save(
        tmp_path, Model(small), checkpoint.new_record(small, find_normal_images(demo_dir, 0.1), demo_dir, 1, finished=True), None
    )
    weights = next(tmp_path.glob("model.*.safetensors"))
    weights.write_bytes(weights.read_bytes()[:-1] + b"\x01")
    with pytest.raises(InputError, match="hash is not the one"):
        checkpoint.load(tmp_path)


def test_an_edited_record_is_not_taken_for_that_of_the_weights(tmp_path: Path, small: TrainConfig) -> None:
    run = tmp_path / "run"
    run.mkdir()
    record = {"learned": [], "held_out": [], "source": "/images", "step": 3, "finished": True, "smoothness": None, "best_step": 3}
    checkpoint.save(run, Model(small), {"config": small.model_dump(), **record}, None)
    text = (run / checkpoint.RUN).read_text()
    assert f"bottleneck: {small.bottleneck}\n" in text
    (run / checkpoint.RUN).write_text(text.replace(f"bottleneck: {small.bottleneck}\n", f"bottleneck: {small.bottleneck + 1}\n"))
    with pytest.raises(InputError, match="its config is not that of the weights"):
        checkpoint.load(run)


def test_every_option_is_documented_and_the_document_loads() -> None:
    assert TrainConfig.model_validate(yaml.safe_load(documented_yaml(TrainConfig()))) == TrainConfig()
    assert all(field.description for field in TrainConfig.model_fields.values())


def test_the_split_ignores_names_and_reads_mvtec_folders(demo_dir: Path, tmp_path: Path) -> None:
    good = tmp_path / "set" / "train" / "good"
    good.mkdir(parents=True)
    for number, path in enumerate(sorted(demo_dir.iterdir(), reverse=True)):
        (good / f"{number:02d}.png").write_bytes(path.read_bytes())
    one, other = find_normal_images(demo_dir, 0.1), find_normal_images(tmp_path / "set", 0.1)
    assert [digest for _, digest in one.learned] == [digest for _, digest in other.learned]
