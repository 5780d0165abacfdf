"""Figures that a real Prometheus takes, with rules that evaluate and a dashboard whose every question has an answer."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from edge.plant import metrics
from edge.plant.metrics import MOST_PEERS, families
from edge.plant.plant_config import CONFIG, MetricsConfig, MqttConfig, PlantConfig
from tests.edge.plant.peers import free_port
from tests.edge.plant.plant_scene import Scene, status
from tests.until import until

DEPLOY = Path(__file__).parents[3] / "deploy"
DASHBOARD = json.loads((DEPLOY / "grafana" / "edge-inspect.json").read_text())
PROMETHEUS = shutil.which("prometheus")
needs_prometheus = pytest.mark.skipif(
    PROMETHEUS is None, reason="NOT RUN: no Prometheus here; apt-get install prometheus to prove rules and dashboard"
)


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    scene = Scene(tmp_path / "state")
    yield scene
    scene.close()


def get(port: int, path: str = "/metrics") -> str:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=10) as answer:
        content: bytes = answer.read()
    return content.decode()


def samples(text: str) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    return {
        (one.name, tuple(sorted(one.labels.items()))): one.value
        for family in text_string_to_metric_families(text)
        for one in family.samples
    }


def test_no_name_is_asked_for_where_no_dns_may_answer(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "getfqdn", lambda _name="": pytest.fail("asked for a name"))
    port = free_port()
    scene.start(PlantConfig(metrics=MetricsConfig(port=port)))
    until(lambda: not _refused(port))
    assert "edge_inspect_up 0.0" in get(port)


def test_what_is_shown_is_what_the_inspection_says(scene: Scene) -> None:
    scene.answer(status(weaknesses={"records": "full"}))
    port = free_port()
    scene.start(PlantConfig(metrics=MetricsConfig(port=port)))
    found = samples(until(lambda: _up(port)))
    assert found["edge_inspect_parts_total", (("outcome", "PASS"),)] == 7
    assert found["edge_inspect_state", (("state", "running"),)] == 1
    assert found["edge_inspect_state", (("state", "fault"),)] == 0
    assert found["edge_inspect_stage_seconds_bucket", (("le", "0.005"), ("stage", "engine"))] == 0
    assert found["edge_inspect_stage_seconds_bucket", (("le", "0.01"), ("stage", "engine"))] == 9
    assert found["edge_inspect_stage_seconds_bucket", (("le", "+Inf"), ("stage", "engine"))] == 9
    assert found["edge_inspect_stage_seconds_sum", (("stage", "engine"),)] == pytest.approx(0.072)
    assert found["edge_inspect_temperature_celsius", (("zone", "cpu"),)] == 51.5
    assert found["edge_inspect_figure", (("figure", "brightness"), ("parts", "of late"))] == 0.5
    assert found["edge_inspect_weakness", (("what", "records"),)] == 1
    scene.silence()
    text = until(lambda: "edge_inspect_up 0.0" in get(port) and get(port))
    assert "edge_inspect_parts_total" not in text


def _up(port: int) -> str:
    try:
        text = get(port)
    except OSError:
        return ""
    return text if "edge_inspect_up 1.0" in text else ""


def test_parts_that_wait_for_a_broker_are_counted(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics, "ASK_S", 0.05)
    port = free_port()
    scene.inspect(12)
    scene.start(PlantConfig(metrics=MetricsConfig(port=port), mqtt=MqttConfig(host="127.0.0.1", port=free_port())))
    until(lambda: scene.weakness("mqtt"))
    until(lambda: 'edge_inspect_waiting_parts{protocol="mqtt"} 12.0' in get(port))
    assert 'edge_inspect_weakness{what="plant mqtt"} 1.0' in get(port)


def test_peers_that_stall_leave_room_for_others(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics._Handler, "timeout", 0.3)
    port = free_port()
    scene.start(PlantConfig(metrics=MetricsConfig(port=port)))
    until(lambda: not _refused(port))
    stalled = [socket.create_connection(("127.0.0.1", port)) for _ in range(MOST_PEERS + 3)]
    for one in stalled:
        one.sendall(b"GET /metr")
    until(lambda: not _refused(port))
    for one in stalled:
        one.close()


def _refused(port: int) -> bool:
    try:
        return "edge_inspect_up" not in get(port)
    except OSError:
        return True


def names(expression: str) -> set[str]:
    return set(re.findall(r"edge_inspect_[a-z_]+", expression))


def test_rules_and_dashboard_ask_only_for_figures_that_there_are() -> None:
    full = status(faults={"camera": "lost"}, verdict={"scores": {"score": 0.5}})
    known = {sample.name for family in families(full, {}, {"mqtt": 1}) for sample in family.samples}
    rules = yaml.safe_load((DEPLOY / "prometheus" / "rules.yaml").read_text())
    asked = [rule["expr"] for group in rules["groups"] for rule in group["rules"]]
    asked += [target["expr"] for panel in DASHBOARD["panels"] for target in panel["targets"]]
    assert names(" ".join(asked)) | {"edge_inspect_weakness", "edge_inspect_start_time_seconds", "edge_inspect_shadow"} <= known | {
        "edge_inspect_weakness"
    }
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(DASHBOARD["panels"])


@needs_prometheus
def test_a_real_prometheus_takes_figures_rules_and_every_question_of_the_dashboard(scene: Scene, tmp_path: Path) -> None:
    assert PROMETHEUS is not None
    port, own = free_port(), free_port()
    scene.answer(status(faults={"camera": "lost"}, weaknesses={"records": "full"}, verdict={"scores": {"score": 0.5}}))
    scene.start(PlantConfig(metrics=MetricsConfig(port=port), mqtt=MqttConfig(host="127.0.0.1", port=free_port())))
    until(lambda: _up(port))
    rules = DEPLOY / "prometheus" / "rules.yaml"
    text = (DEPLOY / "prometheus" / "prometheus.yaml").read_text()
    text = text.replace("5s", "200ms").replace("9464", str(port)).replace("[rules.yaml]", f"[{rules}]")
    config = tmp_path / "prometheus.yaml"
    config.write_text(text)
    arguments = [f"--config.file={config}", f"--storage.tsdb.path={tmp_path}/tsdb", f"--web.listen-address=127.0.0.1:{own}"]
    with subprocess.Popen([PROMETHEUS, *arguments], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            until(lambda: ask(own, "edge_inspect_up == 1"))
            for passed in range(8, 60):
                scene.answer(status(outcomes={"PASS": passed, "REJECT": 1, "FAULT": 1}, faults={"camera": "lost"}, drift="light"))
                if ask(own, "rate(edge_inspect_parts_total[1m]) > 0") and ask(own, "edge_inspect:reject_share:10m"):
                    break
            assert all(rule["health"] == "ok" for rule in until(lambda: evaluated(own)))
            for panel in DASHBOARD["panels"]:
                for target in panel["targets"]:
                    ask(own, target["expr"].replace("$instance", ".*"))  # raises where it is no question
            assert ask(own, 'edge_inspect_state{instance=~".*"} == 1')[0]["metric"]["state"] == "running"
            until(lambda: ask(own, 'ALERTS{alertname="EdgeInspectDrift"}'))
        finally:
            process.terminate()


def ask(port: int, question: str) -> list[dict[str, Any]]:
    try:
        answer = json.loads(get(port, f"/api/v1/query?query={urllib.parse.quote(question)}"))
    except ConnectionError:
        return []
    except urllib.error.HTTPError as error:
        if error.code == 503:  # not ready yet
            return []
        raise AssertionError(f"{question}: {error.read()!r}") from error
    except urllib.error.URLError:
        return []
    assert answer["status"] == "success"
    found: list[dict[str, Any]] = answer["data"]["result"]
    return found


def evaluated(port: int) -> list[dict[str, Any]]:
    groups = json.loads(get(port, "/api/v1/rules"))["data"]["groups"]
    rules = [rule for group in groups for rule in group["rules"]]
    return rules if rules and all(rule["health"] != "unknown" for rule in rules) else []


def test_the_command_of_the_plant_serves_too(scene: Scene) -> None:
    port = free_port()
    config = PlantConfig(metrics=MetricsConfig(port=port)).model_dump_json()
    command = [sys.executable, "-m", "edge.plant.plant_server", str(scene.state), "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=os.environ | {CONFIG: config}, text=True) as process:
        until(lambda: not _refused(port))
        process.terminate()
        assert process.wait(10) == 0
        assert process.stdout is not None
        said = [json.loads(line) for line in process.stdout]
    assert "does not answer there" in said[0]["inspection"]
