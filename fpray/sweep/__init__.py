"""A sweep, from its file to its report: `python -m fpray.sweep [FILE]`.

`sweep_for_its_folder` reads its file, with the defaults that its folder was started with. `run_sweep` makes a sweep's
records complete: it holds the folder, checks what could go wrong, settles the sweep file in the folder, runs the trials
that are left, tells how they go on, and reports in the end. Asked to stop, it leaves
what there is; the same command goes on from there. `evaluate_sweep` evaluates finished trials on other data.

Nothing is imported here until it is asked for: help needs no torch.
"""

from typing import TYPE_CHECKING

from fpray.lazily import attach

if TYPE_CHECKING:
    from fpray.sweep.evaluating import evaluate_sweep
    from fpray.sweep.reading import sweep_for_its_folder
    from fpray.sweep.run import run_sweep

__getattr__ = attach(__name__, {"evaluate_sweep": "evaluating", "run_sweep": "run", "sweep_for_its_folder": "reading"})

__all__ = ["evaluate_sweep", "run_sweep", "sweep_for_its_folder"]
