"""What is changed in a sweep's folder from outside its command: the request to stop, and removals."""

from __future__ import annotations

from fpray.records import SweepFolder, held, holder
from fpray.redaction import hidden
from fpray.results.finding import find_trial
from fpray.storage import remove_folder


def ask_to_stop(folder: SweepFolder) -> str:
    """Ask the command that runs a sweep to stop.

    Returns:
        What becomes of it, in a sentence.
    """
    by = holder(folder.path)
    if by is None:
        return f"nothing runs '{hidden(str(folder.path))}'"
    folder.stop.make()
    return f"asked {by} to stop: trials end the epoch they are in, and the same command goes on from there"


def delete_trial(folder: SweepFolder, trial_id: str) -> str:
    """Remove a trial's folder.

    Raises:
        UserError: if there is no such trial, or a command runs the sweep.
    """
    trial = find_trial(folder, trial_id).trial
    with held(folder.path):
        remove_folder(folder.records.trial_folder(trial.id))
    return f"deleted {trial.id}; the sweep's command makes it again"


def delete_sweep(folder: SweepFolder) -> str:
    """Remove a sweep's folder. Its runs in MLflow stay.

    Raises:
        UserError: if a command runs the sweep.
    """
    with held(folder.path):
        for part in ("trials", "starts", "report", "nodes"):
            remove_folder(folder.path / part)
        folder.sweep_file.unlink(missing_ok=True)
    remove_folder(folder.path)
    return f"deleted '{hidden(str(folder.path))}'; its runs in MLflow are still there"
