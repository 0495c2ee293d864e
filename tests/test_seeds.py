"""Seeds are numbers that stay: another one would be another trial."""

from __future__ import annotations

from itertools import product

from fpray.seeds import draw_seed, epoch_seed, order_seed, replay_seed, suggestion_seed


def test_the_numbers_are_those_of_the_first_version() -> None:
    assert order_seed(3, 2) == 3_000_011
    assert epoch_seed(3, 2, 1) == 3_000_011 * 1009 + 1
    assert draw_seed(3, 2, 7) == 1438394047
    assert suggestion_seed(0, "full", 4) == 3475029838
    assert replay_seed(3) == 3622995719


def test_no_two_epochs_or_workers_have_the_same_number() -> None:
    orders = [order_seed(seed, epoch) for seed, epoch in product((0, 1, 2**32 - 1), range(500))]
    assert len(set(orders)) == len(orders)
    epochs = [epoch_seed(seed, epoch, rank) for seed, epoch, rank in product((0, 1, 2), range(50), range(16))]
    assert len(set(epochs)) == len(epochs)
    assert epoch_seed(2**32 - 1, 1_000_002, 1008) < 2**63  # what a generator takes
