"""How far a model moved: CKA against its definition by Gram matrices, the distance against a vector norm."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor

from fpray.model.reference import Reference
from fpray.training.movement import linear_cka, weight_distance


def cka_by_gram_matrices(x: Tensor, y: Tensor) -> float:
    """HSIC(K, L) / sqrt(HSIC(K, K) HSIC(L, L)), HSIC(K, L) = tr(K H L H) / (n - 1)^2."""
    n = len(x)
    centre = torch.eye(n, dtype=torch.float64) - 1 / n
    k, l = x.double() @ x.double().T, y.double() @ y.double().T  # noqa: E741

    def hsic(a: Tensor, b: Tensor) -> Tensor:
        return torch.trace(a @ centre @ b @ centre) / (n - 1) ** 2

    return float(hsic(k, l) / (hsic(k, k) * hsic(l, l)).sqrt())


@pytest.fixture
def features() -> Tensor:
    return torch.randn(40, 8, generator=torch.Generator().manual_seed(0))


def rotation(dim: int) -> Tensor:
    return torch.linalg.qr(torch.randn(dim, dim, generator=torch.Generator().manual_seed(1)))[0]


def test_cka_of_rotated_scaled_and_shifted_features_is_one(features: Tensor) -> None:
    assert linear_cka(features, 3.5 * features @ rotation(8) + 2) == pytest.approx(1, abs=1e-6)


def test_cka_is_invariant_and_symmetric(features: Tensor) -> None:
    other = torch.tanh(features @ torch.randn(8, 5, generator=torch.Generator().manual_seed(2)))
    value = linear_cka(features, other)
    assert 0.05 < value < 0.95
    assert linear_cka(other, features) == pytest.approx(value, rel=1e-9)
    assert linear_cka(features @ rotation(8), 0.1 * other @ rotation(5) - 4) == pytest.approx(value, rel=1e-5)


@pytest.mark.parametrize("dim", [1, 5, 60])
def test_cka_equals_the_formula_by_gram_matrices(features: Tensor, dim: int) -> None:
    other = features @ torch.randn(8, dim, generator=torch.Generator().manual_seed(3)) + 0.5
    assert linear_cka(features, other) == pytest.approx(cka_by_gram_matrices(features, other), rel=1e-9)


def test_cka_of_unrelated_features_is_small() -> None:
    x, y = torch.randn(2, 2000, 4, generator=torch.Generator().manual_seed(0))
    assert linear_cka(x, y) < 0.01


def test_distance_is_the_norm_of_all_weights_difference(reference: Reference) -> None:
    moved = copy.deepcopy(reference.classifier)
    with torch.no_grad():
        for parameter in moved.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=torch.Generator().manual_seed(0)))
    start = torch.cat([p.flatten() for p in reference.classifier.parameters()]).double()
    end = torch.cat([p.flatten() for p in moved.parameters()]).double()
    distance, relative = weight_distance(moved, reference.classifier)
    assert distance == pytest.approx(float((end - start).norm()), rel=1e-5)
    assert relative == pytest.approx(float((end - start).norm() / start.norm()), rel=1e-5)


def test_distance_of_one_known_change(reference: Reference) -> None:
    moved = copy.deepcopy(reference.classifier)
    with torch.no_grad():
        moved.head.bias[:2] += torch.tensor([3.0, 4.0])
    assert weight_distance(moved, reference.classifier)[0] == pytest.approx(5)
    assert weight_distance(reference.classifier, reference.classifier) == (0, 0)
