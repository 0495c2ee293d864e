"""Search: one Optuna study for each of a sweep's studies, of one or two objectives. The only module that knows Optuna.

A suggestion depends on the sweep's seed, the trial's number and the results told so far, and on nothing else. The
results told before trial n is suggested are those of the trials before n - lag: so two sweeps with the same seed
choose the same trials, whichever trial happens to end first and however often they are interrupted.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Sequence

import numpy as np
import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.exceptions import ExperimentalWarning
from optuna.importance import PedAnovaImportanceEvaluator, get_param_importances
from optuna.samplers import BaseSampler, NSGAIISampler, RandomSampler, TPESampler
from optuna.study import StudyDirection
from optuna.trial import TrialState
from scipy.stats import qmc

from fpray.config import Search
from fpray.errors import UserError, message_of
from fpray.seeds import suggestion_seed
from fpray.space import Choice, Constant, Int, Log, OneOf, Params, Range, Space, Value, grid_cells

optuna.logging.set_verbosity(logging.WARNING)

Objectives = tuple[float, ...]
"""The objectives of a trial, to maximise: accuracies on validation images in per cent, ID and OOD or ID alone."""


class Searcher:
    """The search of one study: Optuna's study, asked and told in an order that no machine's speed decides."""

    def __init__(self, study: str, space: Space, search: Search) -> None:
        self.space, self.search = space, search
        self._name = study
        self._cells = grid_cells(space)
        self._distributions = {name: distribution(d) for name, d in space.items() if not isinstance(d, Constant)}
        directions = [StudyDirection.MAXIMIZE] * len(search.objectives)
        self._study = optuna.create_study(directions=directions, sampler=RandomSampler(seed=0))
        self._asked: list[optuna.Trial] = []
        self._outcomes: dict[int, Objectives | None] = {}
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
        given = self._quasi_random() | self._cells[self.next_number % len(self._cells)]
        if given:
            self._study.enqueue_trial(given)
        drawn = self._ask()
        return {name: d.value if isinstance(d, Constant) else drawn[name] for name, d in self.space.items()}

    def replay(self, suggestion: Params) -> None:
        """Take this suggestion, which was made earlier, for the next one.

        Values outside of today's space (the sweep file was changed) are left to chance: the trial counts, its result
        does not.
        """
        self._tell_known()
        known = {
            name: suggestion[name]
            for name in self._distributions
            if name in suggestion and suggestion[name] in self.space[name]
        }
        self._study.enqueue_trial(known)
        if len(known) < len(self._distributions):
            self._outcomes[self.next_number] = None
        self._ask()

    def tell(self, number: int, values: Objectives | None) -> None:
        """The objectives of a trial, or None if it failed."""
        self._outcomes.setdefault(number, values)

    def _quasi_random(self) -> Params:
        """The next trial's point of a scrambled Sobol sequence, while trials are such points; else nothing."""
        always, start = self.search.sampler == "qmc", self.search.sampler in ("tpe", "nsga2")
        if not self._distributions or not (always or (start and self.next_number < self.search.startup)):
            return {}
        seed = suggestion_seed(self.search.seed, self._name, 0)
        sequence = qmc.Sobol(len(self._distributions), rng=np.random.default_rng(seed))
        point = sequence.random_base2(self.next_number.bit_length())[self.next_number].tolist()
        return {name: self.space[name].at(place) for name, place in zip(self._distributions, point, strict=True)}

    def _known_from_here(self) -> int:
        """The results before this number are told before the next suggestion."""
        return max(0, self.next_number - self.search.lag)

    def _tell_known(self) -> None:
        for number in range(self._told, self._known_from_here()):
            if number not in self._outcomes:
                return  # only when replaying trials of a sweep whose lag was larger
            values = self._outcomes[number]
            if values is None:
                self._study.tell(self._asked[number], state=TrialState.FAIL)
            else:
                self._study.tell(self._asked[number], values)
            self._told = number + 1

    def _ask(self) -> Params:
        # A sampler of its own for each trial: its random numbers don't depend on how often others were asked.
        seed = suggestion_seed(self.search.seed, self._name, self.next_number)
        chooser = self._study.sampler = sampler(self.search, seed)
        self._asked.append(self._study.ask(self._distributions))
        if isinstance(chooser, NSGAIISampler):
            # Optuna notes a trial's generation, and selects its parents, only when it samples: not when it is given
            # every hyperparameter. Without this, a study that replays trials would go on otherwise.
            generation = chooser.get_trial_generation(self._study, self._study.get_trials(deepcopy=False)[-1])
            chooser.get_parent_population(self._study, generation)
        return self._asked[-1].params


