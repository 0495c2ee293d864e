"""The commands `fpray export` and `fpray predict`."""

from __future__ import annotations

import csv
import sys
from pathlib import Path
from typing import Annotated

import typer

from fpray.command import told_in_a_sentence
from fpray.errors import UserError


def export(
    name: Annotated[str, typer.Argument(help="A sweep's name, folder, address or sweep file.")],
    *,
    to: Annotated[Path, typer.Option(help="The folder to write, new or empty.")],
    rule: Annotated[
        str | None, typer.Option(help="Take what a rule picks: id_val, ood_val, knee, oracle, min_id=NUMBER.")
    ] = None,
    method: Annotated[str | None, typer.Option(help="With --rule: of one method alone.")] = None,
    trial: Annotated[str | None, typer.Option(help="Take a trial by its id.")] = None,
    alpha: Annotated[
        float | None, typer.Option(help="With --trial: average with the pre-trained weights; 1 is the trial as it is.")
    ] = None,
    onnx: Annotated[bool, typer.Option("--onnx", help="Write model.onnx too, checked against the model.")] = False,
    register: Annotated[
        str | None, typer.Option(metavar="NAME[@ALIAS]", help="Put it into MLflow's Model Registry.")
    ] = None,
) -> None:
    """Take a finished trial's model away: a folder that open_clip loads, with head, classes and model card."""
    with told_in_a_sentence():
        if (rule is None) == (trial is None):
            raise UserError("which model? Say --rule knee, or another rule, or --trial ID")
        if (method is not None and rule is None) or (alpha is not None and trial is None):
            raise UserError("--method goes with --rule, and --alpha with --trial")
        from fpray.config import checked_rule
        from fpray.export.choosing import by_rule, by_trial
        from fpray.export.folder import require_new, write_model
        from fpray.results import load

        require_new(to)
        if rule is not None:
            try:
                checked_rule(rule)
            except ValueError as error:
                raise UserError(f"--rule: {error}") from None
        results = load(name)
        chosen = by_rule(results, rule, method) if rule is not None else by_trial(results, str(trial), alpha)
        remark = write_model(results, chosen, to)
        print(f"{chosen.name}, {chosen.reason}")
        if remark is not None:
            print(f"{chosen.record.trial.id} {remark}")
        if onnx:
            from fpray.export.onnx import write_onnx

            print(f"model.onnx differs by {write_onnx(to):.1e} at most in a logit")
        if register is not None:
            from fpray.tracking import register_model

            storage = results.folder.parent
            print(register_model(results.sweep, storage, to, chosen.name, chosen.reason, register))
        print(f"{to}: README.md says what it is and how to load it")


def predict(
    folder: Annotated[Path, typer.Argument(help="A folder that `fpray export` wrote.")],
    images: Annotated[list[Path], typer.Argument(help="Image files, or folders of them.")],
    *,
    batch_size: Annotated[int, typer.Option(min=1, help="Images in memory at a time.")] = 64,
) -> None:
    """Label images: a line of CSV for each, with its class and the probability of that.

    Exit code 1: some images can't be read; they are named, and the others are labelled. Exit code 2: a path isn't
    there; nothing is labelled.
    """
    with told_in_a_sentence():
        from fpray.export.model import load_model
        from fpray.export.reading import ReadableImages

        found = ReadableImages(images)  # first: what isn't there is told at once
        model = load_model(folder)
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerow(["image", "class", "probability"])
        for label in model.label(found, batch_size):
            writer.writerow([found.labelled(), label.name, f"{label.probability:.6f}"])
    if found.unreadable:
        raise typer.Exit(1)
