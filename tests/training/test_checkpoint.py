"""Checkpoints: weights, buffers and optimiser come back to the bit, and the newest whole one is what counts."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from upath import UPath

from fpray.records.record import Count, Epoch
from fpray.training.checkpoint import Checkpoint, newest_checkpoint


class Net(nn.Module):
    """Weights that train, weights that are frozen, and running statistics."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.frozen = nn.Linear(4, 4).requires_grad_(False)
        self.norm = nn.BatchNorm1d(4)
        self.head = nn.Linear(4, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.norm(self.frozen(x)))


def optimizer_of(net: Net) -> torch.optim.AdamW:
    return torch.optim.AdamW([p for p in net.parameters() if p.requires_grad], lr=0.1, weight_decay=0.01)


def steps(net: Net, optimizer: torch.optim.Optimizer, seeds: range) -> None:
    for seed in seeds:
        x = torch.randn(8, 4, generator=torch.Generator().manual_seed(seed))
        optimizer.zero_grad()
        net(x).square().sum().backward()
        optimizer.step()


def history_of(epochs: int) -> tuple[Epoch, ...]:
    return tuple(
        Epoch(
            epoch=i + 1,
            step=3 * i,
            lr=0.1 / 3,
            losses={"cross_entropy": 1 / (i + 3)},
            validation={"id/val": Count(correct=i, total=7)},
            images=8,
            seconds=0.1,
            validation_seconds=0.1,
            ended=1.0 + i,
        )
        for i in range(epochs)
    )


