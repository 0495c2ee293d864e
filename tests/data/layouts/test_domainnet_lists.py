"""DomainNet's two published lists: which of them a folder has is told by their counts."""

from __future__ import annotations

from typing import Any

import pytest

from fpray.data.layouts import domainnet
from fpray.data.layouts.domainnet import CLEANED_TEST, NUM_CLASSES, ORIGINAL_TEST
from tests.data.layouts.test_domainnet import opened


@pytest.fixture(scope="module")
def all_classes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Lists of all 345 classes, with 1,000 test images of `real` and 700 of `sketch`; no images."""
    root = tmp_path_factory.mktemp("all")
    for domain, count in (("real", 1000), ("sketch", 700)):
        for label in range(NUM_CLASSES):
            (root / domain / f"class_{label:03d}").mkdir(parents=True)
        for part, images in (("train", 2000), ("test", count)):
            lines = (
                f"{domain}/class_{i % NUM_CLASSES:03d}/{part}_{i:06d}.jpg {i % NUM_CLASSES}" for i in range(images)
            )
            (root / f"{domain}_{part}.txt").write_text("\n".join(lines))
    return {"layout": "domainnet", "root": str(root), "ood": "sketch"}


@pytest.mark.parametrize(
    ("cleaned", "original", "said"),
    [
        ({"real": 1000, "sketch": 700}, {"real": 1010, "sketch": 720}, "these are DomainNet's cleaned lists"),
        ({"real": 980, "sketch": 690}, {"real": 1000, "sketch": 700}, "these are DomainNet's original lists"),
        ({"real": 1000, "sketch": 690}, {"real": 1010, "sketch": 700}, "some of these lists are"),
    ],
)
def test_it_is_said_whether_lists_are_the_cleaned_or_the_original_ones(
    cleaned: dict[str, int],
    original: dict[str, int],
    said: str,
    all_classes: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(domainnet, "CLEANED_TEST", cleaned)
    monkeypatch.setattr(domainnet, "ORIGINAL_TEST", original)
    (remark,) = opened(all_classes).remarks()
    assert remark.startswith(said)


def test_lists_of_neither_kind_are_remarked(all_classes: dict[str, Any]) -> None:
    dataset = opened(all_classes)
    assert len(dataset.classes) == 345
    assert dataset.remarks() == [
        "id/test: 1,000 images; the cleaned lists have 52,041, the original ones 52,764",
        "ood/sketch/test: 700 images; the cleaned lists have 20,916, the original ones 21,271",
    ]
    assert sum(CLEANED_TEST.values()) == 176_743  # of the whole test in huggingface.co/datasets/wltjr1007/DomainNet
    assert all(CLEANED_TEST[domain] <= ORIGINAL_TEST[domain] for domain in ORIGINAL_TEST)


def test_a_subset_of_classes_is_not_compared_with_the_published(all_classes: dict[str, Any]) -> None:
    assert opened(all_classes, classes=[f"class_{label:03d}" for label in range(344)]).remarks() == []
