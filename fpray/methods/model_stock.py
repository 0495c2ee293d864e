"""Model Stock: two seeds of one configuration, averaged, and moved towards the pre-trained weights by their angle."""

from __future__ import annotations

from itertools import combinations

import torch
from torch import Tensor

from fpray.methods.base import DerivedMethod, Hyperparameters
from fpray.methods.published import PublishedAccuracy
from fpray.model import Classifier, weights_of, with_weights


class ModelStock(DerivedMethod[Hyperparameters]):
    """Averages the N = 2 seeds of a configuration, and that average with w0, by the angle between their changes (arXiv
    2403.19522; formula as in github.com/arcee-ai/mergekit); trains nothing.

        for each tensor:  w = t * mean(w_i) + (1 - t) * w0,  t = N cos / (1 + (N - 1) cos)

    cos is that of the angle between the changes w_i - w0. A trial takes its source with two seeds, its own and the next
    of `train.seeds`: with two seeds the trials of both are the same. A cosine below 0 counts as 0, where t would leave
    [0, 1].
    """

    name = "model_stock"
    builds_on = ("full",)
    takes = "pair"
    Params = Hyperparameters
    published = (PublishedAccuracy(84.07, 62.40, 4, "TRACER, arXiv 2605.29380, Table 2"),)

    def plain(self) -> Classifier:
        start, tuned = weights_of(self.reference.classifier), list(self.sources)
        return with_weights(
            self.reference.classifier,
            {key: stock(value, [weights[key] for weights in tuned]) for key, value in start.items()},
        )


def stock(start: Tensor, tuned: list[Tensor]) -> Tensor:
    """The merged tensor, from the pre-trained one and two or more fine-tuned ones; of counters, the first's."""
    if not start.is_floating_point():
        return tuned[0]
    changes = [(own - start).flatten().double() for own in tuned]
    cosines = [torch.nn.functional.cosine_similarity(a, b, dim=0) for a, b in combinations(changes, 2)]
    cosine, number = torch.stack(cosines).mean().clamp(0, 1), len(tuned)
    share = number * cosine / (1 + (number - 1) * cosine)
    return start + (share * torch.stack(changes).mean(dim=0)).view_as(start).to(start.dtype)
