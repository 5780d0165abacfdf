"""Breaks the process it is loaded into, as FAULT_PLAN says; found first on PYTHONPATH by a child of the harness, by nobody else.

It wraps the contracts (camera, engine, line) from outside, so that the program under test has no code for its own failures.
"""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

if "FAULT_PLAN" in os.environ:
    PLAN = json.loads(os.environ["FAULT_PLAN"])
    LOG = os.open(Path(PLAN["folder"]) / "injected.jsonl", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)

    def note(**record: object) -> None:
        """One whole line, out of this process at once: kill -9 takes nothing back."""
        os.write(LOG, (json.dumps({"at_ns": time.monotonic_ns(), "pid": os.getpid(), **record}) + "\n").encode())

    def install() -> None:
        import numpy as np

        from edge import errors
        from edge.cameras import base as cameras
        from edge.cameras import open_camera
        from edge.cameras.image_folder import ImageFolderCamera
        from edge.engines import base as engines
        from edge.frame import Frame
        from edge.gpio.recording import RecordingLine
        from edge.line.station_view import StationView

        faults = {int(index): fault for index, fault in PLAN["faults"].items()}
        seen: set[str] = set()
        state = {"index": -1, "closed_for": 0, "last": None}
        marked: dict[int, tuple[object, str]] = {}
        real_preprocess = StationView.preprocess
        real_read, real_infer, real_open = cameras.Camera.read, engines.Engine.infer, ImageFolderCamera
        ImageFolderCamera.live = bool(PLAN.get("live", False))

        def read(self: ImageFolderCamera, timeout_ms: int) -> Frame:
            time.sleep(PLAN.get("pace_ms", 0) / 1000)
            frame = real_read(self, timeout_ms)
            while frame.source in seen:  # a folder that was opened again begins anew
                frame = real_read(self, timeout_ms)
            seen.add(frame.source)
            state["index"] += 1
            fault = faults.get(state["index"], "")
            if fault:
                note(kind="fault", fault=fault, source=frame.source)
            if fault == "timeout":
                raise errors.CameraTimeoutError("injected: no frame came")
            if fault == "lost":
                state["closed_for"] = PLAN.get("closed_for", 2)
                raise errors.CameraLostError("injected: unplugged")
            if fault == "driver":
                raise OSError("injected: the driver broke")
            if fault == "black":
                return Frame(np.zeros_like(frame.image), frame.index, frame.exposed_ns, frame.source)
            if fault == "frozen":
                return Frame(state["last"], frame.index, frame.exposed_ns, frame.source)
            if fault == "old":
                return Frame(frame.image, frame.index, frame.exposed_ns - 5_000_000_000, frame.source)
            if fault == "size":
                return Frame(frame.image[:, :, :1], frame.index, frame.exposed_ns, frame.source)
            if fault:
                marked[id(frame.image)] = (frame.image, fault)
            state["last"] = frame.image
            return frame

        def fault_of(image: object) -> str:
            """By the picture itself: capture and engine may be threads of their own. It is kept, so that none is taken for it."""
            return marked.get(id(image), (None, ""))[1]

        def preprocess(self: StationView, image: np.ndarray) -> np.ndarray:
            result = real_preprocess(self, image)
            if fault := fault_of(image):
                marked[id(result)] = (result, fault)
            return result

        def infer(self: engines.Engine, image: object) -> engines.Inference:
            fault = fault_of(image)
            if fault == "engine":
                raise errors.EngineError("injected: the engine failed")
            if fault == "memory":
                raise MemoryError("injected")
            inference = real_infer(self, image)
            if fault in ("nan", "infinite"):
                import dataclasses

                name, value = ("map_mean", float("nan")) if fault == "nan" else ("score", float("-inf"))
                return engines.Inference(dataclasses.replace(inference.scores, **{name: value}), inference.anomaly_map)
            return inference

        def opened(*arguments: object) -> cameras.Camera:
            if state["closed_for"] > 0:
                state["closed_for"] -= 1
                raise errors.CameraOpenError("injected: still unplugged")
            return real_open(*arguments)

        ImageFolderCamera.read, engines.Engine.infer, open_camera.ImageFolderCamera = read, infer, opened
        StationView.preprocess = preprocess
        record_line(RecordingLine, errors.LineError)

    def record_line(line_class: type, line_error: type[Exception]) -> None:
        real_init, real_set, real_close = line_class.__init__, line_class._set_impl, line_class._close_impl
        left = {"sets": PLAN.get("line_fails_after")}

        def init(self: object, name: str, safe: bool, clock: object) -> None:
            real_init(self, name, safe, clock)
            note(kind="line", line=name, value=safe)

        def set_impl(self: object, value: bool) -> None:
            if "reject" in self.name and value is False and left["sets"] is not None:
                left["sets"] -= 1
                if left["sets"] < 0:
                    raise line_error("injected: the chip is gone")
            real_set(self, value)
            note(kind="line", line=self.name, value=value)

        def close_impl(self: object) -> None:
            real_close(self)
            note(kind="released", line=self.name)

        line_class.__init__, line_class._set_impl, line_class._close_impl = init, set_impl, close_impl

    install()
