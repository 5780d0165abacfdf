"""kill -9 at random moments: pictures are whole or not there, and the audit trail has every acknowledged row and no break."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

HARNESS = """
import json, os, random, signal, sys, time
from pathlib import Path

folder, rounds = Path(sys.argv[1]), int(sys.argv[2])
random.seed(1)
found = {"acknowledged": 0}

def killed(work):
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(read)
        os.fsync = lambda handle: time.sleep(0.005)  # a slow disk, whatever this one is: so that some kills strike in the middle
        try:
            work(write)
        finally:
            os._exit(1)
    os.close(write)
    with os.fdopen(read) as said:
        assert said.readline() == "started\\n"
        lines = [said.readline() for _ in range(random.randint(1, 3))]
        time.sleep(random.uniform(0.0, 0.02))
        os.kill(child, signal.SIGKILL)
        lines += [line for line in said if line.endswith("\\n")]
    assert os.waitpid(child, 0)[1] == signal.SIGKILL
    found["acknowledged"] += len(lines)
    return lines
"""

ARCHIVE = """
import numpy as np
from edge.records import part_archive
from edge.storage.archive_room import ArchiveRoom
from edge.records.heat_picture import heat_picture
from edge.pictures.image_file import read_image
from edge.records.part_archive import PartArchive
from edge.records.records_config import ArchiveConfig
from tests.edge.records.test_part_archive import MAP, verdict

half_written = 0
heat = heat_picture(np.zeros((150, 150, 3), np.uint8), MAP)
part_archive.heat_picture = lambda image, share: heat  # drawing it takes longer than writing it

def work(pipe):
    image = np.random.default_rng(0).integers(0, 256, (150, 150, 3), np.uint8)
    archive = PartArchive(folder, ArchiveConfig(budget_mb=1, free_floor_mb=0), lambda part, name: None, lambda text: None)
    os.write(pipe, b"started\\n")
    part_id = 1000 * len(list(folder.glob('*/*/*')))
    while True:
        archive.add(verdict(part_id), image, MAP, None)
        assert archive.flush(10)
        os.write(pipe, b"kept\\n")
        part_id += 1

for _ in range(rounds):
    killed(work)
    half_written += len(list(folder.glob("*/*/.*")))
    room = ArchiveRoom(folder, 10**6)
    room.survey()
    files = [path for path in folder.glob("*/*/*")]
    assert not [path for path in files if path.name.startswith(".")]
    for path in files:
        read_image(path)
        assert path.name.endswith(".heat.jpg") or path.with_suffix(".heat.jpg").exists()
    assert room.used <= 10**6
    assert room.used == sum(-(-path.stat().st_size // 4096) * 4096 for path in files)
found["half_written"] = half_written
print(json.dumps(found))
"""

AUDIT = """
from edge.records.audit_log import AuditTrail

def work(pipe):
    trail = AuditTrail(folder)
    os.write(pipe, b"started\\n")
    while True:
        os.write(pipe, f"{trail.append(time.time_ns(), 'state', {'to': 'READY'}).seq}\\n".encode())

for _ in range(rounds):
    lines = killed(work)
    AuditTrail(folder).append(0, "start", {})
    audit = AuditTrail(folder).verify()
    assert audit.breaks == [], audit
    assert audit.rows > int(lines[-1])
found["rows"] = audit.rows
print(json.dumps(found))
"""


@pytest.mark.parametrize("what", ["archive", "audit"])
def test_a_killed_writer_leaves_nothing_in_part(what: str, tmp_path: Path) -> None:
    code = HARNESS + {"archive": ARCHIVE, "audit": AUDIT}[what]
    result = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path), "25"], capture_output=True, text=True, timeout=120, check=False
    )
    assert result.returncode == 0, result.stderr
    found = json.loads(result.stdout)
    assert found["acknowledged"] >= 25
    assert found.get("half_written", 1) > 0  # some kills struck in the middle
