"""The processes that train one model together, through Lightning Fabric; without torchrun it is one."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from typing import Literal

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from edge.errors import InputError
from trainer.train_config import Precision

BFLOAT16_SINCE = 8  # CUDA compute capability


class Ranks:
    """Device, precision and number of the processes. Each holds the whole model and takes its share of every batch.

    Gradients are averaged before each update (``mean``), so that all ranks keep the same weights without being told.
    Under torchrun each process is a rank, with a GPU of its own, or on the CPU (gloo) where a machine has too few.
    ``gpu`` false keeps to the CPU. Raises InputError for a precision that the device does not have.
    """

    def __init__(self, precision: Precision = "auto", *, gpu: bool = True) -> None:
        here, world = (int(os.environ.get(name, 1)) for name in ("LOCAL_WORLD_SIZE", "WORLD_SIZE"))
        on_gpu = gpu and torch.cuda.device_count() >= here
        if on_gpu:  # cuBLAS reads it when it starts; without it no matrix product is repeatable
            os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        logging.getLogger("lightning_fabric").setLevel(logging.WARNING)  # else each rank announces itself
        self.fabric = Fabric(
            accelerator="cuda" if on_gpu else "cpu",
            strategy="ddp" if world > 1 else "auto",
            devices=here,
            num_nodes=world // here,
            precision=_chosen(precision, on_gpu),
        )
        self.fabric.launch()
        self.device: torch.device = self.fabric.device
        self.rank, self.count = self.fabric.global_rank, self.fabric.world_size
        scaler = getattr(self.fabric.strategy.precision, "scaler", None)
        self.scaler = scaler or torch.amp.GradScaler(self.device.type, enabled=False)

    @property
    def first(self) -> bool:
        """Whether this is the rank that writes files and talks."""
        return self.rank == 0

    def share(self, batch: Tensor) -> Tensor:
        """This rank's part of the indices of a global batch, which may be uneven."""
        return batch[self.rank :: self.count]

    def weight(self, batch: Tensor) -> float:
        """What the mean over this rank's share counts, so that the mean over ranks is the mean over ``batch``."""
        return len(self.share(batch)) * self.count / len(batch)

    def mean(self, tensors: Sequence[Tensor]) -> list[Tensor]:
        """Each tensor averaged over the ranks, in one transfer; the same on all of them."""
        if self.count == 1:
            return list(tensors)
        reduced = self.fabric.all_reduce(torch.cat([one.detach().flatten() for one in tensors]), reduce_op="mean")
        assert isinstance(reduced, Tensor)
        parts = reduced.split([one.numel() for one in tensors])
        return [part.reshape(one.shape) for part, one in zip(parts, tensors, strict=True)]

    def gather(self, tensor: Tensor) -> Tensor:
        """1×… on each rank to ranks×… on all of them, in order of rank."""
        if self.count == 1:
            return tensor
        gathered = [torch.empty_like(tensor) for _ in range(self.count)]
        torch.distributed.all_gather(gathered, tensor.contiguous())
        return torch.cat(gathered)

    def require_same(self, value: object, what: str) -> None:
        """Raise InputError on a rank where ``value`` is not that of rank 0; a collective call."""
        if self.count > 1 and self.fabric.broadcast(value) != value:
            raise InputError(f"process {self.rank} sees other {what} than process 0; give all machines the same folders")

    def apply(self, module: nn.Module, feature: Tensor) -> tuple[Tensor, ...]:
        """``module(feature)`` in the chosen precision; what comes out is float32 again."""
        with self.fabric.autocast():
            out = module(feature)
        return tuple(one.float() for one in (out if isinstance(out, tuple) else (out,)))


def _chosen(precision: Precision, on_gpu: bool) -> Literal["32-true", "16-mixed", "bf16-mixed"]:
    """Fabric's name for the precision; bfloat16 before float16 where the GPU has it, because it needs no loss scaling."""
    if precision == "auto" and on_gpu:
        return "bf16-mixed" if torch.cuda.get_device_capability()[0] >= BFLOAT16_SINCE else "16-mixed"
    if precision == "16-mixed" and not on_gpu:
        raise InputError("precision 16-mixed needs a GPU, and training runs on the CPU; take auto, 32 or bf16-mixed")
    return "32-true" if precision == "auto" or precision == "32" else precision
