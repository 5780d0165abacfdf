"""TensorRT plans on disk, ``<state>/engines/<hash of the key>/``, and the timing caches that make the next build quicker.

A plan is executable code, bound to the TensorRT and the GPU that built it. Only plans that reproduced their bundle's reference
outputs are stored; one whose bytes are not those that were stored is never handed out.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import yaml

from edge.clock import Clock
from edge.engines.build_observer import BuildObserver
from edge.engines.tensorrt_builder import BuiltPlan
from edge.errors import BuildStoppedError, ConfigError, PlanError
from edge.storage.durable_files import new_folder, write_file
from edge.storage.file_lock import LOCK, lock_file, taken
from edge.storage.strict_yaml import StrictModel, load_yaml, parse

FORMAT_VERSION = 1
FOLDER = "engines"
RECORD = "plan.yaml"
PLAN = "model.plan"
LOCK_POLL_NS = 200_000_000
LOCK_TIMEOUT_NS = 3_600_000_000_000
L4T_RELEASE = Path("/etc/nv_tegra_release")


class PlanKey(StrictModel):
    """Everything a plan depends on. l4t: such as R36.4.3, "none" off a Jetson. gpu, sm: such as Orin, 8.7. shapes: of inputs."""

    tensorrt: str
    l4t: str
    gpu: str
    sm: str
    onnx_sha256: str
    precision: str
    shapes: dict[str, list[int]]
    flags: str

    def digest(self) -> str:
        """Names the plan's folder."""
        return hashlib.sha256(json.dumps(self.model_dump(), sort_keys=True).encode()).hexdigest()[:32]

    def runs_here(self, other: PlanKey) -> bool:
        """A plan of ``other`` could be loaded where this key was made: the same TensorRT and GPU."""
        return (self.tensorrt, self.gpu, self.sm) == (other.tensorrt, other.gpu, other.sm)

    def same_model(self, other: PlanKey) -> bool:
        """Also of the same graph and precision; the L4T release and how it was built may differ."""
        mine, theirs = (one.model_dump(exclude={"l4t", "flags"}) for one in (self, other))
        return mine == theirs


class PlanRecord(StrictModel):
    """plan.yaml, strict. weak_typing: why types are not enforced, empty where they are. build_s: seconds."""

    format_version: int
    key: PlanKey
    plan_sha256: str
    plan_bytes: int
    created_ns: int
    build_s: float
    weak_typing: str


@dataclass(frozen=True, slots=True)
class StoredPlan:
    """A plan of the cache; ``read`` it to use it."""

    path: Path
    record: PlanRecord

    def read(self) -> bytes:
        """The plan, checked against its hash: what is loaded is what was hashed. Raises PlanError."""
        try:
            plan = (self.path / PLAN).read_bytes()
        except OSError as error:
            raise PlanError(f"{self.path / PLAN}: cannot read it: {error.strerror}; build it again") from error
        if hashlib.sha256(plan).hexdigest() != self.record.plan_sha256:
            raise PlanError(f"{self.path / PLAN}: is not the plan that was stored (sha256 differs); it will not be loaded")
        return plan


