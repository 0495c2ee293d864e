"""The model that MLflow serves: from images, each a base64 text, to classes. It needs open_clip, not fpray.

MLflow keeps this file beside the model and runs it, so nothing is pickled. Of a request each row's `image` is the
bytes of an image file in base64.
"""

from __future__ import annotations

import base64
import io
import json
from pathlib import Path
from typing import Any

import mlflow
import open_clip
import pandas as pd
import torch
from mlflow.pyfunc.model import PythonModel
from PIL import Image
from safetensors.torch import load_file


class ServedModel(PythonModel):
    """An exported folder, opened when MLflow starts to serve it."""

    def load_context(self, context: Any) -> None:
        folder = Path(context.artifacts["model"])
        self.clip, self.preprocess = open_clip.create_model_from_pretrained(f"local-dir:{folder}")
        self.head = load_file(folder / "head.safetensors")
        self.classes = json.loads((folder / "classes.json").read_text())

    def predict(self, context: Any, model_input: pd.DataFrame, params: Any = None) -> pd.DataFrame:
        """The class of each row's image, with its probability."""
        images = [Image.open(io.BytesIO(base64.b64decode(image))).convert("RGB") for image in model_input["image"]]
        with torch.no_grad():
            pixels = torch.stack([self.preprocess(image) for image in images])
            features = self.clip.encode_image(pixels, normalize=True)
            found = (features @ self.head["weight"].T + self.head["bias"]).softmax(dim=-1).max(dim=-1)
        names = [self.classes[index] for index in found.indices.tolist()]
        return pd.DataFrame({"class": names, "probability": found.values.tolist()})


mlflow.models.set_model(ServedModel())
