"""The differences of a table: each with its interval, and with a verdict that minds all others of the table."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import BaseModel, ConfigDict

from fpray.statistics import Estimate, Verdict, holm, verdict


class Difference(BaseModel):
    """A difference of accuracies in points; its p-value is corrected for all differences of the table."""

    model_config = ConfigDict(frozen=True)

    value: float
    half: float
    p: float
    verdict: Verdict


def differences_of(estimates: Mapping[str, Estimate], margin: float) -> dict[str, Difference]:
    """The differences of one table, by the same names.

    Args:
        margin: points up to which a difference is none.
    """
    corrected = holm([own.p for own in estimates.values()])
    return {
        name: Difference(value=own.value, half=own.half_width(), p=p, verdict=verdict(own, p, margin))
        for (name, own), p in zip(estimates.items(), corrected, strict=True)
    }
