"""The contract of a fine-tuning method: hyperparameters, losses, and the classifier that it leaves behind.

A new method is one module that defines one subclass of `Method` with a `name`: in this folder, in a package of its
own (an entry point in the group `fpray.methods`), or in a file. Mostly it is a `TrainedMethod`, which inherits full
fine-tuning and changes one thing of it. `fpray.testing.MethodConformance` tests most of what is asked here.
"""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, ClassVar, Generic, Literal, Protocol, Self, TypeVar, cast

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn

from fpray.data import Batch, Items, Split
from fpray.methods.published import PublishedAccuracy
from fpray.model import Classifier, LoadedClip, Reference
from fpray.space import IfGiven, Log, Space, Value


class Hyperparameters(BaseModel):
    """A method's hyperparameters: each field's type and bounds, its default search dimension beside them, and below
    it the sentence that `fpray schema` says of it."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class TrainedParams(Hyperparameters):
    """Hyperparameters of every method that trains: the loop needs the learning rate."""

    # AdamW on CLIP ViT-B/16: 1e-5 is better than 3e-5 on both axes (methods' survey: TRACER vs. WiSE-FT recipe).
    lr: Annotated[float, Field(gt=0), Log(3e-6, 3e-5)]
    """The learning rate of encoder and head; `train.lr` where that is given."""
    weight_decay: Annotated[float | None, Field(ge=0), IfGiven()] = None
    """AdamW's decoupled weight decay; without it, `train.weight_decay`."""
    epochs: Annotated[int | None, Field(ge=1), IfGiven()] = None
    """The epochs of a training, the simplest protection of all; without it, `train.epochs`."""
    head_lr: Annotated[float | None, Field(gt=0), IfGiven()] = None
    """The learning rate of the head; without it, `lr`."""
    head_weight_decay: Annotated[float | None, Field(ge=0), IfGiven()] = None
    """The weight decay of the head; without it, `weight_decay`."""


@dataclass(frozen=True)
class Group:
    """Weights that are trained alike."""

    weights: Sequence[nn.Parameter]
    lr: float
    """The peak of their learning rate."""
    weight_decay: float | None
    """AdamW's decoupled weight decay; None for `train.weight_decay`."""


@dataclass(frozen=True)
class Course:
    """What is known of a training before its first step."""

    lr_factors: Sequence[float]
    """The learning rate of each step, as a share of its peak."""
    clip_grad_norm: float | None
    """The largest norm of a step's gradient; None for any."""


class Bench(Protocol):
    """One fixed half of the ID validation images, with which a method may judge and learn; picks see the other half.

    Each question is a sign of life. Several workers get the same answers.
    """

    room: int
    """The images of which a gradient may be taken at a time: as many as a step of training takes on a worker."""

    def accuracy(self, classifier: Classifier) -> float:
        """The share of the images that a classifier, in `eval` mode, gets right."""

    def batches(self, number: int, batch_size: int) -> Iterator[Batch]:
        """So many batches of images as for evaluation, on the device, in a random order that is always the same, as
        often as it takes: `images`, [batch, 3, height, width], and `labels`, [batch]."""


Takes = Literal["one", "pair", "best", "all"]
P = TypeVar("P", bound=Hyperparameters)
T = TypeVar("T", bound=TrainedParams)


