"""From a bundle to a TensorRT engine that can be trusted: find or build its plan, and prove it by the bundle's reference images."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

from edge.bundle import Bundle
from edge.clock import Clock, SystemClock
from edge.engines.build_observer import BuildObserver
from edge.engines.cuda_device import CudaDevice
from edge.engines.plan_cache import PlanCache, PlanKey, l4t_release
from edge.engines.tensorrt_builder import BuildSettings, build_plan
from edge.engines.tensorrt_import import import_tensorrt
from edge.engines.tensorrt_pycuda import ImageMemory, TensorRTEngine
from edge.errors import BuildStoppedError, BundleError, ConfigError, EngineError, OutputError, PlanError
from edge.graph_contract import IMAGE
from edge.slots.calibration_tensors import CalibrationTensors

CPU_ONLY = "-cpu"
"""How the name of a precision ends that ONNX Runtime alone runs."""
TENSORRT_ONLY = "int8"
"""A CPU without VNNI overflows on its weights of 8 bits and says nothing."""


def open_tensorrt(
    bundle: Bundle,
    precision: str,
    state: Path,
    observer: BuildObserver | None = None,
    image_memory: ImageMemory = "copied",
    settings: BuildSettings | None = None,
    clock: Clock | None = None,
    rebuild: bool = False,
) -> TensorRTEngine:
    """The engine for ``precision``, its plan kept under ``state``. settings: None takes the newest plan, however it was built.

    A plan on disk that fails is built again, once; where that fails too, the last one that worked is taken and ``degraded`` says
    so. rebuild: build also where a plan is there, and keep that one if the new one fails.
    Raises PlanError, BuildStoppedError, BundleError, ConfigError, EngineError where there is no GPU.
    """
    if precision.endswith(CPU_ONLY):
        raise ConfigError(f"the {precision} model is for ONNX Runtime on a CPU; say --engine onnxruntime, or another --precision")
    if not bundle.manifest.reference_images:
        raise BundleError(f"{bundle.path}: has no reference images, so no TensorRT plan can be checked; export again")
    bundle.model_path(precision)  # before the GPU is asked for anything
    with ExitStack() as stack:
        device = CudaDevice()
        stack.callback(device.close)
        key = plan_key(bundle, precision, device, settings or BuildSettings())
        opener = _PlanOpener(
            bundle, key, PlanCache(state), device, observer or BuildObserver(), image_memory, settings, clock or SystemClock()
        )
        engine = opener.open(rebuild)
        engine.close_with(stack.pop_all().close)
    return engine


def plan_key(bundle: Bundle, precision: str, device: CudaDevice, settings: BuildSettings) -> PlanKey:
    """What a plan of this model, built here and now, depends on."""
    shape = bundle.manifest.graph
    shapes = {IMAGE: [1, shape.height, shape.width, 3]}
    shapes |= {name: list(size) for name, size in CalibrationTensors.shapes(shape).items()}
    return PlanKey(
        tensorrt=str(import_tensorrt().__version__),
        l4t=l4t_release(),
        gpu=device.name,
        sm=device.sm,
        onnx_sha256=bundle.model_sha256(precision),
        precision=precision,
        shapes=shapes,
        flags=settings.flags(),
    )


class _PlanOpener:
    def __init__(
        self,
        bundle: Bundle,
        key: PlanKey,
        cache: PlanCache,
        device: CudaDevice,
        observer: BuildObserver,
        image_memory: ImageMemory,
        settings: BuildSettings | None,
        clock: Clock,
    ) -> None:
        self._bundle, self._key, self._cache, self._device = bundle, key, cache, device
        self._observer, self._image_memory, self._settings, self._clock = observer, image_memory, settings, clock

    def open(self, rebuild: bool) -> TensorRTEngine:
        engine, trouble = (None, "") if rebuild else self._from_disk()
        if engine is not None:
            return engine
        if trouble:
            self._observer.say(f"the {self._key.precision} plan on disk cannot be used: {trouble}")
        try:
            with self._cache.building(self._observer, self._clock) as waited:
                if waited and not rebuild:
                    engine, _ = self._from_disk()
                return engine or self._build()
        except BuildStoppedError:
            raise
        except (PlanError, EngineError, BundleError) as error:
            return self._last_that_worked(error)

    def _from_disk(self) -> tuple[TensorRTEngine | None, str]:
        """The proved engine of a stored plan, or why there is none; empty where nothing is stored."""
        stored = self._cache.find(self._key, any_flags=self._settings is None)
        if stored is None:
            return None, ""
        try:
            return self._proved(stored.read()), ""
        except (PlanError, EngineError, BundleError) as error:
            return None, str(error)

    def _build(self) -> TensorRTEngine:
        key, observer = self._key, self._observer
        model = self._bundle.verified_model(key.precision)
        observer.say(f"building the {key.precision} plan for {key.gpu} with TensorRT {key.tensorrt}; this takes minutes")
        settings = self._settings or BuildSettings()
        with self._device.active():
            built = build_plan(model, key.precision, settings, observer, self._cache.timing_cache(key))
        engine = self._proved(built.plan)
        try:
            self._cache.store(key, built, self._clock.wall_ns())
            self._cache.keep_timing_cache(key, built.timing_cache)
        except OutputError as error:  # the line can run; the next start builds again
            observer.say(f"the {key.precision} plan was not kept: {error}")
        return engine

    def _last_that_worked(self, reason: Exception) -> TensorRTEngine:
        for stored in self._cache.relatives(self._key):
            try:
                engine = self._proved(stored.read())
            except (PlanError, EngineError, BundleError):
                continue
            built_with = f"built under L4T {stored.record.key.l4t} ({stored.record.key.flags})"
            engine.degraded = f"an earlier {self._key.precision} plan, {built_with}, since the present one fails: {reason}"
            self._observer.say(f"running {engine.degraded}")
            return engine
        raise PlanError(f"{self._bundle.path}: no {self._key.precision} plan works on {self._key.gpu}: {reason}") from reason

    def _proved(self, plan: bytes) -> TensorRTEngine:
        """An engine of ``plan`` that says of the bundle's reference images what the bundle says."""
        engine = TensorRTEngine(plan, self._bundle.manifest.graph, self._device, self._image_memory, clock=self._clock)
        try:
            self._bundle.self_test(engine, self._key.precision)
        except BaseException:
            engine.close()
            raise
        engine.unbind()
        return engine
