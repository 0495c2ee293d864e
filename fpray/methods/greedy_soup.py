"""Greedy soup: the mean of the weights of those trials that make it better."""

from __future__ import annotations

from fpray.methods.base import Bench, DerivedMethod, Hyperparameters
from fpray.methods.soups import stirred_in
from fpray.model import Classifier, with_weights


class GreedySoup(DerivedMethod[Hyperparameters]):
    """From the best trial on, each next one stirred in if ID accuracy rises by it (model soups, arXiv 2203.05482; their
    code asks for more, not for as much); trains nothing.

        soup = w_1;  for k = 2, 3, ...:  next = (n * soup + w_k) / (n + 1), n the trials in it
        soup <- next, where accuracy(next) > accuracy(soup)

    Accuracy is that on one half of the ID validation images, which order the trials, too.
    """

    name = "greedy_soup"
    builds_on = ("full",)
    takes = "all"
    learns_from_validation = True
    default_trials = 1
    Params = Hyperparameters

    def finish(self, bench: Bench) -> None:
        alone = [bench.accuracy(with_weights(self.reference.classifier, weights)) for weights in self.sources]
        first, *others = sorted(range(len(alone)), key=lambda place: alone[place], reverse=True)
        self.soup, self.kept, best = self.sources[first], [first], alone[first]
        for place in others:
            more = stirred_in(self.soup, len(self.kept), self.sources[place])
            if (reached := bench.accuracy(with_weights(self.reference.classifier, more))) > best:
                self.soup, best = more, reached
                self.kept.append(place)

    def plain(self) -> Classifier:
        return with_weights(self.reference.classifier, self.soup)