class PlanCache:
    """The plans of this machine. Finding needs no lock; building, storing and pruning are done within ``building``."""

    def __init__(self, state: Path) -> None:
        self.folder = state / FOLDER

    def all(self) -> list[StoredPlan]:
        """Every plan with a readable record, the newest first."""
        if not self.folder.is_dir():
            return []
        found = []
        for path in self.folder.iterdir():
            if path.name.startswith(".") or not (path / RECORD).is_file():
                continue
            try:
                record = parse(PlanRecord, load_yaml(path / RECORD), str(path / RECORD))
            except ConfigError:  # of another version of this program, or torn by a broken disk: as good as none
                continue
            if record.format_version == FORMAT_VERSION and record.key.digest() == path.name:
                found.append(StoredPlan(path, record))
        return sorted(found, key=lambda one: one.record.created_ns, reverse=True)

    def find(self, key: PlanKey, any_flags: bool = False) -> StoredPlan | None:
        """The newest plan of ``key``; with ``any_flags`` it may have been built with other settings."""
        for one in self.all():
            flags = {"flags": one.record.key.flags} if any_flags else {}
            if one.record.key == key.model_copy(update=flags):
                return one
        return None

    def relatives(self, key: PlanKey) -> list[StoredPlan]:
        """Plans of the same model for the same TensorRT and GPU, however and under whatever L4T they were built; newest first."""
        return [one for one in self.all() if key.same_model(one.record.key)]

    def store(self, key: PlanKey, built: BuiltPlan, wall_ns: int) -> StoredPlan:
        """Keep a plan that has been proved, in place of one of the same key; raises OutputError."""
        path = self.folder / key.digest()
        record = PlanRecord(
            format_version=FORMAT_VERSION,
            key=key,
            plan_sha256=hashlib.sha256(built.plan).hexdigest(),
            plan_bytes=len(built.plan),
            created_ns=wall_ns,
            build_s=round(built.seconds, 2),
            weak_typing=built.weak_typing,
        )
        with new_folder(path, replace=True) as folder:
            (folder / PLAN).write_bytes(built.plan)
            (folder / RECORD).write_text(yaml.safe_dump(record.model_dump(), sort_keys=False), encoding="utf-8")
        return StoredPlan(path, record)

    def timing_cache(self, key: PlanKey) -> bytes:
        """What earlier builds on this GPU measured; empty where nothing is kept. TensorRT checks it itself."""
        try:
            return self._timing_path(key).read_bytes()
        except OSError:
            return b""

    def keep_timing_cache(self, key: PlanKey, content: bytes) -> None:
        """Raises OutputError."""
        if content:
            write_file(self._timing_path(key), content)

    @contextmanager
    def building(self, observer: BuildObserver, clock: Clock) -> Iterator[bool]:
        """Hold the right to build; yields True if another process had it first, and may have built what is wanted.

        Raises OutputError, PlanError after an hour, BuildStoppedError when told to stop while waiting.
        """
        with lock_file(self.folder) as handle:
            waited, deadline_ns, never = False, clock.monotonic_ns() + LOCK_TIMEOUT_NS, threading.Event()
            while not taken(handle):
                if not waited:
                    observer.say(f"another process is building plans in {self.folder}; waiting for it")
                waited = True
                if observer.stopped():
                    raise BuildStoppedError("stopped while waiting for another process that builds plans")
                if clock.monotonic_ns() > deadline_ns:
                    raise PlanError(f"{self.folder}: another process has been building plans for an hour; end it, then try again")
                clock.wait(never, LOCK_POLL_NS)
            yield waited

    def prune(self, key: PlanKey, models: set[str]) -> list[Path]:
        """Remove what ``key``'s machine cannot load and plans of other graphs than ``models`` (sha256); returns what went.

        Of each graph and precision the two newest stay: the one in use, and the last one that worked before it. Call within
        ``building``.
        """
        seen: dict[tuple[str, str], int] = {}
        keep = {self.folder / LOCK, self._timing_path(key)}
        for one in self.all():
            which = (one.record.key.onnx_sha256, one.record.key.precision)
            if key.runs_here(one.record.key) and which[0] in models and seen.get(which, 0) < 2:
                seen[which] = seen.get(which, 0) + 1
                keep.add(one.path)
        removed = []
        for path in sorted(self.folder.iterdir()) if self.folder.is_dir() else []:
            if path not in keep:
                shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink(missing_ok=True)
                removed.append(path)
        return removed

    def _timing_path(self, key: PlanKey) -> Path:
        which = hashlib.sha256(json.dumps([key.tensorrt, key.gpu, key.sm]).encode()).hexdigest()[:16]
        return self.folder / f"timing-{which}.cache"


def l4t_release(file: Path = L4T_RELEASE) -> str:
    """The L4T release of a Jetson, such as R36.4.3, from ``# R36 (release), REVISION: 4.3, …``; "none" elsewhere."""
    try:
        words = file.read_text(encoding="utf-8").splitlines()[0].replace(",", " ").split()
        return f"{words[1]}.{words[words.index('REVISION:') + 1]}"
    except (OSError, UnicodeDecodeError, IndexError, ValueError):
        return "none"


def age_in_words(created_ns: int) -> str:
    """The date of a plan, for a table."""
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(created_ns / 1e9))
