"""edge-train: a folder of normal images in, a checkpoint out."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from rich.console import Console

from edge.console.exit_code import reported
from edge.storage.documented_yaml import documented_yaml
from edge.storage.strict_yaml import load_yaml, parse
from trainer.train_config import TrainConfig

FLAGS = ("seed", "steps", "input_size", "batch_size")


def main(arguments: list[str] | None = None) -> int:
    """Entry point; returns the exit code."""
    options = _parser().parse_args(arguments)
    console = Console(stderr=True, quiet=os.environ.get("LOCAL_RANK", "0") != "0")  # under torchrun, an error is told once
    with reported("edge-train", console) as outcome:
        content = load_yaml(options.config) if options.config else {}
        content |= {name: getattr(options, name) for name in (*FLAGS, "tensorboard") if getattr(options, name) is not None}
        config = parse(TrainConfig, content, str(options.config or "flags"))
        from trainer.training_run import train  # torch takes seconds; --help and a wrong flag need none of it

        train(options.images, options.out, config, console)
    return outcome.code


class _PrintConfig(argparse.Action):
    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        print(documented_yaml(TrainConfig()), end="")
        parser.exit()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("edge-train", description=__doc__)
    parser.add_argument("images", type=Path, help="folder with train/good, or a plain folder of normal images")
    parser.add_argument("--out", type=Path, required=True, help="folder of the run; an unfinished one is resumed")
    parser.add_argument("--config", type=Path, help="YAML of options; flags go before it")
    parser.add_argument(
        "--print-config", nargs=0, action=_PrintConfig, help="print every option with its default and meaning, as YAML"
    )
    parser.add_argument("--no-tensorboard", dest="tensorboard", action="store_const", const=False, help="write metrics.csv only")
    for name in FLAGS:
        field = TrainConfig.model_fields[name]
        help_text = f"{field.description} (default: {field.default})"
        parser.add_argument(f"--{name.replace('_', '-')}", dest=name, type=int, help=help_text)
    return parser


if __name__ == "__main__":
    sys.exit(main())
