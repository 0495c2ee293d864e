"""The keys in MLflow: today's, and those of sweeps that an earlier version began."""

from __future__ import annotations

from fpray.tracking.names import EarlierNames, Names


def test_todays() -> None:
    names = Names()
    assert names.param("wise_ft", "alpha") == "wise_ft.alpha" != names.param("lora", "alpha")
    keys = ("id/val/top1", "ood/val/top1", "id/test/top1", "ood/test/top1", "ood/sketch/test/top1")
    assert [names.accuracy(key) for key in keys] == ["val/id", "val/ood", "test/id", "test/ood", "test/ood/sketch"]


def test_earlier_ones() -> None:
    assert EarlierNames().param("lora", "alpha") == "alpha"
    assert EarlierNames().accuracy("ood/val/top1") == "ood/val/top1"