class Method(nn.Module, ABC, Generic[P]):
    """One way to get from the reference to a fine-tuned classifier.

    The reference is shared by all trials in a process: a method copies of it whatever it changes.
    """

    name: ClassVar[str]
    """Its name in sweep files and records: small letters, digits and _."""
    Params: ClassVar[type[Hyperparameters]]
    """The class of its hyperparameters, the same as in `Method[...]`."""
    default_trials: ClassVar[int] = 8
    """The number of trials that it gets where the sweep file doesn't say."""
    builds_on: ClassVar[tuple[str, ...] | None] = None
    """The methods whose trials it builds on where the sweep file doesn't say; None for one that builds on none."""
    takes: ClassVar[Takes] = "one"
    """Which of those methods' configurations a trial builds on, and with which seed:
    - `one`: one that is searched, with the trial's own seed;
    - `pair`: the same, and that configuration with the next of `train.seeds` (after the last one, the first);
    - `best`: the one with the best first objective;
    - `all`: all that have finished, those with the best first objective first."""
    learns_from_validation: ClassVar[bool] = False
    """Whether `finish` does something with the bench: the half of the ID validation images that it has does not count
    for the method."""
    is_source: ClassVar[bool] = False
    """Whether another method can build on its trials."""
    needs: ClassVar[str] = ""
    """What it needs beside the training images and the trials that it builds on, for docs/methods.md."""
    published: ClassVar[tuple[PublishedAccuracy, ...]] = ()
    """What was published of it, what is most like its defaults first, for docs/methods.md."""

    params: P

    def __init_subclass__(cls) -> None:
        """
        Raises:
            TypeError: if a method has a name and no class of hyperparameters.
        """
        super().__init_subclass__()
        if "name" in vars(cls) and not hasattr(cls, "Params"):
            raise TypeError(f"the method '{cls.name}' has no Params; write Params = ... beside its name")

    def __init__(self, params: P, reference: Reference) -> None:
        super().__init__()
        self.params = params
        self.reference = reference

    @classmethod
    def make(cls, params: Mapping[str, Value], reference: Reference) -> Self:
        """The method with these hyperparameters.

        Raises:
            ValidationError: if one is missing, unknown or out of bounds.
        """
        return cls(cast(P, cls.Params.model_validate(params)), reference)

    @classmethod
    def check(cls, loaded: LoadedClip, space: Space, classes: Sequence[str]) -> None:
        """Find out before any trial whether the method can be applied to a model with these search dimensions.

        Args:
            classes: the names of the data's classes.

        Raises:
            UserError: if it can't; by default it always can.
        """

    @classmethod
    def replays(cls, space: Space) -> Literal["images", "pairs"] | None:
        """What of `data.rehearsal` its training takes with these search dimensions, which must be there before any
        trial: images, or pairs of images and captions; by default nothing."""
        return None

    def take_sources(self, weights: Sequence[Mapping[str, Tensor]]) -> None:
        """Receive the weights of the trials that it builds on (see `fpray.model.weights_of`), in the trial's order.

        It is called before anything else; a method that builds on none is not asked.
        """

    def finish(self, bench: Bench) -> None:
        """Do something once, when training has ended or the sources are there, before `plain` is asked for: by default
        nothing. A method that does `learns_from_validation`."""

    @abstractmethod
    def plain(self) -> Classifier:
        """The plain encoder and head that this method leaves behind, under the reference's own keys."""


class DerivedMethod(Method[P]):
    """A method that trains nothing, but makes its classifier of other trials' weights."""

    sources: Sequence[Mapping[str, Tensor]]

    def take_sources(self, weights: Sequence[Mapping[str, Tensor]]) -> None:
        self.sources = weights


