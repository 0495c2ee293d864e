"""An exported model as ONNX, checked against the model itself."""

from __future__ import annotations

import warnings
from pathlib import Path

import torch

from fpray.errors import UserError
from fpray.export.model import load_model

FILE = "model.onnx"
TOLERANCE = 1e-4
"""The most that a logit may differ by, relative to the largest one."""
BATCH = 3
"""Images that are tried: another number than the model is traced with."""


def write_onnx(folder: Path) -> float:
    """Write `model.onnx`, from `images`, [batch, 3, height, width] preprocessed, to `logits`, [batch, classes].

    Returns:
        The largest difference of a logit, on random images.

    Raises:
        UserError: if onnx isn't installed, the model can't be expressed in it, or gives other logits there.
    """
    try:
        import onnxruntime
        import onnxscript  # noqa: F401 - which torch exports with
    except ImportError:
        raise UserError("--onnx needs packages that are not installed: pip install 'fpray[onnx]'") from None
    model = load_model(folder)
    height, width = model.image_size
    example = torch.randn(2, 3, height, width, generator=torch.Generator().manual_seed(0))
    try:
        with warnings.catch_warnings(action="ignore"):
            torch.onnx.export(
                model,
                (example,),
                folder / FILE,
                input_names=["images"],
                output_names=["logits"],
                dynamic_shapes={"images": {0: torch.export.Dim("batch")}},
                dynamo=True,
                verbose=False,
            )
    except Exception as error:  # of torch's exporter, of many kinds
        raise UserError(f"--onnx: this model can't be expressed in ONNX ({str(error).splitlines()[0]})") from error
    images = torch.randn(BATCH, 3, height, width, generator=torch.Generator().manual_seed(1))
    session = onnxruntime.InferenceSession(folder / FILE, providers=["CPUExecutionProvider"])
    (found,) = session.run(["logits"], {"images": images.numpy()})
    expected = model(images)
    difference = float((expected - torch.from_numpy(found)).abs().max())
    if difference > TOLERANCE * float(expected.abs().max()):
        raise UserError(f"--onnx: '{folder / FILE}' gives logits that differ by {difference:.1e}; don't use it")
    return difference
