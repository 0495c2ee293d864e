"""The place of a trial's loop: alone in one process, or one of several Train workers."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from fpray.model import device_name


@dataclass(frozen=True)
class Runtime:
    """This process's place among a trial's workers. The loop is the same code for one and for many."""

    device: torch.device
    rank: int = 0
    world_size: int = 1
    beat: Callable[[], None] = lambda: None
    """Called at every step and evaluated batch: the sign of life without which a trial counts as hung."""
    stop_asked: Callable[[], bool] = lambda: False
    """Whether the sweep is to be interrupted."""

    @property
    def device_name(self) -> str:
        """The GPU's name, or `cpu`."""
        return device_name(self.device)

    @property
    def is_main(self) -> bool:
        """Whether this worker writes the trial's files."""
        return self.rank == 0

    def parallel(self, module: nn.Module) -> nn.Module:
        """The module with its gradients averaged over the workers."""
        return module if self.world_size == 1 else DistributedDataParallel(module, gradient_as_bucket_view=True)

    @torch.no_grad()
    def share_buffers(self, module: nn.Module) -> None:
        """Give every worker the main one's buffers: each has seen other images (BatchNorm's running statistics)."""
        if self.world_size > 1:
            for buffer in module.buffers():
                dist.broadcast(buffer, src=0)

    def averaging(self, module: nn.Module, now: bool) -> contextlib.AbstractContextManager[None]:
        """Around a backward pass: whether gradients are averaged over the workers now, or later with the next."""
        return contextlib.nullcontext() if now or self.world_size == 1 else module.no_sync()  # type: ignore[operator]

    def share_of(self, size: int) -> range:
        """The indices in [0, size) that this worker evaluates; no index belongs to two workers."""
        return range(self.rank, size, self.world_size)

    def gather(self, share: Tensor, size: int) -> Tensor:
        """Rows computed by all the workers, [size, ...], each worker giving those of `share_of(size)`."""
        if self.world_size == 1:
            return share
        whole = torch.zeros(size, *share.shape[1:], dtype=share.dtype, device=share.device)
        whole[self.rank :: self.world_size] = share
        dist.all_reduce(whole)
        return whole

    def mean(self, value: Tensor) -> Tensor:
        """The mean of a tensor over the workers."""
        if self.world_size > 1:
            dist.all_reduce(value)
        return value / self.world_size

    def any(self, marks: Tensor) -> Tensor:
        """The marks, booleans on the CPU, that any of the workers has set."""
        if self.world_size == 1:
            return marks
        counts = marks.to(self.device, torch.int32)
        dist.all_reduce(counts)
        return counts.cpu() > 0

    def must_stop(self) -> bool:
        """Whether the trial is to stop here, which all its workers do together."""
        return bool(self.any(torch.tensor([self.stop_asked()])).any())

    def wait_for_all(self) -> None:
        """Let no worker go on before all have come here."""
        if self.world_size > 1:
            dist.barrier()
