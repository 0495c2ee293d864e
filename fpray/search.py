"""Search: one Optuna study for each method, two objectives. The only module that knows Optuna.

A suggestion depends on the sweep's seed, the trial's number and the results told so far, and on nothing else. The
results told before trial n is suggested are those of the trials before n - lag: so two sweeps with the same seed
choose the same trials, whichever trial happens to end first and however often they are interrupted.
"""

from __future__ import annotations

import hashlib
import logging

import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.samplers import BaseSampler, NSGAIISampler, RandomSampler, TPESampler
from optuna.trial import TrialState

from fpray.config import Search
from fpray.space import Choice, Constant, Grid, Int, Log, Params, Space, Uniform, grid_cells

optuna.logging.set_verbosity(logging.WARNING)

Values = tuple[float, float]
"""The two objectives of a trial, to maximise: ID and OOD accuracy on validation images, in per cent."""


class Study:
    """The search of one method."""

    def __init__(self, method: str, space: Space, search: Search) -> None:
        self.method, self.space, self.search = method, space, search
        self._cells = grid_cells(space)
        self._distributions = {name: distribution(d) for name, d in space.items() if not isinstance(d, Constant)}
        self._study = optuna.create_study(directions=["maximize", "maximize"], sampler=RandomSampler(seed=0))
        self._asked: list[optuna.Trial] = []
        self._outcomes: dict[int, Values | None] = {}
        self._told = 0

    @property
    def next_number(self) -> int:
        """The number of the trial that would be suggested next."""
        return len(self._asked)

    @property
    def ready(self) -> bool:
        """Whether the results that the next suggestion depends on are all there."""
        return all(number in self._outcomes for number in range(self._told, self._known_from_here()))

    def suggest(self) -> Params:
        """The hyperparameters of the next trial. Call it when `ready`."""
        self._tell_known()
        cell = self._cells[self.next_number % len(self._cells)]
        if cell:
            self._study.enqueue_trial(cell)
        drawn = self._ask()
        return {name: d.value if isinstance(d, Constant) else drawn[name] for name, d in self.space.items()}

    def repeat(self, params: Params) -> None:
        """Take the next trial to be one that was suggested earlier, with these hyperparameters.

        Those that are outside of today's space (the sweep file was changed) are left to chance: the trial counts,
        its result does not.
        """
        self._tell_known()
        known = {name: params[name] for name in self._distributions if params.get(name) in self.space[name]}
        self._study.enqueue_trial(known)
        if len(known) < len(self._distributions):
            self._outcomes[self.next_number] = None
        self._ask()

    def tell(self, number: int, values: Values | None) -> None:
        """The objectives of a trial, or None if it failed."""
        self._outcomes.setdefault(number, values)

    def _known_from_here(self) -> int:
        """The results before this number are told before the next suggestion."""
        return max(0, self.next_number - self.search.lag)

    def _tell_known(self) -> None:
        for number in range(self._told, self._known_from_here()):
            if number not in self._outcomes:
                return  # only when repeating trials of a sweep whose lag was larger
            values = self._outcomes[number]
            if values is None:
                self._study.tell(self._asked[number], state=TrialState.FAIL)
            else:
                self._study.tell(self._asked[number], values)
            self._told = number + 1

    def _ask(self) -> Params:
        # A sampler of its own for each trial: its random numbers don't depend on how often others were asked.
        chooser = self._study.sampler = sampler(self.search, f"{self.search.seed}/{self.method}/{self.next_number}")
        self._asked.append(self._study.ask(self._distributions))
        if isinstance(chooser, NSGAIISampler):
            # Optuna notes a trial's generation, and selects its parents, only when it samples: not when it is given
            # every hyperparameter. Without this, a study that repeats trials would go on otherwise.
            generation = chooser.get_trial_generation(self._study, self._study.get_trials(deepcopy=False)[-1])
            chooser.get_parent_population(self._study, generation)
        return self._asked[-1].params


def distribution(dimension: Uniform | Log | Int | Choice | Grid) -> BaseDistribution:
    """Optuna's distribution for a dimension."""
    if isinstance(dimension, Choice | Grid):
        return CategoricalDistribution(dimension.values)
    if isinstance(dimension, Int):
        return IntDistribution(int(dimension.low), int(dimension.high))
    return FloatDistribution(dimension.low, dimension.high, log=isinstance(dimension, Log))


def sampler(search: Search, key: str) -> BaseSampler:
    """Optuna's sampler, seeded by a key."""
    seed = int.from_bytes(hashlib.sha256(key.encode()).digest()[:4], "little")
    if search.sampler == "tpe":
        return TPESampler(seed=seed)
    if search.sampler == "nsga2":
        return NSGAIISampler(seed=seed)
    return RandomSampler(seed=seed)  # with sampler grid nothing is left to chance
