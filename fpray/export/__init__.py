"""A finished trial's model, taken away: as a folder that plain open_clip loads, as ONNX, in MLflow's Model Registry.

`by_rule` or `by_trial` choose what to take, `write_model` writes the folder, `load_model` opens it as an
`ExportedModel`, which labels images. The weights are checked against nothing but themselves: what the folder says of
accuracies is what the sweep's records say.
"""

from typing import TYPE_CHECKING

from fpray.lazily import attach

if TYPE_CHECKING:
    from fpray.export.choosing import Chosen, by_rule, by_trial
    from fpray.export.folder import write_model
    from fpray.export.model import ExportedModel, Label, load_model

__getattr__ = attach(
    __name__,
    {
        **dict.fromkeys(("Chosen", "by_rule", "by_trial"), "choosing"),
        "write_model": "folder",
        **dict.fromkeys(("ExportedModel", "Label", "load_model"), "model"),
    },
)

__all__ = ["Chosen", "ExportedModel", "Label", "by_rule", "by_trial", "load_model", "write_model"]
