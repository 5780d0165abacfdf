"""edge-export: a finished training run in, a verified model bundle out."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from rich.console import Console

from edge.exit_code import reported


def main(arguments: list[str] | None = None) -> int:
    """Entry point; returns the exit code."""
    parser = argparse.ArgumentParser("edge-export", description=__doc__)
    parser.add_argument("run", type=Path, help="folder written by edge-train")
    parser.add_argument("--out", type=Path, required=True, help="folder of the bundle; must not exist")
    parser.add_argument("--images", type=Path, help="images for the parity gate; default: those of the run")
    options = parser.parse_args(arguments)
    console = Console(stderr=True)
    with reported("edge-export", console) as outcome:
        from tools.export_onnx import export_bundle  # torch takes seconds; --help and a wrong flag need none of it

        parity = export_bundle(options.run, options.out, options.images)
        console.print(
            f"exported {options.out}: on {parity['images']} images the largest score difference is "
            f"{parity['largest_score_difference']:.2e} (relative {parity['largest_relative_difference']:.1e}), "
            f"{parity['decision_flips']} decision flips",
            markup=False,
            highlight=False,
            soft_wrap=True,
        )
    return outcome.code


if __name__ == "__main__":
    sys.exit(main())
