"""A value with its uncertainty."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import stdtr, stdtrit


@dataclass(frozen=True)
class Estimate:
    """An estimate whose error, divided by its standard error, is distributed as Student's t."""

    value: float
    error: float
    """The standard error."""
    freedom: float = math.inf
    """The degrees of freedom of the standard error; infinite for a normal distribution."""

    def half_width(self, level: float = 0.95) -> float:
        """Half the width of the interval that holds the true value in this share of cases."""
        return float(stdtrit(self.freedom, 0.5 + level / 2) * self.error)

    @property
    def p(self) -> float:
        """The two-sided p-value of the true value being 0."""
        return 2 * self._beyond(abs(self.value))

    def p_of_more_than(self, margin: float) -> float:
        """The p-value of the true value lying outside of [-margin, margin]: small where it is as good as 0 (two
        one-sided tests, Schuirmann 1987)."""
        return self._beyond(margin - abs(self.value))

    def repeats_that_decide(self, have: int, most: int) -> int | None:
        """The number of repeats whose 95 % interval would leave out 0; None if it is above `most`.

        Args:
            have: so many repeats, of which the standard error is, gave the value; more of them would be like these.
        """
        for repeats in range(have + 1, most + 1):
            if stdtrit(repeats - 1, 0.975) * self.error * math.sqrt(have / repeats) <= abs(self.value):
                return repeats
        return None

    def _beyond(self, distance: float) -> float:
        """The probability of an error that is larger than a distance; a half where the value is not a number."""
        if math.isnan(distance):
            return 0.5
        if self.error == 0:
            return float(np.heaviside(-distance, 0.5))
        return float(stdtr(self.freedom, -distance / self.error))


def over_draws(values: Sequence[float]) -> Estimate:
    """The mean of what independent draws of the data gave, with Student's t over them.

    Each value has its own images and seeds, so their spread holds all that is uncertain. Two draws have one degree of
    freedom, and an interval 12.7 standard errors wide to either side: it is honest, if nothing else.

    Args:
        values: at least two.
    """
    spread = np.std(values, ddof=1) / math.sqrt(len(values))
    return Estimate(float(np.mean(values)), float(spread), len(values) - 1)
