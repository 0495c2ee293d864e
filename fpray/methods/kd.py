"""Knowledge distillation: the outputs on the training images stay near the pre-trained model's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from fpray.data import Batch
from fpray.methods.averaging import Average, beta_shares, ema_shares, momentum_of
from fpray.methods.base import Course, TrainedMethod, TrainedParams
from fpray.methods.published import PublishedAccuracy
from fpray.model import Reference
from fpray.space import ByValue, Constant, Log

# Features lie at most 2 apart, so their squared distance is small: Mask-Fill (arXiv 2303.03052) weighs it by 30.
STRENGTHS = {"kl": Log(1e-2, 1e1), "mse_logits": Log(1e-2, 1e1), "mse_features": Log(0.3, 300.0)}
"""The range of the strength for each form of the distance."""


class KDParams(TrainedParams):
    """The weight of the distance, its form, and the temperature of `kl`."""

    strength: Annotated[float, Field(ge=0), ByValue("form", STRENGTHS)]
    """The weight of the distance, beside the cross-entropy. By default it is searched in {log: [0.01, 10]}, and for
    `mse_features` in {log: [0.3, 300]}."""
    form: Annotated[Literal["kl", "mse_logits", "mse_features"], Constant("kl")]
    """The distance: between the distributions over classes, the logits, or the features."""
    temperature: Annotated[float, Field(gt=0), Constant(1.0)]
    """The number that both models' logits are divided by, before `kl` compares them."""
    teacher: Annotated[Literal["reference", "ema", "wma"], Constant("reference")] = "reference"
    """Whose outputs are kept near: the pre-trained model's, or those of an average of the weights so far, which starts
    there: `ema` reaches back over `horizon`, `wma` weighs the first and the last steps most."""
    horizon: Annotated[float, Field(gt=0, le=1), Constant(0.1)] = 0.1
    """The steps that the teacher `ema` reaches back, as a share of the training."""


class KD(TrainedMethod[KDParams]):
    """Keeps the outputs near the teacher's on the training images (arXiv 1503.02531; 2309.06256).

        loss = CE + strength * distance
        kl:            T^2 * KL(p0 || p), p = softmax(logits / T), p0 the teacher's
        mse_logits:    mean over the classes of (logits - the teacher's)^2
        mse_features:  |z - the teacher's|^2

    The sources differ in the form: the authors' code has `kl` with T = 1, their text the squared norm of the logits'
    difference (`mse_logits` times classes), Mask-Fill (arXiv 2303.03052) `mse_features`, of masked images. The teacher
    is the reference; or an average of the weights, as in CaRot (EMA) and TRACER (WMA with Beta(.5, .5)).
    """

    name = "kd"
    Params = KDParams
    published = (PublishedAccuracy(82.07, 59.55, 4, "TRACER, arXiv 2605.29380, Table 2: static self-distillation"),)

    def __init__(self, params: KDParams, reference: Reference) -> None:
        super().__init__(params, reference)
        self.average = None if params.teacher == "reference" else Average(reference)

    def begin(self, course: Course) -> None:
        if self.average is not None:
            steps = len(course.lr_factors)
            ema = self.params.teacher == "ema"
            momentum = momentum_of(self.params.horizon, steps)
            self.average.shares = ema_shares(momentum, steps) if ema else beta_shares(0.5, steps)

    def after_step(self, lr_factor: float) -> None:
        if self.average is not None:
            self.average.update(self.classifier)

    def fixed(self, batch: Batch) -> Tensor | None:
        """The reference's features, [batch, embed_dim]; nothing where the teacher learns, too."""
        return None if self.average is not None else self.reference.classifier.features(batch["images"])

    def forward(self, batch: Batch) -> Mapping[str, Tensor]:
        features = self.classifier.features(batch["images"])
        logits = self.classifier.head(features)
        with torch.no_grad():
            teacher = self.reference.classifier if self.average is None else self.average.classifier
            known_features = self.fixed_of(batch) if self.average is None else teacher.features(batch["images"])
            known_logits = teacher.head(known_features)
        if self.params.form == "kl":
            distance = kl(logits, known_logits, self.params.temperature)
        elif self.params.form == "mse_logits":
            distance = F.mse_loss(logits, known_logits)
        else:
            distance = (features - known_features).square().sum(dim=-1).mean()
        cross_entropy = F.cross_entropy(logits, batch["labels"])
        return {"cross_entropy": cross_entropy, "distillation": self.params.strength * distance}


def kl(logits: Tensor, reference_logits: Tensor, temperature: float) -> Tensor:
    """T^2 * KL(softmax(reference / T) || softmax(logits / T)), mean over the batch; logits are [batch, classes]."""
    student = F.log_softmax(logits / temperature, dim=-1)
    teacher = F.log_softmax(reference_logits / temperature, dim=-1)
    return temperature**2 * F.kl_div(student, teacher, reduction="batchmean", log_target=True)
