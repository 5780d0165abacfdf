"""edge-inspect and edge-recipes as two programs on one station."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import cv2
import pytest

from edge.records import audit_log, part_records
from edge.records.audit_log import AuditTrail
from edge.records.record_query import RecordQuery
from tests.edge.recipes.two_products import GOOD, judged, write_two_products
from tests.edge.test_cli import error_line, inspect, killed_after_a_minute, start, wait_for


@pytest.fixture
def recipes(calibrated_dir: Path) -> Path:
    return write_two_products(calibrated_dir)


@pytest.fixture
def parts(tmp_path: Path) -> str:
    """The same good part, for as long as a test needs."""
    folder = tmp_path / "many"
    folder.mkdir()
    cv2.imwrite(str(folder / "a.png"), GOOD)
    for index in range(40_000):
        os.link(folder / "a.png", folder / f"{index:05d}.png")
    return f"file://{folder}"


def edge_recipes(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    environment = {k: v for k, v in os.environ.items() if not k.startswith("EDGE_INSPECT_")}
    command = [sys.executable, "-m", "edge.recipes.recipes_cli", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, env=environment)


def verdicts(log: Path) -> list[dict[str, object]]:
    return [line for line in map(json.loads, log.read_text().splitlines()) if "event" not in line]


def test_another_program_changes_the_product_and_a_restart_begins_with_it(recipes: Path, parts: str, tmp_path: Path) -> None:
    log = tmp_path / "verdicts.jsonl"
    run = ("--camera", parts, "--recipes", recipes, "--gpio", "recording", "--verdicts", log)
    process = start(*run, "--recipe", "cap")
    with killed_after_a_minute(process):
        wait_for(process.stderr, "RECORDING")
        done = edge_recipes("switch", "lid", "--recipes", recipes, "--wait", "30", "--operator", "Ann", "--reason", "next order")
        assert done.returncode == 0, done.stderr
        assert "recipe lid inspects now" in done.stderr
        refused = edge_recipes("switch", "gone", "--recipes", recipes, "--wait", "30")
        assert refused.returncode == 2
        assert "recipe gone is refused" in refused.stderr
        wait_for(process.stderr, "lid stays")
        process.terminate()
        _, err = process.communicate()
    assert process.returncode == 0, err
    records = verdicts(log)
    assert [record["part_id"] for record in records] == list(range(len(records)))
    names = [record["recipe"] for record in records]
    assert names == sorted(names)
    assert set(names) == {"cap", "lid"}
    # One picture, two products: each name comes with the threshold and the score that it has by itself, or with no score at all.
    judgements = {(r["recipe"], r["threshold"], r["scores"]["score"]) for r in records if r["scores"] is not None}  # type: ignore[index]
    assert judgements == {(name, *judged(recipes, name)) for name in ("cap", "lid")}
    faults = [index for index, record in enumerate(records) if record["outcome"] == "FAULT"]
    first = names.index("lid")
    assert faults == list(range(first, first + len(faults)))
    assert 1 <= len(faults) <= 3  # what was captured ahead
    assert all("came before the product was changed to lid" in str(records[index]["reason"]) for index in faults)

    (change,) = [one.details for one in AuditTrail(recipes.parent / audit_log.FOLDER).events() if one.kind == "product"]
    assert (change["recipe"], change["operator"], change["why"], change["calibration"]) == ("lid", "Ann", "next order", 1)
    rows = RecordQuery(recipes.parent / part_records.FOLDER / part_records.FILE).parts(0, 2**62)
    assert [row["recipe"] for row in rows] == names
    log.unlink()
    assert inspect(*run, "--max-frames", "3") == 0
    assert [(record["recipe"], record["outcome"]) for record in verdicts(log)] == [("lid", "PASS")] * 3


def test_a_run_cannot_be_recorded_with_recipes(recipes: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert inspect("--recipe", "cap", "--recipes", recipes, "--dry-run", "--record", tmp_path / "run") == 2
    assert "--record keeps the run of one product" in error_line(capsys)
    assert not (tmp_path / "run").exists()


def test_a_recipe_that_is_not_there_does_not_start(recipes: Path, parts: str, capsys: pytest.CaptureFixture[str]) -> None:
    run = ("--camera", parts, "--recipes", recipes, "--dry-run")
    assert inspect(*run, "--recipe", "cup") == 2
    assert "there is no recipe 'cup'; there are: cap, gone, lid" in error_line(capsys)
    assert inspect(*run, "--recipe", "gone") == 2
    assert "make one with edge-export" in error_line(capsys)
