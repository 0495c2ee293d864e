"""Several sweeps on one page: model sizes, data sets, before and after."""

from __future__ import annotations

from collections.abc import Sequence

from fpray.report.page.content import Content


def together(contents: Sequence[Content]) -> Content:
    """One page's content of several sweeps', each configuration and method called after its sweep.

    What compares methods stays within each sweep: images differ from one to the other, so nothing is paired across.
    """
    named = [_named(content) for content in contents]
    first = named[0]
    return first.model_copy(
        update={
            "sweep": " and ".join(content.sweep for content in contents),
            "layout": ", ".join(dict.fromkeys(content.layout for content in contents)),
            "answer": tuple(line for content in named for line in content.answer),
            "images": {split: count for content in named for split, count in content.images.items()},
            "points": tuple(point for content in named for point in content.points),
            "baseline": None,  # each has its own
            "surfaces": tuple(own for content in named for own in content.surfaces),
            "disk": ", ".join(content.disk for content in named if content.disk) or None,
            "comparisons": tuple(own for content in named for own in content.comparisons),
            "equal_id": tuple(own for content in named for own in content.equal_id),
            "sizes": {sweep: own for content in contents for sweep, own in content.sizes.items()},
            "findings": tuple(own for content in named for own in content.findings),
            "importances": tuple(own for content in named for own in content.importances),
            "budgets": tuple(own for content in named for own in content.budgets),
            "evaluations": tuple(own for content in named for own in content.evaluations),
            "costs": tuple(own for content in named for own in content.costs),
            "provenance": {key: value for content in named for key, value in content.provenance.items()},
            "sweep_file": "\n".join(f"# {content.sweep}\n{content.sweep_file}" for content in contents),
        }
    )


def _named(content: Content) -> Content:
    """The same, with the sweep's name before every other."""
    own = content.sweep
    points = tuple(
        point.model_copy(
            update={
                "name": f"{own}/{point.name}",
                "source": None if point.source is None else f"{own}/{point.source}",
                "model": own if point.model is None else f"{own}-{point.model}",
            }
        )
        for point in content.points
    )
    return content.model_copy(
        update={
            "answer": tuple(f"{own}: {line}" for line in content.answer),
            "images": {f"{own} {split}": count for split, count in content.images.items()},
            "points": points,
            "surfaces": tuple(s.model_copy(update={"method": f"{s.method}-{own}"}) for s in content.surfaces),
            "disk": None if content.disk is None else f"{content.disk} of {own}",
            "comparisons": tuple(
                c.model_copy(update={"name": f"{own}/{c.name}", "method": f"{c.method}-{own}"})
                for c in content.comparisons
            ),
            "equal_id": tuple(e.model_copy(update={"method": f"{e.method}-{own}"}) for e in content.equal_id),
            "findings": tuple(f.model_copy(update={"text": f"{own}: {f.text}"}) for f in content.findings),
            "importances": tuple(i.model_copy(update={"method": f"{i.method}-{own}"}) for i in content.importances),
            "budgets": tuple(b.model_copy(update={"method": f"{b.method}-{own}"}) for b in content.budgets),
            "evaluations": tuple(e.model_copy(update={"name": f"{own}: {e.name}"}) for e in content.evaluations),
            "costs": tuple(c.model_copy(update={"method": f"{c.method}-{own}"}) for c in content.costs),
            "provenance": {f"{own}: {key}": value for key, value in content.provenance.items()},
        }
    )
