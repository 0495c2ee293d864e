"""The `train` section: the training of a trial, the same for all methods but for what they search."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import torch
from pydantic import Field, WithJsonSchema, field_validator

from fpray.config.augment import Augment
from fpray.config.dimensions import dimension_schema
from fpray.config.methods import within
from fpray.config.resources import AutoOrFrom1
from fpray.methods import TrainedParams
from fpray.section import Section, Seeds
from fpray.space import Dimension

LEARNING_RATE = dimension_schema({"type": "number", "exclusiveMinimum": 0})


class Train(Section):
    """The training of a trial. Defaults are WiSE-FT's recipe (github.com/mlfoundations/wise-ft)."""

    epochs: int = Field(10, ge=1)
    """How often a trial sees the training images."""
    batch_size: AutoOrFrom1 = 512
    """Images in a step, over all workers of the trial; `auto`: the largest power of two for each that fits its GPU."""
    accumulate: int = Field(1, ge=1)
    """In how many parts, one after another, a worker computes its share of a batch: the same gradient, less memory."""
    lr: Annotated[Dimension, within(TrainedParams.model_fields["lr"]), WithJsonSchema(LEARNING_RATE)] | None = None
    """The learning rate of the methods that don't set their own."""
    weight_decay: float = Field(0.1, ge=0)
    """AdamW's decoupled weight decay."""
    weight_decay_on: Literal["all", "matrices"] = "all"
    """The weights that decay; `matrices` spares norms and biases, as open_clip's own training does."""
    warmup_steps: int = Field(500, ge=0)
    """The steps in which the learning rate rises from 0, at most a tenth of a trial's."""
    schedule: Literal["cosine", "constant"] = "cosine"
    """The learning rate after the warm-up: falling to 0 along a cosine, or constant."""
    augment: Augment = Augment()
    """What is done to training images and their labels, the same for all methods; but `linear_probe` trains on features
    of the plain images, so that mixup mixes those, and `scale`, `flip` and `randaugment` do nothing there."""
    clip_grad_norm: float | None = Field(1.0, gt=0)
    """The largest norm of a step's gradient, which is scaled down to it; null for any."""
    precision: Literal["fp32", "tf32", "bf16"] = "fp32"
    """The type to compute in; weights are fp32 always, and with bf16 the forward pass is autocast, the rest tf32."""
    gradient_checkpointing: bool = False
    """Compute a block's activations once more in the backward pass instead of keeping them."""
    compile: bool | Literal["auto"] = "auto"
    """Let torch.compile make the image encoder faster; the first step then takes a minute. `auto`: on a GPU, where a
    trial that trains takes ten minutes or more without it."""
    deterministic: bool = False
    """Let torch take algorithms that give the same bits each time, which on a GPU are slower; on a CPU all do."""
    validate_every: int = Field(1, ge=1)
    """How many epochs lie between two looks at the validation images; after the last epoch there is one always."""
    checkpoint_seconds: float = Field(120, ge=0)
    """A trial's checkpoint is written after an epoch that ends so long after the last one, and when it is interrupted:
    a trial that is killed does at most the epoch it was in again, or so many seconds where epochs are shorter."""
    alphas: int = Field(11, ge=0, le=101)
    """The points of the curve that each trained trial records: its validation accuracy by WiSE-FT's alpha, at so many
    alphas evenly spaced from 0 (the pre-trained weights) to 1 (the trained ones); 0 for no curve."""
    seeds: Seeds = (0,)
    """The seeds of the training: each configuration is trained with every one, and reported by the mean."""

    @property
    def compiles(self) -> bool:
        """Whether trials compile; not while `auto` is not settled."""
        return self.compile is True

    def validates_after(self, epoch: int) -> bool:
        """Whether a trial evaluates its validation images after an epoch, counted from 1."""
        return epoch % self.validate_every == 0 or epoch == self.epochs

    @property
    def validations(self) -> int:
        """How often a trial evaluates its validation images."""
        return sum(self.validates_after(epoch) for epoch in range(1, self.epochs + 1))

    @property
    def autocast(self) -> torch.dtype | None:
        """The type that the forward pass computes in; None for the weights' own, fp32."""
        return torch.bfloat16 if self.precision == "bf16" else None

    @field_validator("alphas")
    @classmethod
    def _both_ends(cls, alphas: int) -> int:
        if alphas == 1:
            raise ValueError("a curve has two ends, so give at least 2, or 0 for none")
        return alphas


def train_with_todays_keys(written: Any) -> Any:
    """A resolved section with the keys that it got since; the default of such a key is what was so before."""
    try:
        return Train.model_validate(written).model_dump(mode="json")
    except ValueError:  # pydantic's too: what is wrong is found by comparison
        return written