class TrainedMethod(Method[T]):
    """A method that trains: here a copy of the reference, encoder and head, by cross-entropy.

    The loop relies on this:
    - Weights that require a gradient are trained, and no others; the losses must give each of them one, since several
      workers wait for it. A method that freezes some does so in `__init__`.
    - A checkpoint keeps the weights that require a gradient, and every buffer. So what a step changes and a resumed
      trial needs (an average of weights, an optimiser's state of its own) is registered as a buffer. With several
      workers buffers become the main worker's after each epoch.
    - `train()` is called before each epoch and switches every submodule. A frozen teacher that is one would be
      switched too: the reference's classifier isn't, another is kept in `eval` mode by overriding `train`.
    """

    is_source = True
    compares_images: ClassVar[bool] = False
    """Whether a loss compares the images of a batch with each other: `train.accumulate` can't cut it then, and several
    workers must look at each other's images."""
    classifier: Classifier
    """What is trained."""

    def __init__(self, params: T, reference: Reference) -> None:
        super().__init__(params, reference)
        self.classifier = copy.deepcopy(reference.classifier).requires_grad_(True)

    def groups(self) -> Iterable[Group]:
        """The weights that require a gradient, each in one group: by default the head's, and all others."""
        params, head = self.params, list(self.classifier.head.parameters())
        in_head = {id(weight) for weight in head}
        others = [w for w in self.parameters() if id(w) not in in_head]
        head_decay = params.weight_decay if params.head_weight_decay is None else params.head_weight_decay
        for group in (
            Group(others, params.lr, params.weight_decay),
            Group(head, params.head_lr or params.lr, head_decay),
        ):
            yield replace(group, weights=[weight for weight in group.weights if weight.requires_grad])

    @classmethod
    def compares(cls, space: Space) -> bool:
        """Whether it compares images with these search dimensions, see `compares_images`."""
        return cls.compares_images

    def begin(self, course: Course) -> None:
        """Learn, before the first step, what training lies ahead."""

    def implied(self) -> Mapping[str, float]:
        """What the hyperparameters amount to in the training that lay ahead, to be recorded; by default nothing."""
        return {}

    def training_data(self, split: Split) -> Items:
        """The items of an epoch, mappings of tensors: by default the split's augmented images, with their labels.

        More keys may be added; each value of a batch has the images along its first dimension. With mixup every value
        in floating point is mixed as the images are.
        """
        return self.reference.augmented(split)

    def replayed_data(self) -> Items | None:
        """The items of which each step gets a batch beside the training images, in an order of their own and as often
        as it takes: those of `Reference.replayed` or `replayed_pairs`; by default none.

        `forward` gets both, in batches of different sizes. The keys of these start with `replayed`: no mixup is done.
        """
        return None

    def fixed(self, batch: Batch) -> Tensor | None:
        """What the losses need of each image that neither training nor a hyperparameter changes, [batch, ...], such as
        the reference's features; by default nothing. It is computed once for all trials that draw the same images, or
        in each step where mixup makes others of them.

        Args:
            batch: what `forward` gets.
        """
        return None

    @torch.no_grad()
    def fixed_of(self, batch: Batch) -> Tensor:
        """What is fixed of a batch's images, for `forward`: as another trial has computed it, or computed now."""
        known = batch["fixed"] if "fixed" in batch else self.fixed(batch)
        if known is None:
            raise TypeError(f"the method '{self.name}' has nothing fixed; write fixed()")
        return known

    def forward(self, batch: Batch) -> Mapping[str, Tensor]:
        """Named losses of one batch; their sum is what is minimised (plus the penalty, see `add_penalty`).

        Each loss is a scalar and a mean over the batch's images, since a batch is cut in parts (`train.accumulate`) and
        shared by workers; or, where the method `compares_images`, over those of all workers.

        Args:
            batch: what `training_data` gives, stacked: `images`, [batch, 3, height, width], and `labels`, [batch]; with
                mixup or label smoothing these are probabilities, [batch, classes]. Cross-entropy takes both. And a
                batch of `replayed_data`, such as `replayed`, [replayed, 3, height, width].
        """
        return {"cross_entropy": nn.functional.cross_entropy(self.classifier(batch["images"]), batch["labels"])}

    def add_penalty(self) -> None:
        """Add the gradient of a penalty on the weights, if there is one, to the gradients of the losses."""

    def after_step(self, lr_factor: float) -> None:
        """Act on the weights after an optimiser step, for example project them.

        Args:
            lr_factor: the learning rate of the step, as a share of its peak.
        """

    def current(self) -> Classifier:
        """The classifier to evaluate on validation images after an epoch: by default the one that is trained."""
        return self.classifier

    def plain(self) -> Classifier:
        return self.classifier
