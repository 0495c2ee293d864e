"""Means of several trials' weights, made of one after another: they may not fit into memory together."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

Weights = Mapping[str, Tensor]
"""A trial's, see `fpray.model.weights_of`."""


def stirred_in(soup: Weights, ingredients: int, weights: Weights) -> dict[str, Tensor]:
    """The mean of so many trials' weights and of one trial's more; whole numbers (counters) stay the first's."""
    return {
        key: (ingredients * value + weights[key]) / (ingredients + 1) if value.is_floating_point() else value
        for key, value in soup.items()
    }
