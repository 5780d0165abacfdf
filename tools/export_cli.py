"""edge-export: a finished training run in, a verified model bundle out."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from rich.console import Console

from edge.console.exit_code import reported


def main(arguments: list[str] | None = None) -> int:
    """Entry point; returns the exit code."""
    parser = argparse.ArgumentParser("edge-export", description=__doc__)
    parser.add_argument("run", type=Path, help="folder written by edge-train")
    parser.add_argument("--out", type=Path, required=True, help="folder of the bundle; must not exist")
    parser.add_argument("--images", type=Path, help="images for the parity gate; default: those of the run")
    parser.add_argument(
        "--precision",
        default="fp32",
        help="models to write, by commas: fp32,fp16,int8,int8-cpu; fp32 always is (default: %(default)s)",
    )
    parser.add_argument(
        "--calib",
        type=Path,
        metavar="NORMAL_DIR",
        help="good images that set the ranges of 8 bits; default: those the run learned from",
    )
    parser.add_argument(
        "--labelled",
        type=Path,
        metavar="SET",
        help="a set with test/good and test/<defect>; a precision that loses AUROC on it is refused",
    )
    options = parser.parse_args(arguments)
    console = Console(stderr=True)
    with reported("edge-export", console) as outcome:
        # torch takes seconds; --help and a wrong flag need none of it
        import onnx

        from tools.convert_fp16 import PrecisionError
        from tools.cost_model import graph_cost
        from tools.export_onnx import export_bundle, parse_precisions

        parity, refused = export_bundle(
            options.run, options.out, options.images, parse_precisions(options.precision), options.calib, options.labelled
        )
        lines = [f"exported {options.out}, compared with the checkpoint on {parity['images']} images by {parity['runtime']}:"]
        for precision in (one for one in parity if isinstance(parity[one], dict)):
            report = parity[precision]
            lines.append(
                f"  {precision}: largest score difference {report['largest_score_difference']:.2e} "
                f"(relative {report['largest_relative_difference']:.1e}, mean {report['mean_relative_difference']:.1e}), "
                f"map correlation at least {report['lowest_map_correlation']:.6f}, "
                f"decision flips {report['decision_flips']} at the median, {report['own_threshold_flips']} at its own threshold"
                + (f", AUROC {report['auroc']:.4f} (fp32 {report['reference_auroc']:.4f})" if "auroc" in report else "")
                + (f"; not converted: {', '.join(report['kept_layers'])}" if report.get("kept_layers") else "")
            )
        if "fp16" in parity:
            lines.append("  (this runtime's FP16 says nothing of how TensorRT rounds; edge-build proves that on the device)")
        console.print("\n".join(lines), markup=False, highlight=False, soft_wrap=True)
        console.print(*graph_cost(onnx.load(options.out / "model.fp32.onnx")).tables(), sep="\n")
        if refused:
            reasons = "; ".join(f"{precision} was refused and is not in {options.out}: {why}" for precision, why in refused.items())
            raise PrecisionError(f"{reasons}; use fp32")
    return outcome.code


if __name__ == "__main__":
    sys.exit(main())
