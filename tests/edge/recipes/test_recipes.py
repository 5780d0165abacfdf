"""Another product is opened and proved in the background, taken between two parts, or refused with the old one going on."""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from calibration.cli import main as calibrate
from edge.clock import ManualClock, SystemClock
from edge.engines.open_engine import open_engine
from edge.errors import ConfigError, InputError
from edge.line.shadow import without_acting_lines
from edge.recipes.ready_recipe import ReadyRecipe, prepare
from edge.recipes.recipe_file import load_recipes
from edge.recipes.recipe_request import REQUEST, RecipeAnswer, RecipeFiles
from edge.recipes.recipe_stager import RecipeStager
from edge.recipes.recipes_cli import main
from edge.station_config import StationConfig
from tests.tiny_bundle import part_image

STATION = StationConfig.model_validate(
    {"camera": {"source": "1", "gain": 2.0}, "lines": {"reject": {"chip": "c", "line": 1}, "ready": {"chip": "c", "line": 2}}}
)


@pytest.fixture
def recipes_file(two_slots_dir: Path, tmp_path: Path) -> Path:
    """Two products of the same model, each with its own state; `moved` has another region, for which nothing was calibrated."""
    path = tmp_path / "two" / "recipes.yaml"
    path.write_text(
        "recipes:\n"
        "  cap: {bundle: bundle}\n"
        "  moved: {bundle: bundle, station: {region: {x: 0, y: 0, width: 64, height: 64}, gain: 4.0}}\n"
        "  gone: {bundle: nowhere}\n"
        "  lid: {bundle: other/bundle}\n"
    )
    shutil.copytree(two_slots_dir, tmp_path / "two" / "other" / "bundle")
    shutil.copytree(two_slots_dir.parent / "calibration", tmp_path / "two" / "other" / "calibration", symlinks=True)
    return path


