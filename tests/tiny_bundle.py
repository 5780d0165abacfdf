"""A bundle whose graph keeps the contract and is small enough to run in microseconds; real ONNX, run by the real runtime.

The picture is brought into ``brightness_range``; Z is the blue and green channel averaged over 8×8 pixels; L1 the largest
distance to the nearest centre; L2 the largest error of the red channel relative to its mean, so that a black image divides by
zero and gives a true NaN. Brightness, saturation and sharpness are of the picture as it came.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnx.parser
import yaml

from edge.bundle import FORMAT_VERSION, MANIFEST, START_CALIBRATION, ReferenceImage, file_sha256
from edge.engines.onnx_runtime import OnnxRuntimeEngine
from edge.graph_contract import FeatureGroup, GraphShape
from edge.preprocess import preprocess
from edge.slots.calibration_tensors import CalibrationTensors

SHAPE = GraphShape(
    height=64, width=64, groups=[FeatureGroup(channels=2, norm="nearest")], centers=16,
    feature_height=8, feature_width=8, map_height=8, map_width=8,
)  # fmt: skip

GRAPH = """
<ir_version: 9, opset_import: ["" : 19]>
tiny (uint8[1,64,64,3] image, float[2] brightness_range, float[2,8,8] feature_mean, float[2] feature_scale,
      float[1] group_weight, float[16,2] centers_0,
      float[8,8] reconstruction_offset, float[8,8] reconstruction_scale, float[8,8] ignore_mask,
      float[1] feature_weight, float[1] reconstruction_weight)
  => (float[1] feature_score, float[1] reconstruction_score, float[1] score, float[1,8,8] anomaly_map,
      float[1] map_mean, float[3] image_quality,
      float[1,2,8,8] feature, float[1,3,8,8] reconstruction, float[1] group_scores)