def drawn(space: Space, search: Search, study: str, number: int) -> Params:
    """Values for some hyperparameters of a trial whose own don't fit the sweep file any more.

    They are by chance: how many results there are when such a trial is tried again depends on when that is.
    """
    return Searcher(f"{study}-{number:03d} anew", space, search).suggest()


def write_study(
    name: str,
    space: Space,
    trials: Sequence[tuple[Params, Objectives | None]],
    objectives: Sequence[str],
    storage: str,
) -> None:
    """Write a study with its trials into an Optuna storage, so that Optuna's own tools open it.

    Args:
        trials: each one's hyperparameters and objectives, None if it failed. Values outside of the space are kept: the
            sweep file was changed after they had been drawn.
        objectives: their names.
        storage: an address as Optuna takes it, `sqlite:///studies.db`.

    Raises:
        UserError: if the storage has a study of that name, or can't be opened.
    """
    try:
        directions = [StudyDirection.MAXIMIZE] * len(objectives)
        study = optuna.create_study(study_name=name, storage=storage, directions=directions)
        with warnings.catch_warnings(category=ExperimentalWarning, action="ignore"):
            study.set_metric_names(list(objectives))
        searched = [key for key, dimension in space.items() if not isinstance(dimension, Constant)]
        distributions = {
            key: distribution(_with(space[key], [p[key] for p, _ in trials if key in p])) for key in searched
        }
        for params, values in trials:
            own = {key: params[key] for key in searched if key in params}
            state = TrialState.FAIL if values is None else TrialState.COMPLETE
            known = {key: distributions[key] for key in own}
            study.add_trial(optuna.trial.create_trial(params=own, distributions=known, values=values, state=state))
    except optuna.exceptions.DuplicatedStudyError:
        raise UserError(f"'{storage}' has a study '{name}' already; give another storage") from None
    except Exception as error:  # SQLAlchemy's, of many kinds
        raise UserError(f"can't write studies to '{storage}': {message_of(error)}") from None


def importances(space: Space, trials: Sequence[tuple[Params, float]], times: int = 30) -> dict[str, list[float]]:
    """How much of an accuracy's variation each searched hyperparameter makes, by PED-ANOVA (Watanabe et al. 2023): the
    shares, which add up to 1, of resamples of the trials; the first are of all of them.

    Args:
        trials: each one's hyperparameters and accuracy.
    """
    searched = {key: _with(d, [p[key] for p, _ in trials]) for key, d in space.items() if not isinstance(d, Constant)}
    distributions = {key: distribution(dimension) for key, dimension in searched.items()}
    every = [
        optuna.trial.create_trial(
            params={key: params[key] for key in searched}, distributions=distributions, value=value
        )
        for params, value in trials
    ]
    rng, found = np.random.default_rng(0), {key: list[float]() for key in searched}
    rows = [list(range(len(every))), *(rng.integers(len(every), size=len(every)).tolist() for _ in range(times))]
    for own in rows:
        study = optuna.create_study(direction="maximize")
        study.add_trials([every[row] for row in own])
        with warnings.catch_warnings(category=ExperimentalWarning, action="ignore"):
            shares = get_param_importances(study, evaluator=PedAnovaImportanceEvaluator())
        for key in searched:
            found[key].append(float(shares.get(key, 0.0)))
    return found


def _with(dimension: Range | OneOf | Constant, values: Sequence[Value]) -> Range | OneOf:
    """A dimension that has some values, too."""
    numbers = [value for value in values if isinstance(value, int | float)]
    if isinstance(dimension, Range):
        return type(dimension)(min([dimension.low, *numbers]), max([dimension.high, *numbers]))
    listed = dimension.values if isinstance(dimension, OneOf) else ()
    return Choice(tuple(dict.fromkeys([*listed, *values])))


def distribution(dimension: Range | OneOf) -> BaseDistribution:
    """Optuna's distribution for a dimension."""
    if isinstance(dimension, OneOf):
        return CategoricalDistribution(dimension.values)
    if isinstance(dimension, Int):
        return IntDistribution(int(dimension.low), int(dimension.high))
    return FloatDistribution(dimension.low, dimension.high, log=isinstance(dimension, Log))


def sampler(search: Search, seed: int) -> BaseSampler:
    """Optuna's sampler, with a seed of 32 bits."""
    if search.sampler == "tpe":
        return TPESampler(seed=seed, n_startup_trials=1) if search.startup else TPESampler(seed=seed)
    if search.sampler == "nsga2":
        return NSGAIISampler(seed=seed)
    return RandomSampler(seed=seed)  # with sampler grid nothing is left to chance