def run(*arguments: str | Path) -> int:
    return main([str(argument) for argument in arguments])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "key `recipes` is missing"),
        ("recipes: {}", "expected at least one product"),
        ("recipes: {cap: {bundle: b, statoin: {}}}", "did you mean `station`?|unknown key `recipes.cap.statoin`"),
        ("recipes: {cap: {bundle: b, station: {lines: {}}}}", "unknown key `recipes.cap.station.lines`"),
        ("recipes: {'../cap': {bundle: b}}", "recipes"),
        ("recipes: {cap: {bundle: b, station: {ignore_mask: no.png}}}", "no.png does not exist"),
        ("recipes: {cap: {bundle: b}, cap: {bundle: c}}", "appears twice"),
    ],
)
def test_a_file_that_is_wrong_is_one_clear_line(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "recipes.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=message) as told:
        load_recipes(path)
    assert "\n" not in str(told.value)


def test_a_recipe_changes_its_part_of_the_station_and_no_more(recipes_file: Path) -> None:
    recipes = load_recipes(recipes_file)
    own = recipes.named("moved").station.apply(STATION)
    assert own.region is not None
    assert own.region.width == 64
    assert own.camera.model_dump() == {**STATION.camera.model_dump(), "gain": 4.0}
    assert own.lines == STATION.lines
    assert recipes.named("cap").station.apply(STATION) == STATION
    assert recipes.named("lid").bundle == recipes_file.parent / "other" / "bundle"
    with pytest.raises(ConfigError, match="there is no recipe 'cup'; there are: cap, gone, lid, moved"):
        recipes.named("cup")


class Stage:
    """The real stager over real recipes, looked at by hand."""

    def __init__(self, recipes_file: Path) -> None:
        self.recipes = load_recipes(recipes_file)
        self.clock = ManualClock()
        self.files = RecipeFiles(recipes_file.parent / "state", self.clock)
        self.told: list[str] = []
        self.opened: list[ReadyRecipe] = []
        self.stager = RecipeStager(self.files, "cap", 0, self.prepare, lambda text, _: self.told.append(text), self.clock)

    def prepare(self, name: str) -> ReadyRecipe:
        self.opened.append(prepare(name, self.recipes.named(name), StationConfig(), None, open_engine))
        return self.opened[-1]

    def want(self, name: str) -> None:
        self.files.ask(name, "Ann", "next order")
        self.stager.poll()


@pytest.fixture
def stage(recipes_file: Path) -> Iterator[Stage]:
    made = Stage(recipes_file)
    yield made
    made.stager.close()
    for ready in made.opened:
        ready.close()


def test_a_wanted_recipe_is_ready_to_score_and_is_told_when_it_was_taken(stage: Stage) -> None:
    stage.stager.poll()
    assert stage.stager.take() is None
    stage.want("lid")
    ready = stage.stager.take()
    assert ready is not None
    assert stage.stager.take() is None
    bound = ready.bound()
    assert bound.infer(ready.view.preprocess(part_image(3))).scores.score < ready.slot.record.threshold
    bound.close()
    stage.stager.answer(ready)
    stage.stager.poll()
    assert stage.told[0] == "recipe lid is being opened, wanted by Ann"
    assert stage.told[1].startswith("recipe lid taken: calibration 2, threshold ")
    answer, request = stage.files.answered(), stage.files.request()
    assert answer is not None
    assert request is not None
    assert (answer.running, answer.refusal, answer.number) == ("lid", "", request.number)


@pytest.mark.parametrize(
    ("name", "reason"),
    [("gone", "make one with edge-export"), ("moved", "was calibrated for the whole image"), ("cup", "no recipe 'cup'")],
)
def test_one_that_cannot_be_opened_is_refused_and_the_old_one_stays(stage: Stage, name: str, reason: str) -> None:
    stage.want(name)
    assert stage.stager.take() is None
    assert reason in stage.told[-1]
    assert stage.told[-1].endswith("; cap stays")
    answer = stage.files.answered()
    assert answer is not None
    assert answer.running == "cap"
    assert reason in answer.refusal
    stage.stager.poll()
    assert len(stage.told) == 2


def test_one_that_fails_when_it_is_taken_is_refused(stage: Stage) -> None:
    stage.want("lid")
    ready = stage.stager.take()
    assert ready is not None
    stage.stager.answer(ready, "the device is out of memory")
    stage.stager.poll()
    assert stage.told[-1] == "recipe lid is refused: the device is out of memory; cap stays"


def test_a_later_wish_replaces_an_earlier_one_and_the_running_recipe_takes_both_back(stage: Stage) -> None:
    stage.want("lid")
    stage.want("cap")
    assert stage.stager.take() is None
    assert stage.told[-1] == "recipe cap runs already"
    assert stage.opened[0].engine is None
    stage.want("lid")
    stage.want("lid")
    assert len(stage.opened) == 3
    assert stage.stager.take() is stage.opened[-1]


def test_a_damaged_wish_is_told_and_passed_over(stage: Stage) -> None:
    stage.want("lid")
    (stage.files.folder / REQUEST).write_text('{"number": ')
    stage.stager.poll()
    assert "cannot be read and is passed over" in stage.told[-1]
    assert stage.stager.take() is stage.opened[0]


def test_an_engine_that_stays_in_its_thread_is_opened_again_where_it_is_used(
    recipes_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edge.recipes.ready_recipe.STAYS_IN_ITS_THREAD", "onnxruntime")
    ready = prepare("lid", load_recipes(recipes_file).named("lid"), StationConfig(), None, open_engine)
    assert ready.engine is None
    bound = ready.bound()
    assert bound.infer(ready.view.preprocess(part_image(3))).scores.finite()
    bound.close()


def test_the_thread_opens_what_is_wanted_and_gives_back_what_nobody_took(recipes_file: Path) -> None:
    stage, staged = Stage(recipes_file), threading.Event()

    def told(text: str, _: bool) -> None:
        stage.told.append(text)

    def prepared(name: str) -> ReadyRecipe:
        try:
            return stage.prepare(name)
        finally:
            staged.set()

    with RecipeStager(stage.files, "cap", 0, prepared, told, SystemClock()):
        stage.files.ask("lid", "Ann", "")
        assert staged.wait(30)
    assert stage.opened[0].engine is None


def test_the_command_lists_checks_and_switches(recipes_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    places = ("--recipes", recipes_file, "--state", tmp_path / "state")
    assert run("switch", "lid", *places, "--operator", "Ann") == 0
    assert "recipe lid is wanted" in capsys.readouterr().err
    assert run("list", *places, "--json") == 0
    rows = {row["name"]: row for row in json.loads(capsys.readouterr().out)}
    assert [name for name, row in rows.items() if row["wanted"]] == ["lid"]
    assert run("list", *places) == 0
    assert "wanted" in capsys.readouterr().out
    files = RecipeFiles(tmp_path / "state", SystemClock())
    request = files.request()
    assert request is not None
    files.answer(RecipeAnswer(number=request.number, running="cap", refusal="not calibrated"))
    assert run("list", *places, "--json") == 0
    rows = {row["name"]: row for row in json.loads(capsys.readouterr().out)}
    assert (rows["lid"]["wanted"], rows["lid"]["refusal"], rows["cap"]["refusal"]) == (False, "not calibrated", "")
    assert run("list", *places) == 0
    assert "refused" in capsys.readouterr().out
    assert run("check", "lid", "--recipes", recipes_file) == 0
    assert "lid: fp32 on onnxruntime-" in capsys.readouterr().err
    assert run("check", "--recipes", recipes_file) == 1
    err = capsys.readouterr().err
    assert "gone: " in err
    assert "cap: fp32 on" in err
    for wrong in (("switch", "cup", *places), ("switch", "lid", "--recipes", tmp_path / "none.yaml")):
        assert run(*wrong) == 2
        assert capsys.readouterr().err.startswith("edge-recipes: ")


def test_switch_waits_for_the_answer(recipes_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    stage = Stage(recipes_file)
    files = RecipeFiles(recipes_file.parent / "state", SystemClock())
    places = ("--recipes", recipes_file, "--state", files.folder)
    assert run("switch", "lid", *places, "--wait", "1") == 1
    assert "no answer within 1 s" in capsys.readouterr().err
    request = files.request()
    number = request.number if request is not None else 0
    with RecipeStager(files, "cap", number, stage.prepare, lambda *_: None, SystemClock()) as stager:
        taken = threading.Event()

        def loop() -> None:
            while not taken.wait(0.05):
                if (ready := stager.take()) is not None:
                    stager.answer(ready)
                    ready.close()

        thread = threading.Thread(target=loop)
        thread.start()
        assert run("switch", "lid", *places, "--wait", "30") == 0
        assert "recipe lid inspects now" in capsys.readouterr().err
        assert run("switch", "gone", *places, "--wait", "30") == 2
        assert "recipe gone is refused" in capsys.readouterr().err
        taken.set()
        thread.join()


def test_a_calibration_of_the_other_product_is_its_own(recipes_file: Path, normal_dir: Path) -> None:
    recipes = load_recipes(recipes_file)
    assert calibrate([str(normal_dir), "--bundle", str(recipes.named("lid").bundle)]) == 0
    serials = {}
    for name in ("cap", "lid"):
        ready = prepare(name, recipes.named(name), StationConfig(), None, open_engine)
        serials[name] = ready.slot.record.serial
        ready.close()
    assert serials == {"cap": 2, "lid": 3}


def test_an_unknown_precision_leaves_nothing_open(recipes_file: Path) -> None:
    recipe = load_recipes(recipes_file).named("cap").model_copy(update={"precision": "fp16"})
    with pytest.raises(InputError, match="has no fp16 model"):
        prepare("cap", recipe, StationConfig(), None, open_engine)


def test_a_shadow_opens_no_line_that_acts_on_parts() -> None:
    shadow = without_acting_lines(STATION.model_copy(update={"shadow": True}))
    assert shadow.lines.reject is None
    assert shadow.lines.ready == STATION.lines.ready
    assert without_acting_lines(STATION) is STATION