@pytest.fixture(params=["local", "memory"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> UPath:
    address = {"local": str(tmp_path), "memory": f"memory://{tmp_path.name}"}[request.param]
    return UPath(address) / "checkpoint"


def test_it_comes_back_to_the_bit_and_goes_on_the_same(folder: UPath) -> None:
    net = Net(0)
    optimizer = optimizer_of(net)
    steps(net, optimizer, range(3))
    Checkpoint.of(net, optimizer, history_of(2)).write(folder)

    other = Net(0)
    with torch.no_grad():  # made anew, with what trains somewhere else
        for parameter in (*other.norm.parameters(), *other.head.parameters()):
            parameter.fill_(9)
    other_optimizer = optimizer_of(other)
    checkpoint = newest_checkpoint(folder)
    assert checkpoint.history == history_of(2)
    checkpoint.restore(other, other_optimizer)

    def same() -> bool:
        ours, theirs = other.state_dict(), net.state_dict()
        moments, their_moments = other_optimizer.state_dict()["state"], optimizer.state_dict()["state"]
        return all(torch.equal(ours[key], theirs[key]) for key in theirs) and all(
            torch.equal(moments[i][key], state[key]) for i, state in their_moments.items() for key in state
        )

    assert same()
    assert optimizer.state_dict()["state"][0].keys() == other_optimizer.state_dict()["state"][0].keys()
    assert other_optimizer.state_dict()["param_groups"] == optimizer.state_dict()["param_groups"]
    for seed in range(3, 6):
        steps(net, optimizer, range(seed, seed + 1))
        assert not same()
        steps(other, other_optimizer, range(seed, seed + 1))
        assert same()


def test_it_is_a_copy_that_further_training_does_not_change() -> None:
    net = Net(0)
    optimizer = optimizer_of(net)
    steps(net, optimizer, range(1))
    checkpoint = Checkpoint.of(net, optimizer, ())
    again = Checkpoint({key: value.clone() for key, value in checkpoint.tensors.items()}, ())
    other = Net(0)
    other_optimizer = optimizer_of(other)
    checkpoint.restore(other, other_optimizer)
    steps(other, other_optimizer, range(1, 4))
    assert all(torch.equal(checkpoint.tensors[key], again.tensors[key]) for key in again.tensors)


def test_frozen_weights_are_left_out(folder: UPath) -> None:
    net = Net(0)
    tensors = Checkpoint.of(net, optimizer_of(net), ()).tensors
    assert not any("frozen" in key for key in tensors)
    assert {"method.head.weight", "method.norm.weight", "method.norm.running_mean"} <= tensors.keys()


def test_there_is_none_at_first(folder: UPath) -> None:
    assert newest_checkpoint(folder) is None
    folder.mkdir(parents=True)
    (folder / "epoch-0001.safetensors.77.part").write_bytes(b"half of a checkpoint")
    assert newest_checkpoint(folder) is None


def test_the_newest_two_are_kept(folder: UPath) -> None:
    net = Net(0)
    optimizer = optimizer_of(net)
    for kept in ([1], [1, 2], [2, 9], [9, 10]):
        Checkpoint.of(net, optimizer, history_of(kept[-1])).write(folder)
        assert sorted(path.name for path in folder.iterdir()) == [f"epoch-{n:04d}.safetensors" for n in kept]
        assert newest_checkpoint(folder).history == history_of(kept[-1])


def damages(whole: bytes) -> dict[str, bytes]:
    """What a disk or a crash may leave of a file."""
    size = int.from_bytes(whole[:8], "little")
    return {
        "empty": b"",
        "garbage": bytes(range(256)) * 8,
        "a header that is too long": (2**62).to_bytes(8, "little") + whole[8:],
        "no metadata": whole[:8] + b"{" + b" " * (size - 2) + b"}",
    } | {f"cut at {share}": whole[: int(share * len(whole))] for share in (0.001, 0.1, 0.5, 0.999)}


def test_of_a_damaged_newest_the_one_before_counts(folder: UPath) -> None:
    net = Net(0)
    optimizer = optimizer_of(net)
    for epochs in (1, 2):
        Checkpoint.of(net, optimizer, history_of(epochs)).write(folder)
    newest = folder / "epoch-0002.safetensors"
    for damage, content in damages(newest.read_bytes()).items():
        newest.write_bytes(content)
        assert newest_checkpoint(folder).history == history_of(1), damage
    newest.unlink()
    assert newest_checkpoint(folder).history == history_of(1)
    (folder / "epoch-0001.safetensors").write_bytes(b"")
    assert newest_checkpoint(folder) is None


def test_damaged_ones_go_when_the_trial_has_fallen_back_and_gone_on(folder: UPath) -> None:
    net = Net(0)
    optimizer = optimizer_of(net)
    folder.mkdir(parents=True)
    for epochs in (5, 6):
        (folder / f"epoch-{epochs:04d}.safetensors").write_bytes(b"damaged")
    Checkpoint.of(net, optimizer, history_of(4)).write(folder)
    assert [path.name for path in folder.iterdir()] == ["epoch-0004.safetensors"]


def test_of_several_the_newest_counts(folder: UPath) -> None:
    net = Net(0)
    optimizer = optimizer_of(net)
    Checkpoint.of(net, optimizer, history_of(1)).write(folder)
    older = (folder / "epoch-0001.safetensors").read_bytes()
    Checkpoint.of(net, optimizer, history_of(2)).write(folder)
    (folder / "epoch-0001.safetensors").write_bytes(older)  # as after a crash before it was removed
    (folder / "epoch-0003.safetensors.77.part").write_bytes(b"half of a checkpoint")
    assert newest_checkpoint(folder).history == history_of(2)


def test_the_optimisers_state_lies_in_memory_as_its_weight_does() -> None:
    """Fused AdamW goes through weight, gradient and state side by side: with channels last it would pair others."""

    def trained(steps: int) -> tuple[nn.Module, torch.optim.Optimizer]:
        torch.manual_seed(0)
        conv = nn.Conv2d(3, 4, 5).to(memory_format=torch.channels_last)
        optimizer = torch.optim.AdamW(conv.parameters(), lr=1e-2, fused=True)
        go_on(conv, optimizer, steps)
        return conv, optimizer

    def go_on(conv: nn.Module, optimizer: torch.optim.Optimizer, steps: int) -> None:
        generator = torch.Generator().manual_seed(1)
        for _ in range(steps):
            images = torch.rand(2, 3, 8, 8, generator=generator).to(memory_format=torch.channels_last)
            optimizer.zero_grad()
            conv(images).square().sum().backward()
            optimizer.step()

    through, optimizer = trained(3)
    kept = Checkpoint.of(through, optimizer, ())
    kept = Checkpoint({name: tensor.clone() for name, tensor in kept.tensors.items()}, ())
    resumed, fresh = trained(0)
    kept.restore(resumed, fresh)
    go_on(through, optimizer, 2)
    go_on(resumed, fresh, 2)
    assert torch.equal(resumed.weight, through.weight)
