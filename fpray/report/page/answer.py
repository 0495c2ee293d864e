"""The answer in plain words: which method, for this data, by one named rule; or what would decide it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from fpray.config import Sweep, labels_of, words_of
from fpray.report.page.compared import Numbers
from fpray.report.pareto import Configuration
from fpray.report.picks import deciding_rule
from fpray.report.report import Report
from fpray.statistics import Estimate, holm, verdict

OUT_OF_REACH = 100
"""Times as many repeats as there are, above which no number of them is worth naming."""
TOO_CLOSE = "They are too close for any number of repeats within reach: take what costs less."
AIMS = {"id_val": "id", "knee": "mean"}
"""What each rule wants to be high; the others OOD accuracy."""
WORDS = {"id": "ID accuracy", "mean": "mean of ID and OOD accuracy", "ood": "OOD accuracy"}


def answer(sweep: Sweep, report: Report, numbers: Numbers) -> tuple[str, ...]:
    """Paragraphs: what the deciding rule picks of all methods, how sure that is, and what would make it surer."""
    rule = deciding_rule(sweep.report.rules)
    picked = {m.name: own for m in report.methods if (own := m.picks.get(rule)) is not None}
    if not picked:
        return (f"Nothing to say yet: no trial has finished that the rule {rule} would pick.",)
    aim = AIMS.get(rule, "ood")
    first, *others = sorted(picked, key=lambda name: _validated(aim, picked[name]), reverse=True)
    best = picked[first]
    said = (
        f"{first}: by the rule {rule} ({words_of(rule)} on validation images; it sees {labels_of(rule)} labels) it has "
        f"the best configuration of all methods, {best.name}, with {_reached(best, numbers)}."
    )
    if ties := [name for name in others if _validated(aim, picked[name]) == _validated(aim, best)]:
        said += f" On the validation images {' and '.join(ties)} {'reaches' if len(ties) == 1 else 'reach'} as much."
    taken = f"`fpray export {sweep.name} --rule {rule} --to DIR` takes {best.name} away."
    if not others:
        return said, taken
    known = numbers.differences((best.name, picked[name].name) for name in others)
    differences = {name: known[key] for name in others if (key := f"{aim} {best.name} {picked[name].name}") in known}
    return said, _how_sure(sweep, aim, differences), taken


def _how_sure(sweep: Sweep, aim: str, differences: Mapping[str, Estimate]) -> str:
    """Whether the best is above the others on the test images.

    Args:
        differences: how far, by the other methods' names; none where nothing is known of the images.
    """
    if not differences:
        return "Whether that is more than chance can't be said: what each trial said of each image is not there."
    corrected = holm([own.p for own in differences.values()])
    verdicts = {
        name: verdict(own, p, sweep.report.margin)
        for (name, own), p in zip(differences.items(), corrected, strict=True)
    }
    equal = [name for name, found in verdicts.items() if found == "equivalent"]
    unsure = [name for name, found in verdicts.items() if found not in ("seen", "equivalent")]
    if not unsure and not equal:
        nearest = min(differences, key=lambda name: differences[name].value)
        return (
            f"On the test images its {WORDS[aim]} is above every other method's; the nearest is {nearest}, "
            f"{_shown(differences[nearest])} points below."
        )
    said = []
    if equal:
        said.append(
            f"On the test images its {WORDS[aim]} is equivalent, by a margin of {sweep.report.margin:g}, to that of "
            f"{_listed(equal, differences)}: take what costs less."
        )
    if unsure:
        listed = _listed(unsure, differences)
        said.append(f"Undecided: on the test images its {WORDS[aim]} is not surely above that of {listed}.")
        draws, seeds = len(sweep.data.seeds), len(sweep.train.seeds)
        said.append(what_would_decide(draws, seeds, [differences[name] for name in unsure]))
    return " ".join(said)


def _listed(names: Sequence[str], differences: Mapping[str, Estimate]) -> str:
    return ", ".join(f"{name} ({_shown(differences[name])} points)" for name in names)


def what_would_decide(draws: int, seeds: int, unsure: Sequence[Estimate]) -> str:
    """As many more draws, seeds or images as would bring the intervals down to the differences.

    Args:
        draws: of the data, over which the differences are uncertain where there are several.
        seeds: of the training, over which they are together with the images of a single draw.
        unsure: the differences.
    """
    own = max(unsure, key=_times_too_wide)
    if draws > 1:
        return _as_many(own, draws, "draws of the data (data.seeds)")
    # By Welch and Satterthwaite the freedom is seeds - 1, over the square of their share of the variance.
    of_seeds = math.sqrt((seeds - 1) / own.freedom)
    decide = _as_many(own, seeds, "training seeds (train.seeds)") if of_seeds > 0.5 else _as_many_images(own)
    if decide == TOO_CLOSE:
        return decide
    return (
        f"{decide} Several draws (data.seeds: [0, 1, 2, 3, 4]) tell what holds for others, and more configurations "
        "whether each method was searched enough."
    )


def _times_too_wide(own: Estimate) -> float:
    return own.half_width() / max(abs(own.value), 1e-9)


def _as_many_images(own: Estimate) -> str:
    times = math.ceil(_times_too_wide(own) ** 2)
    if times > OUT_OF_REACH:
        return TOO_CLOSE
    return f"About {max(2, times)} times as many test images would decide it for these trials."


def _as_many(own: Estimate, have: int, of_what: str) -> str:
    wanted = own.repeats_that_decide(have, OUT_OF_REACH * have)
    return TOO_CLOSE if wanted is None else f"About {wanted} {of_what} would decide it; there are {have}."


def _validated(aim: str, own: Configuration) -> float:
    return {"id": own.val.id, "mean": own.val.id + own.val.ood, "ood": own.val.ood}[aim]


def _reached(own: Configuration, numbers: Numbers) -> str:
    halves = numbers.halves(own.name)
    known = {"ID": (own.test.id, halves.get("id")), "OOD": (own.test.ood, halves.get("ood"))}
    said = [f"{part} {v:.1f}{'' if half is None else f' ± {half:.1f}'} %" for part, (v, half) in known.items()]
    return f"test {' and '.join(said)}"


def _shown(estimate: Estimate) -> str:
    return f"{estimate.value:.1f} ± {estimate.half_width():.1f}"
