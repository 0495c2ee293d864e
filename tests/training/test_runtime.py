"""Several workers, as real processes with gloo: what each holds comes together."""

from __future__ import annotations

from pathlib import Path

import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from torch import nn

from fpray.training.runtime import Runtime


class Doubled(nn.Module):
    """A weight, and a buffer that counts the images which this worker has seen."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(2))
        self.register_buffer("seen", torch.zeros(1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.seen += len(x)
        return (self.weight * x).sum()


def worker(rank: int, meeting: str, results: str) -> None:
    dist.init_process_group("gloo", f"file://{meeting}", rank=rank, world_size=2)
    runtime, module = Runtime(torch.device("cpu"), rank, 2), Doubled()
    parallel = runtime.parallel(module)
    for number in range(2):  # a batch in two parts: gradients are averaged once, after the second
        with runtime.averaging(parallel, now=number == 1):
            parallel(torch.full((3, 2), 1.0 + rank + 2 * number)).backward()
    module.seen += 10 * rank
    runtime.share_buffers(module)
    share = torch.tensor([[float(i)] for i in runtime.share_of(5)])
    found = {
        "gradient": module.weight.grad,
        "seen": module.seen,
        "gathered": runtime.gather(share, 5),
        "mean": runtime.mean(torch.tensor(float(rank))),
        "any": runtime.any(torch.tensor([rank == 0, rank == 1, False])),
    }
    (Path(results) / f"{rank}.txt").write_text(repr({name: value.tolist() for name, value in found.items()}))
    dist.destroy_process_group()


def test_two_workers(tmp_path: Path) -> None:
    mp.spawn(worker, (str(tmp_path / "meeting"), str(tmp_path)), nprocs=2)
    # Sums over the parts of 3 images: (1 + 3) * 3 on the first worker, (2 + 4) * 3 on the second; then the mean.
    expected = {
        "gradient": [15.0, 15.0],
        "seen": [6.0],
        "gathered": [[0.0], [1.0], [2.0], [3.0], [4.0]],
        "mean": 0.5,
        "any": [True, True, False],
    }
    assert [(tmp_path / f"{rank}.txt").read_text() for rank in range(2)] == [repr(expected)] * 2


def test_one_worker_has_everything() -> None:
    alone, module = Runtime(torch.device("cpu")), nn.Linear(2, 2)
    assert alone.parallel(module) is module
    assert torch.equal(alone.gather(torch.arange(5), 5), torch.arange(5))
    assert alone.any(torch.tensor([True, False])).tolist() == [True, False]
    assert list(alone.share_of(3)) == [0, 1, 2]