<float one = {1.0}, float white = {250.0}, float small_scale = {0.00392156862}, int64[1] axis0 = {0}, int64[2] axis12 = {1, 2},
 int64[2] rows = {2, 64}, int64[3] grid = {1, 8, 8}, int64[1] single = {1}, int64[2] column = {2, 1}>
{
  wide = Cast <to = 1> (image)
  planes = Transpose <perm = [0, 3, 1, 2]> (wide)
  level = ReduceMean <keepdims = 0> (planes)
  level_lit = Max (level, one)
  lowest, highest = Split <axis = 0, num_outputs = 2> (brightness_range)
  lifted = Max (level_lit, lowest)
  allowed = Min (lifted, highest)
  gain = Div (allowed, level_lit)
  lit = Mul (planes, gain)
  pooled = AveragePool <kernel_shape = [8, 8], strides = [8, 8]> (lit)
  reconstruction = Mul (pooled, small_scale)
  split_sizes = Constant <value_ints = [2, 1]> ()
  feature, red = Split <axis = 1> (reconstruction, split_sizes)
  z_rows = Reshape (feature, rows)
  mean_rows = Reshape (feature_mean, rows)
  scale_column = Reshape (feature_scale, column)
  z_centred = Sub (z_rows, mean_rows)
  z = Mul (z_centred, scale_column)
  cross = MatMul (centers_0, z)
  c_squares = Mul (centers_0, centers_0)
  axis1 = Constant <value_ints = [1]> ()
  c_norm = ReduceSum <keepdims = 1> (c_squares, axis1)
  two = Constant <value_float = 2.0> ()
  cross2 = Mul (two, cross)
  partial = Sub (c_norm, cross2)
  nearest = ReduceMin <keepdims = 1> (partial, axis0)
  z_squares = Mul (z, z)
  z_norm = ReduceSum <keepdims = 1> (z_squares, axis0)
  square = Add (nearest, z_norm)
  positive = Relu (square)
  distance_row = Sqrt (positive)
  distance = Reshape (distance_row, grid)
  judged = Sub (one, ignore_mask)
  distance_judged = Mul (distance, judged)
  feature_peak = ReduceMax <keepdims = 0> (distance_judged)
  group_scores = Reshape (feature_peak, single)
  feature_score = Mul (group_scores, group_weight)
  red_grid = Reshape (red, grid)
  red_mean = ReduceMean <keepdims = 0> (red_grid)
  relative = Div (red_grid, red_mean)
  off = Sub (relative, one)
  error = Abs (off)
  error_offset = Sub (error, reconstruction_offset)
  error_scaled = Mul (error_offset, reconstruction_scale)
  error_judged = Mul (error_scaled, judged)
  error_peak = ReduceMax <keepdims = 0> (error_judged)
  reconstruction_score = Reshape (error_peak, single)
  weighted1 = Mul (feature_weight, feature_score)
  weighted2 = Mul (reconstruction_weight, reconstruction_score)
  score = Add (weighted1, weighted2)
  map_group = Mul (group_weight, distance_judged)
  map1 = Mul (feature_weight, map_group)
  map2 = Mul (reconstruction_weight, error_judged)
  anomaly_map = Add (map1, map2)
  map_average = ReduceMean <keepdims = 0> (anomaly_map)
  map_mean = Reshape (map_average, single)
  level_share = Mul (level, small_scale)
  brightness = Reshape (level_share, single)
  overexposed = GreaterOrEqual (planes, white)
  overexposed_one = Cast <to = 1> (overexposed)
  overexposed_share = ReduceMean <keepdims = 0> (overexposed_one)
  saturation = Reshape (overexposed_share, single)
  smooth = AveragePool <kernel_shape = [3, 3], pads = [1, 1, 1, 1]> (planes)
  detail = Sub (planes, smooth)
  detail_square = Mul (detail, detail)
  detail_mean = ReduceMean <keepdims = 0> (detail_square)
  sharpness = Reshape (detail_mean, single)
  image_quality = Concat <axis = 0> (brightness, saturation, sharpness)
}
"""


def write_tiny_bundle(
    folder: Path, learned: tuple[str, ...] = (), precisions: tuple[str, ...] = ("fp32",), references: int = 0
) -> Path:
    """Write the bundle into ``folder`` (made here) and return it. All ``precisions`` are the same file, which computes in FP32."""
    folder.mkdir(parents=True)
    model = onnx.parser.parse_model(GRAPH)
    onnx.checker.check_model(model, full_check=True)
    for precision in precisions:
        onnx.save(model, folder / f"model.{precision}.onnx")
    (folder / START_CALIBRATION).mkdir()
    tensors = CalibrationTensors.neutral(SHAPE)
    hashes = {f"{START_CALIBRATION}/{name}": digest for name, digest in tensors.save(folder / START_CALIBRATION).items()}
    images = [preprocess(part_image(seed), SHAPE.height, SHAPE.width) for seed in range(references)]
    recorded = []
    with OnnxRuntimeEngine(folder / f"model.{precisions[0]}.onnx", SHAPE) as engine:
        engine.bind(tensors)
        for index, image in enumerate(images):
            np.save(folder / f"reference{index}.npy", image, allow_pickle=False)
            recorded.append(ReferenceImage.of(f"reference{index}.npy", engine.infer(image).scores, 1e-3).model_dump())
    names = [f"model.{precision}.onnx" for precision in precisions] + [one["file"] for one in recorded]
    hashes |= {name: file_sha256(folder / name) for name in names}
    manifest = {
        "format_version": FORMAT_VERSION,
        "model_id": "tiny",
        "created": "2026-01-01T00:00:00Z",
        "graph": SHAPE.model_dump(),
        "opset": 19,
        "reliability": [1.0, 1.0],
        "learned_images": list(learned),
        "training": {},
        "parity": {},
        "reference_images": recorded,
        "files": hashes,
    }
    (folder / MANIFEST).write_text(yaml.safe_dump(manifest), encoding="utf-8")
    return folder


def part_image(seed: int, defect: bool = False) -> np.ndarray:
    """uint8 96×96×3: a smooth grey part, slightly different each time; a defect is a square of another blue and green."""
    random = np.random.default_rng(seed)
    across, down = np.meshgrid(np.linspace(0, 1, 96), np.linspace(0, 1, 96))
    level = 110 + 40 * across + 20 * down + random.normal(0, 2)
    image = np.clip(level[..., None] + random.normal(0, 3, (96, 96, 3)), 0, 255).astype(np.uint8)
    if defect:
        image[30:50, 40:60, :2] = (255, 20)
    return image
