"""The `augment` part of the `train` section: what is done to training images and their labels."""

from __future__ import annotations

from pydantic import Field

from fpray.model import PixelAugment


class Augment(PixelAugment):
    """Augmentation, which published recipes differ in. Defaults are WiSE-FT's recipe: open_clip's own random crop, and
    nothing else."""

    mixup: float = Field(0.0, ge=0)
    """The alpha of mixup: each step mixes its images with each other, and their labels, by a share drawn from
    Beta(alpha, alpha); 0 for none."""
    label_smoothing: float = Field(0.0, ge=0, lt=1)
    """The share of each label that is spread evenly over all classes."""

    @property
    def pixels(self) -> PixelAugment:
        """The part of it that acts on the pixels of each image by itself."""
        return PixelAugment(scale=self.scale, flip=self.flip, randaugment=self.randaugment)
