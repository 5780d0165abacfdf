"""The stand-ins offer what the real modules have and no more, and they do refuse what they are there to refuse."""

from __future__ import annotations

import ast
import inspect
from pathlib import Path

import numpy as np
import pytest

import edge.engines
from edge.bundle import open_bundle
from edge.engines.open_engine import open_engine
from edge.engines.tensorrt_builder import WEAK_FLAGS
from tests.standins import cuda_bindings_standin, pycuda_standin
from tests.standins.gpu_standin import Gpu, Violation
from tests.standins.machine import Machine
from tests.standins.tensorrt_standin import API, VERSIONS, Faults, make_tensorrt, names_of, offered
from tests.tiny_bundle import SHAPE, write_tiny_bundle

SOURCES = sorted(Path(edge.engines.__path__[0]).glob("*.py"))
FREE_STANDING = {"__version__"}


def chains(source: Path) -> set[tuple[str, ...]]:
    """Every dotted name that begins with the TensorRT module, without it: ("BuilderFlag", "TF32")."""
    found = set()
    for node in ast.walk(ast.parse(source.read_text(encoding="utf-8"))):
        names = []
        while isinstance(node, ast.Attribute):
            names.insert(0, node.attr)
            node = node.value
        if isinstance(node, ast.Name) and names:
            dotted = [node.id, *names]
            start = next((i + 1 for i, name in enumerate(dotted) if name in ("tensorrt", "_tensorrt")), None)
            if start is not None and dotted[start:]:
                found.add(tuple(dotted[start:]))
    return found


def test_every_name_that_the_product_writes_is_in_every_version() -> None:
    every = {chain for source in SOURCES for chain in chains(source)}
    assert ("BuilderFlag", "TF32") in every
    assert ("IProgressMonitor",) in every
    for chain in every:
        if chain[0] in FREE_STANDING:
            continue
        assert chain[0] in API["classes"], chain
        if len(chain) > 1 and not chain[1].startswith("__"):
            assert API["classes"][chain[0]].get(chain[1]) == "all", chain


def test_the_flags_of_weak_typing_are_asked_for_only_where_they_are() -> None:
    flags = {flag for some in WEAK_FLAGS.values() for flag in some}
    assert flags <= names_of("BuilderFlag", "10.3.0")
    assert not flags & names_of("BuilderFlag", "11.4.0.106")


