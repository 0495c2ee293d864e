"""The tracking: MLflow's runs, kept like the records.

`open_tracker` gives the tracker that a sweep file asks for. It takes each record that has changed (`update`) and in the
end the report (`close`), or is left by a sweep with trials still to do (`leave`). A `Tracker` logs what MLflow misses
in a thread of its own: one parent run a sweep, one child a trial, each point once, however often a record comes.
Nothing that goes wrong there reaches the sweep. A `NoTracker` does nothing. `register_model` puts an exported model
into the Model Registry, where `served.py` serves it.

The only package that knows MLflow.
"""

from typing import TYPE_CHECKING

from fpray.lazily import attach
from fpray.tracking.tracker import NoTracker, Tracker, open_tracker

if TYPE_CHECKING:
    from fpray.tracking.registry import register_model

__getattr__ = attach(__name__, {"register_model": "registry"})

__all__ = ["NoTracker", "Tracker", "open_tracker", "register_model"]
