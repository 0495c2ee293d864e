"""EMA and WMA: the average is the weighted mean of all weights, and it is what is validated and left behind."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.distributions import Beta

from fpray.config import Train
from fpray.methods import METHODS, Course
from fpray.methods.averaging import AveragedMethod, with_buffers
from fpray.model import Reference, interpolate
from fpray.training import Runtime, train

SETTINGS = Train(epochs=4, batch_size=16, warmup_steps=0)
PARAMS: dict[str, dict[str, Any]] = {
    "ema": {"lr": 3e-3, "horizon": 0.3},
    "wma": {"lr": 3e-3, "beta": 0.5},
}


def made(name: str, reference: Reference, **params: Any) -> AveragedMethod[Any]:
    method = METHODS[name].make(PARAMS[name] | params, reference)
    assert isinstance(method, AveragedMethod)
    return method


def averaged(method: AveragedMethod[Any], steps: int) -> tuple[list[Tensor], Tensor]:
    """What some steps' weights are, the pre-trained ones first, and what their average is; of the head's bias."""
    method.begin(Course([1.0] * steps, None))
    seen = [method.classifier.head.bias.detach().clone()]
    for step in range(steps):
        with torch.no_grad():
            method.classifier.head.bias += float(step + 1) ** 2
        seen.append(method.classifier.head.bias.detach().clone())
        method.after_step(1.0)
    return seen, method.plain().head.bias.detach()


def test_ema_is_its_recursion(reference: Reference) -> None:
    for params, momentum in (({"horizon": 0.25}, 1 - 1 / 2), ({"horizon": None, "momentum": 0.9}, 0.9)):
        seen, found = averaged(made("ema", reference, **params), 8)
        expected = seen[0]
        for weights in seen[1:]:
            expected = momentum * expected + (1 - momentum) * weights
        torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("beta", [0.5, 1.0, 2.0])
def test_wma_weighs_by_the_beta_distribution(reference: Reference, beta: float) -> None:
    seen, found = averaged(made("wma", reference, beta=beta), 8)
    density = torch.tensor([Beta(beta, beta).log_prob(torch.tensor((n + 0.5) / 9)).exp().item() for n in range(9)])
    expected = sum(weight * weights for weight, weights in zip(density / density.sum(), seen, strict=True))
    torch.testing.assert_close(found, expected)
    if beta == 1:
        torch.testing.assert_close(found, torch.stack(seen).mean(dim=0))


def test_weights_that_became_buffers_are_averaged_by_their_names() -> None:
    """In a module with buffers of its own they come in another order."""
    norm, average = torch.nn.BatchNorm1d(2), with_buffers(torch.nn.BatchNorm1d(2))
    assert list(norm.state_dict()) != list(average.state_dict())
    assert not list(average.parameters())
    for number, value in enumerate((norm.weight, norm.bias, norm.running_mean, norm.running_var), start=1):
        value.data.fill_(10.0 * number)
    interpolate(average, norm, 0.5, into=average)
    found = {key: value.flatten()[0].item() for key, value in average.state_dict().items()}
    assert found == {
        "weight": 5.5,
        "bias": 10.0,
        "running_mean": 15.0,
        "running_var": 20.5,
        "num_batches_tracked": 0,
    }


@pytest.mark.parametrize("name", ["ema", "wma"])
def test_what_is_validated_is_what_is_left_behind(name: str, reference: Reference, pixels: Tensor) -> None:
    method = made(name, reference)
    train(method, SETTINGS, 0, reference.dataset.splits(), Runtime(torch.device("cpu")), None, lambda own: None)
    with torch.no_grad():
        torch.testing.assert_close(method.current()(pixels), method.plain()(pixels), rtol=0, atol=0)
        assert not torch.allclose(method.current()(pixels), method.classifier.eval()(pixels), atol=1e-3)
    assert not method.current().training
    assert not [key for key, _ in method.average.named_parameters()]
