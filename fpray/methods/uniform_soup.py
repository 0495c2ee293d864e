"""Uniform soup: the mean of the weights of the best trials."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from fpray.methods.base import DerivedMethod, Hyperparameters
from fpray.methods.soups import stirred_in
from fpray.model import Classifier, with_weights
from fpray.space import Int


class UniformSoupParams(Hyperparameters):
    """The number of trials that are averaged."""

    ingredients: Annotated[int, Field(ge=1), Int(2, 8)]
    """How many configurations are averaged, those with the best first objective; all of them where there are fewer.
    The paper's uniform soup is of all."""


class UniformSoup(DerivedMethod[UniformSoupParams]):
    """The mean of trials' weights (model soups, arXiv 2203.05482); trains nothing.

        w = (w_1 + ... + w_K) / K, of the K = ingredients best trials

    The best are those with the highest first objective (`search.objectives`).
    """

    name = "uniform_soup"
    builds_on = ("full",)
    takes = "all"
    default_trials = 4
    Params = UniformSoupParams

    def plain(self) -> Classifier:
        soup = self.sources[0]
        for number, weights in enumerate(self.sources[1 : self.params.ingredients], start=1):
            soup = stirred_in(soup, number, weights)
        return with_weights(self.reference.classifier, soup)
