"""fpray finds, for your data and your GPUs, the CLIP fine-tuning method with the best ID/OOD trade-off."""

__version__ = "0.1.0"