@pytest.mark.parametrize("version", VERSIONS)
def test_what_the_product_calls_is_in_every_version(version: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    machine = Machine(monkeypatch).install(version)
    with open_engine(open_bundle(write_tiny_bundle(tmp_path / "bundle", references=2))) as engine:
        assert engine.runtime == f"tensorrt-{version}-orin-stand-in-sm8.7"
    assert len(machine.gpu.used) > 15
    assert {(kind, name) for kind, name in machine.gpu.used if API["classes"][kind].get(name) != "all"} == set()
    machine.assert_clean()


@pytest.mark.parametrize("version", VERSIONS)
def test_the_stand_in_offers_no_name_that_the_version_lacks(version: str) -> None:
    module = make_tensorrt(Gpu(), version, Faults())
    for kind in API["classes"]:
        if (one := getattr(module, kind, None)) is not None:
            assert set(offered(one)) - {"name", "value"} <= names_of(kind, version), kind
    assert hasattr(module.BuilderFlag, "FP16") == (not version.startswith("11"))
    assert not hasattr(make_tensorrt(Gpu(), "11.4.0.106", Faults()).NetworkDefinitionCreationFlag, "EXPLICIT_BATCH")


def test_pycuda_itself_has_what_its_stand_in_offers() -> None:
    real = pytest.importorskip("pycuda.driver", reason="needs PyCUDA and NVIDIA's driver", exc_type=ImportError)
    driver = pycuda_standin.make_driver(Gpu())
    for name in (one for one in vars(driver) if not one.startswith("_")):
        assert hasattr(real, name), name
        for inner in vars(getattr(driver, name)) if inspect.isclass(getattr(driver, name)) else ():
            if not inner.startswith("_") and inner not in ("queue", "looked_at", "stream", "size", "thread", "valid"):
                assert hasattr(getattr(real, name), inner), f"{name}.{inner}"


@pytest.mark.nvidia_check
def test_cuda_bindings_themselves_have_what_their_stand_in_offers() -> None:
    real = pytest.importorskip("cuda.bindings.driver", reason="needs the extra nvidia-check")
    driver = cuda_bindings_standin.make_driver(Gpu())
    for name in (one for one in vars(driver) if not one.startswith("_")):
        ours, theirs = getattr(driver, name), getattr(real, name)
        if inspect.isfunction(ours):
            written = theirs.__doc__.splitlines()[0].partition("(")[2].partition(")")[0]
            assert len(written.split(",")) == len(inspect.signature(ours).parameters), name
        else:
            assert {one for one in dir(ours) if one.startswith("CU")} <= set(dir(theirs)), name


def test_a_rule_that_is_broken_is_found() -> None:
    gpu = Gpu()
    driver = pycuda_standin.make_driver(gpu)
    with pytest.raises(driver.LogicError, match="no currently active context"):
        driver.mem_alloc(8)
    driver.init()
    context = driver.Device(0).retain_primary_context()
    context.push()
    stream, memory = driver.Stream(), driver.mem_alloc(8)
    pinned = driver.pagelocked_empty((2,), np.float32)
    with pytest.raises(Violation, match="not page-locked"):
        driver.memcpy_htod_async(memory, np.zeros(2, np.float32), stream)
    driver.memcpy_htod_async(memory, pinned, stream)
    memory.free()
    stream.is_done()
    with pytest.raises(Violation, match="freed or never allocated"):
        stream.is_done()
    with pytest.raises(driver.LogicError, match="invalid resource handle"):
        memory.free()
    with pytest.raises(Violation, match="without a deadline"):
        stream.synchronize()
    with pytest.raises(Violation, match="while it is current"):
        context.detach()
    context.pop()
    with pytest.raises(Violation, match="bytes still allocated"):
        context.detach()
    assert len(gpu.violations) == 5


def test_running_without_every_address_is_found(tmp_path: Path) -> None:
    gpu = Gpu()
    driver, tensorrt = pycuda_standin.make_driver(gpu), make_tensorrt(gpu, "10.3.0", Faults())
    driver.init()
    driver.Device(0).retain_primary_context().push()

    class Log(tensorrt.ILogger):  # type: ignore[misc]
        def log(self, severity: object, msg: str) -> None:
            pass

    builder = tensorrt.Builder(Log())
    network = builder.create_network(1 << int(tensorrt.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
    assert tensorrt.OnnxParser(network, Log()).parse((write_tiny_bundle(tmp_path / "b") / "model.fp32.onnx").read_bytes())
    config = builder.create_builder_config()

    class Monitor(tensorrt.IProgressMonitor):  # type: ignore[misc]
        def phase_start(self, *_: object) -> None: ...
        def step_complete(self, *_: object) -> bool:
            return True

        def phase_finish(self, *_: object) -> None: ...

    config.progress_monitor = Monitor()
    config.set_memory_pool_limit(tensorrt.MemoryPoolType.WORKSPACE, 1 << 20)
    plan = builder.build_serialized_network(network, config)
    context = tensorrt.Runtime(Log()).deserialize_cuda_engine(bytes(plan)).create_execution_context()
    stream = driver.Stream()
    image = driver.mem_alloc(SHAPE.height * SHAPE.width * 3)
    assert context.set_tensor_address("image", int(image))
    with pytest.raises(Violation, match="without addresses for"):
        context.execute_async_v3(stream.handle)
    with pytest.raises(Violation, match=r"bytes at .* where"):
        context.set_tensor_address("feature_mean", int(driver.mem_alloc(8)))
    with pytest.raises(Violation, match="could have been any code"):
        tensorrt.Runtime(Log()).deserialize_cuda_engine(bytes(plan)[:-1])
